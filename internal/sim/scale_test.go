// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"testing"
	"time"

	"staex/internal/overlay/state"
)

// forest is a root with relays under it and leaves under those.
func forest(seed uint64, relays, leaves int) *World {
	w := New(seed)
	w.SetLink(Link{Delay: 15 * time.Millisecond, Jitter: 5 * time.Millisecond, Loss: 0.01})
	w.Add(Config{Name: "root", Addr: "203.0.113.1:9376"})
	for i := range relays {
		w.Add(Config{
			Name: fmt.Sprint("relay", i), Addr: fmt.Sprintf("198.51.100.%d:9376", i+1),
			Parents: []string{"203.0.113.1:9376"},
		})
	}
	for i := range leaves {
		parent := fmt.Sprintf("198.51.100.%d:9376", i%relays+1)
		name := fmt.Sprint("leaf", i)
		switch i {
		case 0:
			name = "gateway"
		case leaves - 1:
			name = "technician"
		}
		w.Add(Config{
			Name: name, Addr: fmt.Sprintf("192.0.%d.%d:9376", 2+i/200, i%200+1),
			Parents: []string{parent},
		})
	}
	return w
}

// known counts the nodes in a host's own table.
func known(h *Host, w *World) int {
	count := 0
	for _, x := range h.Node.Nodes(w.reading()) {
		if x.Kind == state.Node {
			count++
		}
	}
	return count
}

func TestThreeHundredNodesConvergeAndTalk(t *testing.T) {
	const relays, leaves = 12, 287
	run := func() [32]byte {
		w := forest(11, relays, leaves)
		root := w.Host("root")
		all := func() bool { return known(root, w) == 1+relays+leaves }
		if !w.Until(time.Minute, all) {
			t.Fatalf("the root knows %d nodes", known(root, w))
		}
		agreed(t, w)
		if w.Frames < 3000 {
			t.Errorf("only %d frames", w.Frames)
		}
		sound(t, w)
		return w.Trace()
	}
	first, second := run(), run()
	if first != second {
		t.Error("two runs from one seed differ")
	}
}

func TestARowOfALeafThatDiedIsGoneFromTheRoot(t *testing.T) {
	w := forest(12, 3, 9)
	root := w.Host("root")
	w.Until(time.Minute, func() bool { return known(root, w) == 13 })
	w.Host("leaf4").Kill()
	if !w.Until(10*time.Minute, func() bool { return known(root, w) == 12 }) {
		t.Errorf("the root still knows %d nodes", known(root, w))
	}
	w.Host("relay2").Kill()
	if !w.Until(10*time.Minute, func() bool { return known(root, w) == 8 }) {
		t.Errorf("the root still knows %d nodes after a relay died", known(root, w))
	}
	sound(t, w)
}

func TestAnIdleLeafCostsAtMostTwoHundredKilobytesADay(t *testing.T) {
	w := home(13)
	w.Run(time.Minute)
	before := w.Bytes("gateway", "root") + w.Bytes("root", "gateway")
	w.Run(24 * time.Hour)
	spent := w.Bytes("gateway", "root") + w.Bytes("root", "gateway") - before
	const budget = 200_000
	if spent > budget {
		t.Errorf("an idle day cost %d bytes", spent)
	}
	t.Logf("an idle day with the default keep-alive cost %d bytes", spent)
}
