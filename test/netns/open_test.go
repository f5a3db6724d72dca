// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import (
	"bytes"
	stdnet "net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"staex/test/world"
	"staex/test/world/scan"
)

// allow lets a node exchange packets outside tunnels.
func (n *net) allow(name string) { n.configure(name, "node-traffic = allow") }

// configure adds a line to a node's configuration and starts it again.
func (n *net) configure(name, line string) {
	n.t.Helper()
	h := n.w.Host(name)
	h.WriteFile("/etc/mcc/mcc.conf", h.ReadFile("/etc/mcc/mcc.conf")+"\n"+line+"\n")
	n.run[name].Kill()
	n.start(name)
	n.attached(name)
}

// seen are the addresses of a node at another one.
func (n *net) seen(host, node string) []netip.Addr {
	n.t.Helper()
	four, err := netip.ParseAddr(n.w.Host(host).MCC("resolve", n.ids[node]))
	if err != nil {
		n.t.Fatal(err)
	}
	return []netip.Addr{four, n.six(host, node)}
}

// shut checks that a host finds no port of a node and no sign of it.
func (n *net) shut(host, node string, ports []uint16) {
	n.t.Helper()
	for _, a := range n.seen(host, node) {
		if got := n.open(host, a, ports); len(got) != 0 {
			n.t.Errorf("%s finds %v of %s at %v", host, got, node, a)
		}
		if n.w.Host(host).Try("ping", "-c1", "-W1", a.String()).OK() {
			n.t.Errorf("%s gets an echo of %s from %v", host, node, a)
		}
	}
}

// rare is a protocol (SCTP) that no tunnel carries and that this kernel does not answer by itself.
const rare = "132"

// echoes answers every packet of the rare protocol on a host with the same bytes.
func (n *net) echoes(host string) {
	n.t.Helper()
	for _, family := range []string{"ip4:", "ip6:"} {
		var conn stdnet.PacketConn
		err := n.w.Host(host).Do(func() (err error) {
			var lc stdnet.ListenConfig
			conn, err = lc.ListenPacket(n.t.Context(), family+rare, "")
			return err
		})
		if err != nil {
			n.t.Fatal(err)
		}
		n.t.Cleanup(func() { conn.Close() })
		go func() {
			b := make([]byte, 2048)
			for {
				k, from, err := conn.ReadFrom(b)
				if err != nil {
					return
				}
				_, _ = conn.WriteTo(b[:k], from) // who asks notices
			}
		}()
	}
}

// echoed reports whether a packet of the rare protocol comes back from an address.
func (n *net) echoed(host string, a netip.Addr) bool {
	n.t.Helper()
	family := "ip4:"
	if a.Is6() {
		family = "ip6:"
	}
	conn, err := n.w.Host(host).DialContext(n.t.Context(), family+rare, a.String())
	if err != nil {
		n.t.Fatal(err)
	}
	defer conn.Close()
	want, got := []byte("a packet of a rare protocol"), make([]byte, 2048)
	if _, err := conn.Write(want); err != nil {
		return false
	}
	_ = conn.SetReadDeadline(time.Now().Add(2 * time.Second))
	k, err := conn.Read(got)
	return err == nil && bytes.HasSuffix(got[:k], want) // behind its header on IPv4
}

func TestNodesReachEachOtherOnlyWhereBothAllowIt(t *testing.T) {
	n := clients(t, "ping", "curl", python)
	n.node("stranger", "203.0.113.1")
	gateway := n.w.Host("gateway")
	big := strings.Repeat("All that the gateway says. ", 1<<15) // 0.9 MB: super-packets pass
	gateway.Web("80", big)
	gateway.Web("8081", world.MarkerClosed)
	n.mirror("gateway", "7")
	n.echoes("gateway")
	n.camera("gateway", "camera1")
	ports := append(scan.Ports(1, 100), 8081)
	found := []uint16{80, 8081}

	n.shut("technician", "gateway", ports)
	n.allow("gateway")
	n.shut("technician", "gateway", ports)
	n.shut("gateway", "technician", ports)
	if a := n.seen("technician", "gateway"); n.echoed("technician", a[0]) ||
		n.echoed("technician", a[1]) {
		t.Error("a rare protocol passes although only one end allows it")
	}
	n.allow("technician")
	for _, a := range n.seen("technician", "gateway") {
		n.w.Until("the scanner finds the ports of "+a.String(), patience, func() bool {
			return slices.Equal(n.open("technician", a, ports), found)
		})
		url := "http://" + netip.AddrPortFrom(a, 80).String() + "/"
		n.w.Until("the whole page comes from "+url, patience, func() bool {
			return n.page("technician", url) == big
		})
		n.mirrored(netip.AddrPortFrom(a, 7).String(), []int{1, 1200, 1400, 9000})
		n.at("technician", "ping", "-c2", "-i0.2", a.String())
		n.w.Until("a rare protocol passes to "+a.String(), patience, func() bool {
			return n.echoed("technician", a)
		})
		want := strings.Join([]string{"ECONNREFUSED", a.String(), a.String()}, " ")
		if got := n.complaint("technician", a.String(), "5353"); got != want {
			t.Errorf("a closed port: %s, want %s", got, want)
		}
	}
	n.shut("stranger", "gateway", ports)
	n.shut("gateway", "stranger", ports)
	// The tunnel beside it stays as narrow as it was, and so does the LAN behind the gateway.
	n.opens("http://camera1/", world.Marker1, patience)
	if got := n.open("technician", n.address("technician", "camera1"), ports); !slices.Equal(got,
		[]uint16{80}) {
		t.Errorf("the technician finds %v of the camera, want 80 alone", got)
	}
}
