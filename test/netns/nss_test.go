// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import (
	stdnet "net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"staex/test/world"
)

// internet is a DNS server that knows one name, and remembers what it was asked.
type internet struct {
	mu    sync.Mutex // guards asked
	asked []string
}

// foreign is the one name, and where it is.
const foreign, foreignAddr = "www.example.org", "192.0.2.80"

// serveInternet answers at a host's own port 53 until the world ends.
func serveInternet(n *net, host string) *internet {
	n.t.Helper()
	i := &internet{}
	var conn stdnet.PacketConn
	err := n.w.Host(host).Do(func() (err error) {
		conn, err = stdnet.ListenPacket("udp4", "127.0.0.1:53")
		return err
	})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { conn.Close() })
	go i.serve(conn)
	return i
}

func (i *internet) serve(conn stdnet.PacketConn) {
	buf := make([]byte, 1500)
	for {
		size, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		if answer := i.answer(buf[:size]); answer != nil {
			_, _ = conn.WriteTo(answer, from)
		}
	}
}

func (i *internet) answer(query []byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(query) != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	i.mu.Lock()
	i.asked = append(i.asked, strings.TrimSuffix(q.Name.String(), "."))
	i.mu.Unlock()
	m.Header = dnsmessage.Header{ID: m.ID, Response: true, RecursionAvailable: true}
	m.Additionals = nil
	switch {
	case q.Name.String() != foreign+".":
		m.RCode = dnsmessage.RCodeNameError
	case q.Type == dnsmessage.TypeA:
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, Type: q.Type},
			Body:   &dnsmessage.AResource{A: [4]byte{192, 0, 2, 80}},
		}}
	}
	answer, err := m.Pack()
	if err != nil {
		return nil
	}
	return answer
}

// was lists what was asked for since the last call.
func (i *internet) was() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	asked := i.asked
	i.asked = nil
	slices.Sort(asked)
	return slices.Compact(asked)
}

// module starts a story whose technician has names through the module alone.
func module(t *testing.T) (*net, *internet) {
	t.Helper()
	n := sites(t)
	n.node("public", "")
	n.node("gateway", "203.0.113.1", "dns-names = gate")
	n.node("technician", "203.0.113.1", "dns-enable = false")
	n.w.Host("technician").NSS()
	n.w.Host("technician").WriteFile("/etc/resolv.conf", "nameserver 127.0.0.1\n")
	n.camera("gateway", "camera1")
	return n, serveInternet(n, "technician")
}

func TestEveryProgramFindsNamesThroughTheModuleWithoutADNSServer(t *testing.T) {
	n, dns := module(t)
	h := n.w.Host("technician")
	n.opens("http://camera1/", world.Marker1, 10*time.Second)
	n.opens("http://camera1.home.arpa/", world.Marker1, 10*time.Second)
	camera, gateway := h.MCC("resolve", "camera1"), n.ids["gateway"]
	gateway4, gateway6 := h.MCC("resolve", gateway), h.MCC("resolve", "-t", "ipv6", gateway)
	for _, ask := range []struct{ database, name, first, last string }{
		{"ahostsv4", "camera1", camera, "camera1"},
		{"ahostsv6", "camera1", "::ffff:" + camera, "camera1"}, // its device has IPv4 only
		{"hosts", "CAMERA1.home.arpa", camera, "CAMERA1.home.arpa"},
		{"hosts", camera, camera, "camera1.home.arpa"},
		{"ahostsv4", gateway, gateway4, gateway},
		{"ahostsv6", gateway, gateway6, gateway},
		{"hosts", gateway, gateway6, gateway},
		{"hosts", "gate.home.arpa", gateway6, "gate.home.arpa"}, // the network knows it
		{"hosts", gateway4, gateway4, gateway + ".home.arpa"},
		{"hosts", gateway6, gateway6, gateway + ".home.arpa"},
	} {
		out, _, _ := strings.Cut(h.Run("getent", ask.database, ask.name), "\n")
		got := strings.Fields(out)
		if got[0] != ask.first || got[len(got)-1] != ask.last {
			t.Errorf("getent %s %s: %q, want %+v", ask.database, ask.name, got, ask)
		}
	}
	h.Run("ping", "-c1", "-W2", "camera1")
	if asked := dns.was(); len(asked) > 0 {
		t.Errorf("names of ours were asked of a DNS server: %q", asked)
	}
	// An ordinary user may look names up, and nothing else.
	nobody := []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"}
	if !h.Try(append(nobody, "true")...).OK() {
		t.Log("SKIPPED in part: this sandbox has one user only")
		return
	}
	h.Run(append(nobody, "getent", "hosts", "camera1")...)
	if r := h.Try(append(nobody, "mcc", "id")...); r.Code != 5 {
		t.Errorf("mcc id of an ordinary user: exit code %d\n%s", r.Code, r.Stderr)
	}
}

func TestForeignNamesAreAnsweredAsBefore(t *testing.T) {
	n, dns := module(t)
	h := n.w.Host("technician")
	check := func(when string) {
		t.Helper()
		for name, want := range map[string]string{foreign: foreignAddr, "technician": "127.0.1.1"} {
			begin := time.Now()
			got := strings.Fields(h.Run("getent", "ahostsv4", name))
			if got[0] != want || time.Since(begin) > time.Second {
				t.Errorf("%s, %s is %s after %v", when, name, got[0], time.Since(begin))
			}
		}
		for _, name := range []string{"nobody", "nobody.example.org", "camera1.example.org"} {
			begin := time.Now()
			if r := h.Try("getent", "hosts", name); r.Code != 2 || time.Since(begin) > time.Second {
				t.Errorf("%s, %s: exit code %d after %v", when, name, r.Code, time.Since(begin))
			}
		}
	}
	check("with the daemon")
	asked := dns.was()
	if !slices.Contains(asked, foreign) || slices.Contains(asked, "technician") {
		t.Errorf("the DNS server was asked for %q", asked)
	}
	if err := unix.Kill(n.run["technician"].PID(), unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	check("with a daemon that hangs")
	n.run["technician"].Kill()
	check("without a daemon")
	n.start("technician")
	n.opens("http://camera1/", world.Marker1, 20*time.Second)
}
