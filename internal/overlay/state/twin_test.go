// SPDX-License-Identifier: Apache-2.0

package state_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"staex/internal/ident"
	"staex/internal/overlay/state"
)

// twin is the table as a map of records and, for direct neighbours, the link. Everything else is
// found by searching the whole map.
type twin struct {
	perVia int
	rows   map[ident.NodeID]*state.Record
	link   map[ident.NodeID]state.Via
}

// chain lists a key and its ancestors up to the one directly below self.
func (w *twin) chain(k ident.NodeID) (list []ident.NodeID) {
	for {
		list = append(list, k)
		if w.rows[k].Parent == key(self) || k == key(self) {
			return list
		}
		k = w.rows[k].Parent
	}
}

func (w *twin) via(k ident.NodeID) state.Via {
	list := w.chain(k)
	return w.link[list[len(list)-1]]
}

// under lists the keys that have top among their ancestors or are it.
func (w *twin) under(top ident.NodeID) map[ident.NodeID]bool {
	set := map[ident.NodeID]bool{}
	for k := range w.rows {
		for _, above := range w.chain(k) {
			if above == top {
				set[k] = true
			}
		}
	}
	return set
}

func (w *twin) count(via state.Via) (n int) {
	for k := range w.rows {
		if w.via(k) == via {
			n++
		}
	}
	return n
}

// height is the number of levels of the subtree of top.
func (w *twin) height(top ident.NodeID) (n int) {
	for k := range w.under(top) {
		n = max(n, len(w.chain(k))-len(w.chain(top))+1)
	}
	return n
}

func (w *twin) put(r *state.Record, from state.From) state.Change {
	old := w.rows[r.Key]
	head := r.Parent == key(self) && r.Key == from.Neighbour && r.Kind == state.Node
	switch {
	case old == nil || r.Seq > old.Seq:
	case r.Seq < old.Seq || !bytes.Equal(r.Append(nil), old.Append(nil)):
		return state.Stale
	case head && w.via(r.Key) != from.Via && from.Via != state.Self:
		if w.count(from.Via)+len(w.under(r.Key)) > w.perVia {
			return state.Quota
		}
		w.link[r.Key] = from.Via
		return state.Moved
	default:
		return state.Same
	}
	depth := 1
	switch own := from.Via == state.Self; {
	case r.Key == key(self) && !own:
		return state.Loop
	case r.Key == key(self), own && r.Kind != state.Node && r.Parent == key(self):
	case own:
		return state.BadParent
	case head:
	default:
		parent := w.rows[r.Parent]
		if parent == nil || parent.Key == key(self) || parent.Kind != state.Node ||
			w.via(parent.Key) != from.Via {
			return state.BadParent
		}
		depth += len(w.chain(parent.Key))
	}
	return w.settle(r, old, from, depth)
}

// settle stores a record that the sender may say.
func (w *twin) settle(r, old *state.Record, from state.From, depth int) state.Change {
	change := state.Updated
	switch {
	case old == nil && depth > state.MaxDepth:
		return state.BadParent
	case old == nil && from.Via != state.Self && w.count(from.Via) >= w.perVia:
		return state.Quota
	case old == nil:
		change = state.Added
	default:
		under := w.under(r.Key)
		if r.Kind != state.Node && len(under) > 1 || depth > state.MaxDepth {
			return state.BadParent
		}
		if under[r.Parent] {
			return state.Loop
		}
		if depth+w.height(r.Key)-1 > state.MaxDepth {
			return state.BadParent
		}
		if w.via(r.Key) != from.Via {
			if from.Via != state.Self && w.count(from.Via)+len(under) > w.perVia {
				return state.Quota
			}
			change = state.Moved
		}
	}
	delete(w.link, r.Key)
	w.rows[r.Key] = r
	if r.Parent == key(self) || r.Key == key(self) {
		w.link[r.Key] = from.Via
	}
	return change
}

func (w *twin) remove(k ident.NodeID) int {
	under := w.under(k)
	for dead := range under {
		delete(w.rows, dead)
		delete(w.link, dead)
	}
	return len(under)
}

func TestTheTableAgreesWithAMapOfEverything(t *testing.T) {
	seen := map[state.Change]int{}
	for seed := range uint64(6) {
		dice := rand.New(rand.NewPCG(seed, 3))
		const perVia = 4
		s := newScene(t, state.Limits{PerVia: perVia})
		w := &twin{
			perVia: perVia, rows: map[ident.NodeID]*state.Record{},
			link: map[ident.NodeID]state.Via{},
		}
		for range 500 {
			k := dice.Uint64N(14) + 1
			if dice.IntN(30) == 0 && k != self {
				if got, want := len(s.Remove(key(k))), w.remove(key(k)); got != want {
					t.Fatalf("seed %d: %d rows were removed, want %d", seed, got, want)
				}
				continue
			}
			r := record(k, dice.Uint64N(14)+1, dice.Uint64N(40))
			if r.Parent == r.Key {
				continue
			}
			if old := w.rows[r.Key]; old != nil && dice.IntN(4) == 0 {
				r = old // the very same again
			} else if dice.IntN(8) == 0 {
				r.Kind = state.ClientEndpoint
			}
			neighbour := dice.Uint64N(4) + 2
			if dice.IntN(2) == 0 {
				neighbour = k
				r2 := *r
				r2.Parent = key(self)
				if r != w.rows[r.Key] && k != self {
					r = &r2
				}
			}
			from := link(state.Via(neighbour*10+dice.Uint64N(2)), neighbour)
			if w.rows[r.Parent] != nil && r.Parent != key(self) && dice.IntN(2) == 0 {
				from.Via = w.via(r.Parent) // the link on which the parent is
			} else if dice.IntN(5) == 0 {
				from = state.From{}
			}
			want := w.put(r, from)
			seen[want]++
			s.put(want, r, from)
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
			for k := range w.rows {
				row, ok := s.Get(k)
				if !ok || row.Via != w.via(k) || !s.Knows(k, w.rows[k].Append(nil)) {
					t.Fatalf("seed %d: row %d is %+v, %v", seed, number(k), row, ok)
				}
			}
			if s.Len() != len(w.rows) {
				t.Fatalf("seed %d: %d rows, want %d", seed, s.Len(), len(w.rows))
			}
		}
	}
	for c := state.Added; c <= state.Loop; c++ {
		if seen[c] == 0 {
			t.Errorf("the dice never showed %v", c)
		}
	}
}

func BenchmarkPutAndRemoveInALargeTable(b *testing.B) {
	t := state.New(key(self), state.Limits{PerVia: 1 << 20})
	t.Put(record(2, self, 1), nil, link(20, 2))
	for k := uint64(1000); k < 101000; k++ {
		t.Put(record(k, 2, 1), nil, link(20, 2))
	}
	r := record(999, 2, 1)
	b.ReportAllocs()
	for b.Loop() {
		if t.Put(r, nil, link(20, 2)) != state.Added {
			b.Fatal("not added")
		}
		t.Remove(r.Key)
	}
}
