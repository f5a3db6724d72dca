// SPDX-License-Identifier: Apache-2.0

package route_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"staex/internal/ident"
	"staex/internal/overlay/route"
	"staex/internal/overlay/state"
)

func key(n uint64) (id ident.NodeID) {
	if n > 0 {
		id[0] = 0xff
		binary.BigEndian.PutUint64(id[24:], n)
	}
	return id
}

func numbers(ids []ident.NodeID) string {
	list := []uint64{}
	for _, id := range ids {
		list = append(list, binary.BigEndian.Uint64(id[24:]))
	}
	return fmt.Sprint(list)
}

const self = 1

func put(t testing.TB, table *state.Table, k, parent uint64, kind state.Kind, from state.From) {
	t.Helper()
	r := &state.Record{Kind: kind, Key: key(k), Parent: key(parent), Seq: 1}
	if c := table.Put(r, nil, from); c != state.Added {
		t.Fatalf("%d below %d: %v", k, parent, c)
	}
}

// family is
//
//	9 ── self ── 2 ── 21 ── 22 ── endpoint 29
//	      │      └─── 23
//	      ├───── 3
//	      └ own endpoint 19
func family(t *testing.T) *state.Table {
	table := state.New(key(self), state.Limits{})
	two, three := state.From{Via: 20, Neighbour: key(2)}, state.From{Via: 30, Neighbour: key(3)}
	put(t, table, self, 9, state.Node, state.From{})
	put(t, table, 19, self, state.ServerEndpoint, state.From{})
	put(t, table, 2, self, state.Node, two)
	put(t, table, 21, 2, state.Node, two)
	put(t, table, 22, 21, state.Node, two)
	put(t, table, 29, 22, state.ClientEndpoint, two)
	put(t, table, 23, 2, state.Node, two)
	put(t, table, 3, self, state.Node, three)
	return table
}

func TestNextIsTheLinkOfTheBranchInWhichTheKeyHangs(t *testing.T) {
	table := family(t)
	for dest, want := range map[uint64]state.Via{
		self: state.Self, 19: state.Self, 2: 20, 21: 20, 22: 20, 29: 20, 23: 20, 3: 30,
	} {
		if via, ok := route.Next(table, key(self), key(dest)); !ok || via != want {
			t.Errorf("to %d by link %d, %v; want %d", dest, via, ok, want)
		}
	}
}

func TestWhatIsNotBelowGoesToTheParent(t *testing.T) {
	table := family(t)
	for _, dest := range []uint64{9, 99, 0} {
		if via, ok := route.Next(table, key(self), key(dest)); ok {
			t.Errorf("to %d by link %d", dest, via)
		}
	}
}

func TestNextFollowsAMovedBranch(t *testing.T) {
	table := family(t)
	r := &state.Record{Kind: state.Node, Key: key(21), Parent: key(3), Seq: 2}
	if c := table.Put(r, nil, state.From{Via: 30, Neighbour: key(3)}); c != state.Moved {
		t.Fatal(c)
	}
	if via, ok := route.Next(table, key(self), key(29)); !ok || via != 30 {
		t.Errorf("by link %d, %v", via, ok)
	}
}

func TestNextReachesTheDeepestRow(t *testing.T) {
	table := state.New(key(self), state.Limits{})
	from := state.From{Via: 20, Neighbour: key(100)}
	put(t, table, 100, self, state.Node, from)
	for k := uint64(101); k < 100+route.MaxHops; k++ {
		put(t, table, k, k-1, state.Node, from)
	}
	deepest := key(100 + route.MaxHops - 1)
	if via, ok := route.Next(table, key(self), deepest); !ok || via != 20 {
		t.Errorf("by link %d, %v", via, ok)
	}
	path, ok := route.Path(table, key(self), deepest)
	if !ok || len(path) != route.MaxHops+1 {
		t.Errorf("a path of %d keys, %v", len(path), ok)
	}
	if path, ok = route.Path(table, deepest, key(self)); !ok || len(path) != route.MaxHops+1 {
		t.Errorf("a way back of %d keys, %v", len(path), ok)
	}
}

func TestAPathLeadsOverTheLowestCommonAncestor(t *testing.T) {
	table := family(t)
	for _, c := range []struct {
		from, to uint64
		want     string
	}{
		{29, 23, "[29 22 21 2 23]"},
		{23, 29, "[23 2 21 22 29]"},
		{22, 3, "[22 21 2 1 3]"},
		{22, 2, "[22 21 2]"},
		{2, 22, "[2 21 22]"},
		{2, 2, "[2]"},
		{19, 3, "[19 1 3]"},
		{22, 9, "[22 21 2 1 9]"},
		{9, 3, "[9 1 3]"},
		{99, 99, "[99]"},
	} {
		path, ok := route.Path(table, key(c.from), key(c.to))
		if got := numbers(path); !ok || got != c.want {
			t.Errorf("from %d to %d: %s, want %s", c.from, c.to, got, c.want)
		}
	}
	if path, ok := route.Path(table, key(2), key(99)); ok {
		t.Errorf("a path to nowhere: %s", numbers(path))
	}
}

func TestACycleOfParentsEndsTheWalk(t *testing.T) {
	// We are the parent of 2 and its child.
	table := state.New(key(self), state.Limits{})
	put(t, table, self, 2, state.Node, state.From{})
	put(t, table, 2, self, state.Node, state.From{Via: 20, Neighbour: key(2)})
	put(t, table, 21, 2, state.Node, state.From{Via: 20, Neighbour: key(2)})
	if path, ok := route.Path(table, key(21), key(self)); !ok || numbers(path) != "[21 2 1]" {
		t.Errorf("%s, %v", numbers(path), ok)
	}
	if path, ok := route.Path(table, key(21), key(99)); ok {
		t.Errorf("a path to nowhere: %s", numbers(path))
	}
	if _, ok := route.Next(table, key(7), key(21)); ok { // as seen by a node that is not in it
		t.Error("a way out of the cycle")
	}
}

// forest fills a table with random trees below self.
func forest(t testing.TB, dice *rand.Rand, rows int) (*state.Table, []uint64) {
	table := state.New(key(self), state.Limits{PerVia: rows})
	put(t, table, self, 0, state.Node, state.From{})
	keys := []uint64{self}
	from := map[uint64]state.From{}
	for n := range uint64(rows) {
		k := n + 100
		if n < 3 || dice.IntN(8) == 0 {
			from[k] = state.From{Via: state.Via(k), Neighbour: key(k)}
			put(t, table, k, self, state.Node, from[k])
		} else {
			parent := keys[1+dice.IntN(len(keys)-1)]
			from[k] = from[parent]
			put(t, table, k, parent, state.Node, from[k])
		}
		keys = append(keys, k)
	}
	return table, keys
}

func TestPathAndNextAgreeWithDijkstra(t *testing.T) {
	for seed := range uint64(5) {
		table, keys := forest(t, rand.New(rand.NewPCG(seed, 4)), 40)
		keys = append(keys, 9999)
		for _, from := range keys {
			for _, to := range keys {
				want, reachable := route.Dijkstra(table, key(from), key(to), nil)
				got, ok := route.Path(table, key(from), key(to))
				if ok != reachable || !slices.Equal(got, want) {
					t.Fatalf("seed %d, %d to %d: %s, want %s",
						seed, from, to, numbers(got), numbers(want))
				}
				if from != self {
					continue
				}
				via, ok := route.Next(table, key(self), key(to))
				if ok != reachable {
					t.Fatalf("seed %d: a link to %d: %v", seed, to, ok)
				}
				if ok && to != self && key(uint64(via)) != want[1] {
					t.Fatalf("seed %d: to %d by link %d, not %s", seed, to, via, numbers(want))
				}
			}
		}
	}
}

func TestDijkstraUsesExtraEdgesWhenTheyAreCheaper(t *testing.T) {
	table := family(t)
	for _, c := range []struct {
		extra []route.Edge
		want  string
	}{
		{nil, "[29 22 21 2 1 3]"},
		{[]route.Edge{{A: key(3), B: key(22), Cost: 1}}, "[29 22 3]"},
		{[]route.Edge{{A: key(3), B: key(22), Cost: 5}}, "[29 22 21 2 1 3]"},
		{[]route.Edge{{A: key(77), B: key(22), Cost: 1}, {A: key(3), B: key(77)}}, "[29 22 77 3]"},
	} {
		path, ok := route.Dijkstra(table, key(29), key(3), c.extra)
		if got := numbers(path); !ok || got != c.want {
			t.Errorf("with %v: %s, want %s", c.extra, got, c.want)
		}
	}
	if path, ok := route.Dijkstra(table, key(29), key(99), nil); ok {
		t.Errorf("a path to nowhere: %s", numbers(path))
	}
}

func TestAmongEqualPathsDijkstraTakesTheOneWithLowerKeys(t *testing.T) {
	table := state.New(key(self), state.Limits{})
	edges := []route.Edge{
		{A: key(1), B: key(30), Cost: 2},
		{A: key(30), B: key(50), Cost: 2},
		{A: key(1), B: key(20), Cost: 3},
		{A: key(20), B: key(50), Cost: 1},
		{A: key(1), B: key(10), Cost: 1},
		{A: key(10), B: key(50), Cost: 3},
	}
	for range 6 {
		edges = append(edges[1:], edges[0])
		path, ok := route.Dijkstra(table, key(1), key(50), edges)
		if got := numbers(path); !ok || got != "[1 10 50]" {
			t.Errorf("%s", got)
		}
	}
}

func BenchmarkNext(b *testing.B) {
	table, keys := forest(b, rand.New(rand.NewPCG(1, 5)), 10000)
	dest := key(keys[len(keys)-1])
	b.ReportAllocs()
	for b.Loop() {
		route.Next(table, key(self), dest)
	}
}

func BenchmarkPath(b *testing.B) {
	table, keys := forest(b, rand.New(rand.NewPCG(1, 5)), 10000)
	from, to := key(keys[len(keys)-1]), key(keys[len(keys)-2])
	b.ReportAllocs()
	for b.Loop() {
		route.Path(table, from, to)
	}
}
