// SPDX-License-Identifier: Apache-2.0

//go:build linux

package world_test

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"staex/test/world"
	"staex/test/world/scan"
)

func TestMain(m *testing.M) { world.Main(m) }

// pair builds a public host and two hosts that each stand behind a NAT router.
func pair(t *testing.T) *world.World {
	t.Helper()
	w := world.New(t)
	w.Host("public").Join("inet", "eth0", "203.0.113.1/24")
	w.NAT("nat1", "inet", "203.0.113.10/24", "lan1", "192.168.1.1/24")
	w.NAT("nat2", "inet", "203.0.113.20/24", "lan2", "10.20.0.1/24")
	w.Host("left").Join("lan1", "eth0", "192.168.1.2/24")
	w.Host("left").Route("default", "192.168.1.1")
	w.Host("right").Join("lan2", "eth0", "10.20.0.2/24")
	w.Host("right").Route("default", "10.20.0.1")
	return w
}

func TestPagesGoOutThroughANATAndNothingComesIn(t *testing.T) {
	w := pair(t)
	w.Host("public").Web("80", "page of the public host")
	w.Host("right").Web("80", "page behind the NAT")

	got := w.Host("left").Get(t.Context(), "http://203.0.113.1/")
	if got.Stdout != "page of the public host" {
		t.Errorf("outward: %+v", got)
	}
	ports := []uint16{79, 80, 81}
	for name, target := range map[string]string{
		"the router's address": "203.0.113.20", "the private address": "10.20.0.2",
	} {
		for _, from := range []string{"public", "left"} {
			open := scanned(t, w.Host(from), target, ports, brief)
			if len(open) != 0 {
				t.Errorf("inward to %s from %s: ports %v are open", name, from, open)
			}
		}
	}
	// The scanner finds the same page where nothing stands in between.
	w.Host("friend").Join("lan2", "eth0", "10.20.0.3/24")
	found := scanned(t, w.Host("friend"), "10.20.0.2", ports, ample)
	if diff := cmp.Diff([]uint16{80}, found); diff != "" {
		t.Error(diff)
	}
}

// Nothing answers quickly; what does answer may take its time on a busy machine.
const (
	brief = 300 * time.Millisecond
	ample = 10 * time.Second
)

func scanned(t *testing.T, from *world.Host, target string, ports []uint16,
	patience time.Duration,
) []uint16 {
	t.Helper()
	found, err := scan.TCP(t.Context(), from, netip.MustParseAddr(target), ports, patience)
	if err != nil {
		t.Fatal(err)
	}
	return scan.OpenPorts(found)
}

func TestACaptureHoldsEverythingThatPassedAndCountersCountIt(t *testing.T) {
	w := pair(t)
	const marker = "marker-of-this-page"
	w.Host("public").Web("80", marker)
	near := w.Host("left").Capture("eth0")
	aside := w.Host("right").Capture("eth0")
	before := w.Host("left").Counters("eth0")
	w.Host("left").Run("curl", "-s", "http://203.0.113.1/")
	counted := w.Host("left").Counters("eth0").Sub(before)

	if n := world.Count(near.Stop(), []byte(marker)); n != 1 {
		t.Errorf("%d frames with the marker where it passed, want 1", n)
	}
	if n := world.Count(aside.Stop(), []byte(marker)); n != 0 {
		t.Errorf("%d frames with the marker where it did not pass", n)
	}
	if counted.ReceivedBytes < int64(len(marker)) || counted.SentPackets < 4 {
		t.Errorf("a page of %d bytes was counted as %+v", len(marker), counted)
	}
}

func TestEveryHostHasItsOwnFiles(t *testing.T) {
	w := world.New(t)
	a, b := w.Host("a"), w.Host("b")
	for _, dir := range []string{"/etc", "/run", "/tmp", "/var/lib"} {
		a.Run("sh", "-c", "mkdir -p "+dir+"/mine && echo a >"+dir+"/mine/file")
		if got := a.ReadFile(dir + "/mine/file"); got != "a\n" {
			t.Errorf("%s of a: read %q", dir, got)
		}
		b.WriteFile(dir+"/mine/file", "b\n")
		if got := a.Run("cat", dir+"/mine/file"); got != "a\n" {
			t.Errorf("%s of a: %q after b wrote", dir, got)
		}
		if _, err := os.Stat(filepath.Join(dir, "mine")); err == nil {
			t.Errorf("%s of the machine was written", dir)
		}
	}
	if got := a.Run("getent", "hosts", "a"); !strings.HasPrefix(got, "127.0.1.1") {
		t.Errorf("a does not know its own name: %q", got)
	}
}

func TestTwoWorldsAtOnceDoNotSeeEachOther(t *testing.T) {
	one, two := world.New(t), world.New(t)
	for _, w := range []*world.World{one, two} {
		w.Host("server").Join("lan", "eth0", "192.168.1.1/24")
		w.Host("client").Join("lan", "eth0", "192.168.1.2/24")
	}
	one.Host("server").Web("80", "first")
	two.Host("server").Web("80", "second")
	for want, w := range map[string]*world.World{"first": one, "second": two} {
		if got := w.Host("client").Get(t.Context(), "http://192.168.1.1/").Stdout; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestProcessesAreKilledStoppedAndRead(t *testing.T) {
	w := world.New(t)
	h := w.Host("h")
	const script = "trap 'echo bye; exit 7' TERM; echo hello; while :; do sleep 0.01; done"
	p := h.Start("sh", "-c", script)
	w.Until("the shell has said hello", 5*time.Second, func() bool {
		return strings.Contains(p.Log(), "hello")
	})
	if p.Resident() == 0 || !p.Running() {
		t.Error("a running shell uses no memory")
	}
	p.Kill()
	if p.Running() || p.Resident() != 0 {
		t.Error("a killed shell still runs")
	}
	q := h.Start("sh", "-c", script)
	w.Until("the shell has said hello", 5*time.Second, func() bool {
		return strings.Contains(q.Log(), "hello")
	})
	if code := q.Stop(); code != 7 || !strings.Contains(q.Log(), "bye") {
		t.Errorf("exit code %d, log %q", code, q.Log())
	}
	// sh says 126 if some folder of the path may not be searched.
	if r := h.Try("no-such-program"); r.Code != 126 && r.Code != 127 {
		t.Errorf("a missing program: %+v", r)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if r := h.TryContext(ctx, "", "sleep", "1000"); r.Code != -1 {
		t.Errorf("a command past its time: %+v", r)
	}
}

func TestARestartedRouterForgetsItsMappings(t *testing.T) {
	w := pair(t)
	var sink net.PacketConn
	err := w.Host("public").Do(func() (err error) {
		sink, err = net.ListenPacket("udp", "203.0.113.1:7000")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	conn, err := w.Host("left").DialContext(t.Context(), "udp", "203.0.113.1:7000")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	seen := w.Host("public").Capture("eth0")
	send := func(text string) {
		if _, err := conn.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := sink.ReadFrom(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
	}
	send("before")
	w.Host("nat1").Forget("50000-50100")
	send("after")
	ports := sources(seen.Stop(), "before", "after")
	if ports[0] == ports[1] || ports[1] < 50000 || ports[1] > 50100 {
		t.Errorf("source ports before and after: %v", ports)
	}
}

// sources finds the UDP source ports of the frames that hold the words.
func sources(pcap []byte, words ...string) []uint16 {
	const header = 8 + 20 // the word follows UDP, which follows IPv4
	var ports []uint16
	for _, word := range words {
		at := strings.Index(string(pcap), word)
		if at < header {
			ports = append(ports, 0)
			continue
		}
		ports = append(ports, uint16(pcap[at-8])<<8|uint16(pcap[at-7]))
	}
	return ports
}

func TestTheStoryStandsAndItsCamerasAreOutOfReach(t *testing.T) {
	w := world.New(t)
	world.Story(w)
	for gateway, marker := range map[string]string{
		"gateway": world.Marker1, "gateway2": world.Marker2,
	} {
		page := w.Host(gateway).Get(t.Context(), "http://192.168.1.10/")
		if !strings.Contains(page.Stdout, marker) {
			t.Errorf("%s does not see its camera: %+v", gateway, page)
		}
		found := scanned(t, w.Host(gateway), "192.168.1.10", scan.Ports(1, 9000), ample)
		if diff := cmp.Diff([]uint16{80, 8081}, found); diff != "" {
			t.Error(diff)
		}
	}
	for _, target := range []string{"192.168.1.10", "203.0.113.10", "203.0.113.30"} {
		open := scanned(t, w.Host("technician"), target, []uint16{80, 8081}, brief)
		if len(open) != 0 {
			t.Errorf("the technician reaches ports %v of %s without us", open, target)
		}
	}
	w.Host("technician").Run("ping", "-c", "1", "-W", "5", "203.0.113.1")
}
