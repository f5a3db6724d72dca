// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"testing"
	"time"

	"staex/internal/overlay/node"
)

// still keeps the keep-alives out of what is counted.
var still = node.Config{KeepAlive: time.Hour}

// twoRelays is two relays under a root, and a gateway with so many leaves that may use both.
func twoRelays(seed uint64, leaves int, c Config) *World {
	w := New(seed)
	w.Add(Config{Name: "root", Addr: "203.0.113.1:9376", Node: still})
	relays := []string{"198.51.100.1:9376", "198.51.100.2:9376"}
	for i, addr := range relays {
		w.Add(Config{
			Name: fmt.Sprint("relay", i), Addr: addr, Node: still,
			Parents: []string{"203.0.113.1:9376"},
		})
	}
	w.Add(Config{
		Name: "site", Addr: "192.0.2.1:9376", Parents: relays, Node: c.Node, Whole: c.Whole,
	})
	for i := range leaves {
		w.Add(Config{
			Name: fmt.Sprint("leaf", i), Addr: fmt.Sprintf("192.0.3.%d:9376", i+1),
			Parents: []string{"192.0.2.1:9376"}, Node: still,
		})
	}
	return w
}

// everybody waits until a host knows so many nodes.
func everybody(t *testing.T, w *World, name string, nodes int) {
	t.Helper()
	h := w.Host(name)
	for range 180 {
		if known(h, w) == nodes {
			return
		}
		w.Run(time.Second) // to count at each frame would take longer than the network
	}
	t.Fatalf("%s knows %d nodes, want %d", name, known(h, w), nodes)
}

func both(w *World, a, b string) int { return w.Bytes(a, b) + w.Bytes(b, a) }

// move lets a site with so many leaves change its relay, and counts what the way above cost.
func move(t *testing.T, leaves int, whole int) (above int, trace [32]byte) {
	t.Helper()
	w := twoRelays(81, leaves, Config{Node: node.Config{KeepAlive: 10 * time.Second}, Whole: whole})
	everybody(t, w, "root", leaves+4)
	w.Run(time.Minute)
	before := both(w, "relay1", "root")
	w.Host("relay0").Kill()
	everybody(t, w, "relay1", leaves+3) // its parent, itself, the site and the leaves
	w.Run(20 * time.Second)
	above = both(w, "relay1", "root") - before
	if n := known(w.Host("root"), w); n != leaves+4 { // the dead relay is not missed yet
		t.Errorf("the root knows %d nodes", n)
	}
	sound(t, w)
	return above, w.Trace()
}

func TestASubtreeThatMovesCostsOneMessageWhateverItsSize(t *testing.T) {
	small, _ := move(t, 10, 0)
	large, first := move(t, 60, 0)
	again, second := move(t, 60, 0)
	t.Logf("10 leaves cost %d bytes above, 60 cost %d", small, large)
	if large > 1500 || large > small+150 {
		t.Errorf("a move of 60 leaves costs %d bytes above its new parent, of 10 %d", large, small)
	}
	if first != second || large != again {
		t.Error("two runs from one seed differ")
	}
}

func TestASiteWithoutADiskMovesWithAllItsLeaves(t *testing.T) {
	move(t, 40, 5)
}

func TestAChangeOfOneLeafCostsTheRootsOtherChildrenNothing(t *testing.T) {
	const relays, leaves = 10, 989
	w := New(82)
	w.Add(Config{Name: "root", Addr: "203.0.113.1:9376", Node: still})
	for i := range relays {
		w.Add(Config{
			Name: fmt.Sprint("relay", i), Addr: fmt.Sprintf("198.51.100.%d:9376", i+1),
			Parents: []string{"203.0.113.1:9376"}, Node: still,
		})
	}
	for i := range leaves {
		w.Add(Config{
			Name: fmt.Sprint("leaf", i), Addr: fmt.Sprintf("192.0.%d.%d:9376", 2+i/200, i%200+1),
			Parents: []string{fmt.Sprintf("198.51.100.%d:9376", i%relays+1)}, Node: still,
		})
	}
	everybody(t, w, "root", 1+relays+leaves)
	w.Run(time.Minute)
	bytes := make([]int, relays)
	for i := range bytes {
		bytes[i] = both(w, "root", fmt.Sprint("relay", i))
	}
	leaf := w.Host("leaf53")
	leaf.Tunnel("meter", w.Host("leaf3"), snmp) // a new endpoint, agreed with a neighbour
	w.Run(10 * time.Second)
	for i := range bytes {
		cost := both(w, "root", fmt.Sprint("relay", i)) - bytes[i]
		if i == 3 && (cost == 0 || cost > 2000) {
			t.Errorf("the change cost %d bytes on its own way", cost)
		}
		if i != 3 && cost != 0 {
			t.Errorf("the change cost relay %d %d bytes", i, cost)
		}
	}
	sound(t, w)
}

func TestRowsThatARestartForgotAreWithdrawn(t *testing.T) {
	run := func() [32]byte {
		const leaves = 40
		w := twoRelays(83, leaves, Config{})
		everybody(t, w, "root", leaves+4)
		w.Run(time.Minute)
		before := both(w, "relay0", "root")
		for i := range leaves {
			w.Host(fmt.Sprint("leaf", i)).Kill()
		}
		s := w.Host("site")
		s.Kill()
		w.Run(time.Second)
		s.Start() // before its parent missed it: the rows above are those of before
		if !w.Until(10*time.Minute, func() bool { return known(w.Host("root"), w) == 4 }) {
			t.Errorf("the root still knows %d nodes", known(w.Host("root"), w))
		}
		if cost := both(w, "relay0", "root") - before; cost > 12_000 {
			t.Errorf("withdrawing %d rows cost %d bytes", leaves, cost)
		}
		sound(t, w)
		return w.Trace()
	}
	if first, second := run(), run(); first != second {
		t.Error("two runs from one seed differ")
	}
}

// grow builds a network of so many nodes at once and lets it come to rest.
func grow(b *testing.B, nodes int) {
	b.Helper()
	w := New(84)
	w.Add(Config{Name: "root", Addr: "203.0.113.1:9376"})
	relays := max(nodes/250, 1)
	for i := range nodes - 1 {
		c := Config{Name: fmt.Sprint("node", i), Parents: []string{"203.0.113.1:9376"}}
		c.Addr = fmt.Sprintf("10.%d.%d.%d:9376", i>>16, i>>8&255, i&255)
		if i >= relays {
			at := i % relays
			c.Parents[0] = fmt.Sprintf("10.%d.%d.%d:9376", at>>16, at>>8&255, at&255)
		}
		w.At(time.Duration(i)*time.Millisecond, func() { w.Add(c) })
	}
	root := w.Host("root")
	for range 600 {
		w.Run(time.Second)
		if known(root, w) == nodes {
			b.ReportMetric(w.Now.Seconds(), "virtual-s")
			return
		}
	}
	b.Fatalf("the root knows %d of %d nodes", known(root, w), nodes)
}

func BenchmarkJoinOfTenThousandNodes(b *testing.B) {
	for b.Loop() {
		grow(b, 10_000)
	}
}

// BenchmarkJoinOfAHundredThousandNodes takes many minutes and gigabytes: it runs by hand, with
// -benchtime 1x and -timeout 0.
func BenchmarkJoinOfAHundredThousandNodes(b *testing.B) {
	if b.N != 1 || testing.Short() {
		b.Skip("run it alone: -short=false -benchtime 1x")
	}
	grow(b, 100_000)
}
