// SPDX-License-Identifier: Apache-2.0

package route

import (
	"container/heap"
	"slices"

	"staex/internal/ident"
	"staex/internal/overlay/state"
)

// Edge is a connection between two keys that the records do not tell, usable in both directions.
type Edge struct {
	A, B ident.NodeID
	Cost uint32 // in hops; a connection of the records costs 1
}

// Dijkstra returns the keys on a cheapest path from one key to another, both included, over the
// records of the table and the extra edges. Among paths of equal cost it takes the one whose keys,
// compared from the far end, are lowest. It takes time in proportion to the whole table: Path
// answers the same question about the records alone from two walks. (E. W. Dijkstra, 1959.)
func Dijkstra(
	t *state.Table, from, to ident.NodeID, extra []Edge,
) (path []ident.NodeID, ok bool) {
	g := newGraph(t, extra)
	before := map[ident.NodeID]ident.NodeID{}
	cost := map[ident.NodeID]uint64{from: 0}
	done := map[ident.NodeID]bool{}
	open := &frontier{{key: from}}
	for open.Len() > 0 {
		at := open.take()
		if done[at.key] {
			continue
		}
		done[at.key] = true
		if at.key == to {
			return trace(before, from, to), true
		}
		for _, s := range g[at.key] {
			total := at.cost + uint64(s.cost)
			known, met := cost[s.to]
			if done[s.to] || met && total > known ||
				met && total == known && before[s.to].Compare(at.key) <= 0 {
				continue
			}
			cost[s.to], before[s.to] = total, at.key
			heap.Push(open, candidate{s.to, total})
		}
	}
	return nil, false
}

// trace follows the predecessors back to the start.
func trace(before map[ident.NodeID]ident.NodeID, from, to ident.NodeID) []ident.NodeID {
	path := []ident.NodeID{to}
	for at := to; at != from; {
		at = before[at]
		path = append(path, at)
	}
	slices.Reverse(path)
	return path
}

type step struct {
	to   ident.NodeID
	cost uint32
}

type graph map[ident.NodeID][]step

func newGraph(t *state.Table, extra []Edge) graph {
	g := graph{}
	t.Each(func(r state.Row) bool {
		if !r.Parent.IsZero() {
			g.connect(Edge{A: r.Key, B: r.Parent, Cost: 1})
		}
		return true
	})
	for _, e := range extra {
		g.connect(e)
	}
	return g
}

func (g graph) connect(e Edge) {
	g[e.A] = append(g[e.A], step{e.B, e.Cost})
	g[e.B] = append(g[e.B], step{e.A, e.Cost})
}

type candidate struct {
	key  ident.NodeID
	cost uint64
}

// frontier is a heap of keys that were met and are not done, cheapest first, lower keys before
// higher ones.
type frontier []candidate

func (f frontier) Len() int { return len(f) }

func (f frontier) Less(i, j int) bool {
	if f[i].cost != f[j].cost {
		return f[i].cost < f[j].cost
	}
	return f[i].key.Compare(f[j].key) < 0
}

func (f frontier) Swap(i, j int) { f[i], f[j] = f[j], f[i] }

// Push is for container/heap.
func (f *frontier) Push(x any) {
	c, ok := x.(candidate)
	if !ok {
		panic("route: something other than a candidate was pushed")
	}
	*f = append(*f, c)
}

// Pop is for container/heap.
func (f *frontier) Pop() any {
	last := (*f)[len(*f)-1]
	*f = (*f)[:len(*f)-1]
	return last
}

func (f *frontier) take() candidate {
	c, ok := heap.Pop(f).(candidate)
	if !ok {
		panic("route: something other than a candidate was popped")
	}
	return c
}
