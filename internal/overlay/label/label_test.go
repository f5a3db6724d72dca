// SPDX-License-Identifier: Apache-2.0

package label_test

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"staex/internal/overlay/label"
	"staex/internal/wire"
)

func dice(seed byte) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{seed}) }

func mustNew(t *testing.T, a *label.Alloc, now time.Duration) wire.Label {
	t.Helper()
	l, ok := a.New(now)
	if !ok {
		t.Fatal("no label")
	}
	return l
}

func TestLabelsAreDistinctAndNeverZeroAndFillTheTable(t *testing.T) {
	for _, bits := range []uint8{1, 4, 8, 12} {
		a := label.NewAlloc(bits, dice(bits))
		seen := map[uint32]bool{}
		for range a.Cap() {
			l := mustNew(t, a, 0)
			index := a.Index(l)
			if l == 0 || l>>label.Bits != 0 || index == 0 || int(index) > a.Cap() || seen[index] {
				t.Fatalf("%d bits: label %#x with index %d", bits, l, index)
			}
			seen[index] = true
		}
		if l, ok := a.New(0); ok {
			t.Errorf("%d bits: a label %#x more than there are rows", bits, l)
		}
		if a.Len() != 1<<bits-1 || a.Cap() != 1<<bits-1 {
			t.Errorf("%d bits: %d of %d", bits, a.Len(), a.Cap())
		}
	}
}

func TestTheTableGrowsFromTheBottom(t *testing.T) {
	a := label.NewAlloc(20, dice(1))
	for want := uint32(1); want < 10; want++ {
		if got := a.Index(mustNew(t, a, 0)); got != want {
			t.Errorf("index %d, want %d", got, want)
		}
	}
}

func TestAFreedLabelRestsAndComesBackWithOtherCheckBits(t *testing.T) {
	a := label.NewAlloc(1, dice(2)) // one row
	l := mustNew(t, a, 0)
	for n := range 200 {
		now := time.Duration(n) * time.Hour
		if !a.Free(now, l) || a.Len() != 0 {
			t.Fatal("the label was not taken back")
		}
		if _, ok := a.New(now + label.Quarantine - 1); ok {
			t.Fatal("a label came back before its time")
		}
		next := mustNew(t, a, now+label.Quarantine)
		if next == l || a.Index(next) != a.Index(l) {
			t.Fatalf("%#x came after %#x", next, l)
		}
		if a.Live(l) || !a.Live(next) {
			t.Fatal("the stale label passes for the live one")
		}
		l = next
	}
}

func TestWithoutCheckBitsALabelIsItsIndex(t *testing.T) {
	a := label.NewAlloc(label.Bits, dice(3))
	l := mustNew(t, a, 0)
	a.Free(0, l)
	if again := mustNew(t, a, label.Quarantine); l != 1 || again != 1 {
		t.Errorf("%#x, then %#x", l, again)
	}
}

func TestALabelThatIsNotInUseCannotBeFreed(t *testing.T) {
	a := label.NewAlloc(8, dice(4))
	l := mustNew(t, a, 0)
	for _, wrong := range []wire.Label{0, l + 1, l ^ 1<<23, l | 1<<24, ^wire.Label(0)} {
		if a.Free(0, wrong) || a.Live(wrong) {
			t.Errorf("%#x was taken back", wrong)
		}
	}
	if !a.Free(0, l) || a.Free(0, l) {
		t.Error("a label is not freed exactly once")
	}
}

func TestAnAllocatorWithoutDiceGivesNothing(t *testing.T) {
	a := label.NewAlloc(8, bytes.NewReader([]byte{1, 2, 3, 4, 5}))
	l := mustNew(t, a, 0)
	if _, ok := a.New(0); ok {
		t.Error("a label without randomness")
	}
	if a.Len() != 1 || !a.Live(l) {
		t.Error("the failure changed the table")
	}
}

func TestATableSizeThatCannotBePanics(t *testing.T) {
	for _, bits := range []uint8{0, 25} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%d index bits were accepted", bits)
				}
			}()
			label.NewAlloc(bits, dice(0))
		}()
	}
}

// twin is the allocator as a table of every index.
type twin map[uint32]*struct {
	label wire.Label
	live  bool
	freed time.Duration
}

func TestTheAllocatorAgreesWithATableOfEverything(t *testing.T) {
	for seed := range byte(20) {
		r := rand.New(rand.NewPCG(uint64(seed), 2))
		a, w := label.NewAlloc(5, dice(seed)), twin{}
		var now time.Duration
		var given []wire.Label
		for range 5000 {
			now += time.Duration(r.IntN(5000)) * time.Millisecond
			if r.IntN(2) == 0 && len(given) > 0 {
				l := given[r.IntN(len(given))]
				row := w[a.Index(l)]
				want := row.live && row.label == l
				if got := a.Free(now, l); got != want {
					t.Fatalf("seed %d: Free says %v, want %v", seed, got, want)
				}
				if want {
					row.live, row.freed = false, now
				}
				continue
			}
			possible := len(w) < a.Cap()
			for _, row := range w {
				possible = possible || !row.live && now-row.freed >= label.Quarantine
			}
			l, ok := a.New(now)
			if ok != possible {
				t.Fatalf("seed %d: New says %v, want %v", seed, ok, possible)
			}
			if !ok {
				continue
			}
			row := w[a.Index(l)]
			if row != nil && (row.live || now-row.freed < label.Quarantine || row.label == l) {
				t.Fatalf("seed %d: %#x was given in place of %+v", seed, l, row)
			}
			if row == nil {
				w[a.Index(l)] = &struct {
					label wire.Label
					live  bool
					freed time.Duration
				}{label: l, live: true}
			} else {
				row.label, row.live = l, true
			}
			given = append(given, l)
		}
	}
}

func TestAReturnedLabelIsGivenOutNextWithOtherCheckBits(t *testing.T) {
	a := label.NewAlloc(4, dice(9))
	var held []wire.Label
	for a.Len() < a.Cap() {
		held = append(held, mustNew(t, a, 0))
	}
	for n := range 500 {
		now := time.Duration(n) * label.Quarantine
		l, rests := held[n%len(held)], n%7 == 3
		if rests && !a.Free(now, l) || !rests && !a.Return(now, l) {
			t.Fatalf("label %#x was not in use", l)
		}
		if a.Return(now, l) || a.Live(l) {
			t.Fatalf("label %#x is still in use", l)
		}
		if rests {
			now += label.Quarantine
		}
		next := mustNew(t, a, now)
		if next == l || a.Index(next) != a.Index(l) {
			t.Fatalf("%#x came after %#x", next, l)
		}
		held[n%len(held)] = next
	}
}
