// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"staex/internal/overlay/drop"
	"staex/internal/wire"
)

const gatewayAddr, technicianAddr = "192.0.2.2:9376", "192.0.2.3:9376"

// threeHops is technician, relay, root, gateway: the way of a tunnel that has two relays.
func threeHops(t *testing.T, seed uint64) (w *World, g, c *Host) {
	t.Helper()
	w = New(seed)
	w.Watch([]byte("confidential"))
	w.Add(Config{Name: "root", Addr: rootAddr})
	w.Add(Config{Name: "relay", Addr: "203.0.113.2:9376", Parents: []string{rootAddr}})
	w.Add(Config{Name: "gateway", Addr: gatewayAddr, Parents: []string{rootAddr}})
	w.Add(Config{
		Name: "technician", Addr: technicianAddr, Parents: []string{"203.0.113.2:9376"},
	})
	g, c = agreed(t, w)
	for range 40 { // past the long counters of a young epoch
		c.Ask("meter", 5000, 161, "warm up")
		w.Run(50 * time.Millisecond)
	}
	return w, g, c
}

// forger sees the frames that one host sends to an address and forges others under their label.
type forger struct {
	w        *World
	from, to netip.AddrPort
	last     []byte
}

// newForger lets an attacker watch what goes from one address to another.
func (w *World) newForger(from, to string) *forger {
	f := &forger{w: w, from: netip.MustParseAddrPort(from), to: netip.MustParseAddrPort(to)}
	before := w.attack.saw
	w.attack.saw = func(h *Host, from, to netip.AddrPort, b []byte) {
		if from == f.from && to == f.to && wire.PeekType(b) == wire.TypeData {
			f.last = bytes.Clone(b)
		}
		if before != nil {
			before(h, from, to, b)
		}
	}
	return f
}

// junk sends n frames with the label, the address and a counter of the last one, and with other
// bytes in it. A frame with a hop MAC is imitated with one.
func (f *forger) junk(n int) {
	for range n {
		b := bytes.Clone(f.last)
		for i := 4; i < len(b); i++ {
			b[i] = byte(f.w.dice.Uint32())
		}
		f.w.inject(f.from, f.to, b)
		f.w.inject(f.from, f.to, b[:len(b)-3])
		bare := bytes.Clone(b)
		wire.SetHopMAC(bare, false)
		f.w.inject(f.from, f.to, bare)
		f.w.Run(100 * time.Millisecond)
	}
}

// costs is what a question of ten bytes costs on each link from the technician to the gateway.
func costs(t *testing.T, w *World, c *Host, links ...string) (sizes []int) {
	t.Helper()
	before := map[string]int{}
	for i := range len(links) - 1 {
		before[links[i]] = w.Bytes(links[i], links[i+1])
	}
	c.Ask("meter", 5000, 161, strings.Repeat("x", 10))
	w.Run(45 * time.Millisecond)
	for i := range len(links) - 1 {
		sizes = append(sizes, w.Bytes(links[i], links[i+1])-before[links[i]])
	}
	w.Run(time.Second)
	return sizes
}

func TestJunkUnderAForgedAddressDiesAtTheFirstHonestHopWithHopMACs(t *testing.T) {
	run := func() (trace [32]byte) {
		w, g, c := threeHops(t, 300)
		way := []string{"technician", "relay", "root", "gateway"}
		if got := fmt.Sprint(costs(t, w, c, way...)); got != "[62 62 62]" {
			t.Errorf("without hop MACs a question costs %v", got)
		}
		f := w.newForger(technicianAddr, "203.0.113.2:9376")
		c.Ask("meter", 5000, 161, "seen by the forger")
		w.Run(time.Second)
		before := g.allDrops()
		f.junk(20) // nobody but the end can tell
		w.Run(2 * time.Second)
		counted(t, g, before, drop.OpenFailed, 17)
		if got := fmt.Sprint(costs(t, w, c, way...)); got != "[66 66 66]" {
			t.Errorf("with hop MACs a question costs %v", got)
		}
		relay := w.Host("relay")
		before, passed := relay.allDrops(), w.Bytes("relay", "root")
		opened := g.drops(drop.OpenFailed) + g.drops(drop.Epoch) + g.drops(drop.Replay)
		f.junk(200)
		counted(t, relay, before, drop.HopMac, 550)
		if n := g.drops(drop.OpenFailed) + g.drops(drop.Epoch) + g.drops(drop.Replay); n != opened {
			t.Errorf("%d frames of junk reached the end", n-opened)
		}
		if n := w.Bytes("relay", "root") - passed; n > 2000 {
			t.Errorf("junk cost the next link %d bytes", n)
		}
		talks(t, w, c, "meter", "confidential", 3*time.Second)
		for range 45 { // where junk goes on to come, hop MACs go on
			f.junk(20)
			talks(t, w, c, "meter", "confidential", 3*time.Second)
			w.Run(28 * time.Second)
		}
		if got := fmt.Sprint(costs(t, w, c, way...)); got != "[66 62 62]" {
			t.Errorf("under junk that goes on a question costs %v", got)
		}
		for range 50 {
			talks(t, w, c, "meter", "confidential", 3*time.Second)
			w.Run(30 * time.Second)
		}
		if got := fmt.Sprint(costs(t, w, c, way...)); got != "[62 62 62]" {
			t.Errorf("after the junk a question costs %v", got)
		}
		sound(t, w)
		return w.Trace()
	}
	first, second := run(), run()
	if first != second {
		t.Error("two runs from one seed differ")
	}
}

func TestJunkOnTheLastLinkDiesAtTheEndBeforeItIsOpened(t *testing.T) {
	w, g, c := threeHops(t, 301)
	f := w.newForger(rootAddr, gatewayAddr)
	c.Ask("meter", 5000, 161, "seen by the forger")
	w.Run(time.Second)
	f.junk(20)
	w.Run(2 * time.Second)
	before := g.allDrops()
	f.junk(100)
	counted(t, g, before, drop.HopMac, 290)
	if n := g.drops(drop.OpenFailed) - before[drop.OpenFailed]; n != 0 {
		t.Errorf("%d frames of junk were opened", n)
	}
	talks(t, w, c, "meter", "confidential", 3*time.Second)
	sound(t, w)
}

func TestAPathWithHopMACsSurvivesRestarts(t *testing.T) {
	for _, victim := range []string{"technician", "relay", "root"} {
		w, _, c := threeHops(t, 302)
		f := w.newForger(technicianAddr, "203.0.113.2:9376")
		c.Ask("meter", 5000, 161, "seen by the forger")
		w.Run(time.Second)
		f.junk(20)
		w.Run(2 * time.Second)
		h := w.Host(victim)
		h.Kill()
		w.Run(3 * time.Second)
		h.Start()
		talks(t, w, c, "meter", "confidential", 40*time.Second)
		sound(t, w)
	}
}

func TestWhoComplainsOfJunkAllTheTimeIsHeardOnceASecond(t *testing.T) {
	w, p := attackedBy(t, 303, nil)
	root, g := w.Host("root"), w.Host("gateway")
	s := p.talk(t, g.ID())
	before, spent := root.allDrops(), w.Bytes("root", "gateway")
	complaints := make([][]byte, 1000)
	for i := range complaints {
		complaints[i] = wire.Junk{Label: s.back}.Append(nil)
	}
	p.flood(wire.ControlJunk, complaints)
	w.Run(time.Second)
	counted(t, root, before, drop.Quota, 990)
	if n := w.Bytes("root", "gateway") - spent; n > 1000 {
		t.Errorf("a thousand complaints cost the next link %d bytes", n)
	}
	var lies [][]byte
	for l := range wire.Label(1000) {
		lies = append(lies, wire.JunkOK{Label: l}.Append(nil))
	}
	p.flood(wire.ControlJunkOK, lies)
	w.Run(time.Second)
	counted(t, root, before, drop.Stranger, 1000)
	survived(t, w)
}
