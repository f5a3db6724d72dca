// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"math/rand/v2"
	"testing"

	"staex/internal/overlay/session"
)

// naiveWindow is the replay window as one would explain it.
type naiveWindow struct {
	size, top uint64
	seen      map[uint64]bool
}

func (n *naiveWindow) check(ctr uint64) bool {
	return ctr != 0 && ctr+n.size > n.top && !n.seen[ctr]
}

func (n *naiveWindow) mark(ctr uint64) {
	n.seen[ctr] = true
	n.top = max(n.top, ctr)
}

func TestWindowAgreesWithItsNaiveTwin(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{64, 128, 192, session.WindowLink, session.WindowSession} {
		w := session.NewWindow(size)
		twin := &naiveWindow{size: uint64(size), seen: map[uint64]bool{}}
		for range 20_000 {
			ctr := twin.top + uint64(rng.IntN(6))
			switch rng.IntN(10) {
			case 0:
				ctr = twin.top + uint64(rng.IntN(3*size))
			case 1, 2, 3, 4:
				ctr -= min(ctr, uint64(rng.IntN(size+8)))
			}
			if got, want := w.Check(ctr), twin.check(ctr); got != want {
				t.Fatalf("size %d, top %d: Check(%d) = %v, want %v",
					size, twin.top, ctr, got, want)
			}
			if w.Check(ctr) && rng.IntN(3) > 0 {
				w.Mark(ctr)
				twin.mark(ctr)
			}
			if w.Top() != twin.top {
				t.Fatalf("size %d: Top() = %d, want %d", size, w.Top(), twin.top)
			}
		}
	}
}

func TestWindowHoldsExactlyItsSize(t *testing.T) {
	for _, size := range []uint64{64, session.WindowLink, session.WindowSession} {
		w := session.NewWindow(int(size))
		top := 5*size + 17
		w.Mark(top)
		if w.Check(top) {
			t.Errorf("size %d: the highest counter is new twice", size)
		}
		if !w.Check(top - size + 1) {
			t.Errorf("size %d: the oldest counter inside the window is refused", size)
		}
		if w.Check(top - size) {
			t.Errorf("size %d: a counter behind the window is new", size)
		}
		w.Mark(top - size) // ignored
		if !w.Check(top + size) {
			t.Errorf("size %d: marking behind the window spoilt a counter ahead", size)
		}
	}
}

func TestWindowRefusesCounterZero(t *testing.T) {
	w := session.NewWindow(64)
	if w.Check(0) {
		t.Error("counter 0 is new in an empty window")
	}
	w.Mark(1)
	if w.Check(0) {
		t.Error("counter 0 is new in a used window")
	}
}

func TestWindowSizeMustBeAMultipleOf64(t *testing.T) {
	for _, size := range []int{-64, 0, 1, 63, 65} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("NewWindow(%d) did not panic", size)
				}
			}()
			session.NewWindow(size)
		}()
	}
}
