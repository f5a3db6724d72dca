// SPDX-License-Identifier: Apache-2.0

package state

import (
	"encoding/binary"
	"slices"
	"sort"

	"staex/internal/ident"
)

// leafRows is how many rows one leaf holds: 2 KiB, which the allocator has a size for.
const leafRows = 255

// leaf is a run of rows in key order. The first bytes of their keys stand beside the numbers, so
// that a search seldom looks at a row.
type leaf struct {
	n     uint32
	hints [leafRows]uint32
	rows  [leafRows]rowID
}

func hintOf(key *ident.NodeID) uint32 { return binary.BigEndian.Uint32(key[:]) }

// order is the numbers of all rows sorted by key: it finds a key, and walks a range of them. Two
// levels are enough for a million rows, and nobody can choose keys that make it slow, as in a hash
// table.
type order struct {
	store  *rowStore
	leaves []*leaf  // none is empty
	lows   []uint64 // first 8 bytes of the first key of each leaf
	turn   uint32   // counts the changes
}

// place is a position in the order.
type place struct{ leaf, at int }

func (o *order) key(id rowID) *ident.NodeID { return &o.store.at(id).key }

// seek finds a key, or the place where it belongs.
func (o *order) seek(key *ident.NodeID) (p place, found bool) {
	low := binary.BigEndian.Uint64(key[:])
	p.leaf = sort.Search(len(o.leaves), func(i int) bool {
		if o.lows[i] != low {
			return o.lows[i] > low
		}
		return o.key(o.leaves[i].rows[0]).Compare(*key) > 0
	}) - 1
	if p.leaf < 0 {
		return place{}, false
	}
	l, hint := o.leaves[p.leaf], hintOf(key)
	p.at = sort.Search(int(l.n), func(i int) bool {
		if l.hints[i] != hint {
			return l.hints[i] > hint
		}
		return o.key(l.rows[i]).Compare(*key) >= 0
	})
	return p, p.at < int(l.n) && *o.key(l.rows[p.at]) == *key
}

// get returns the row of a key.
func (o *order) get(key *ident.NodeID) (rowID, bool) {
	p, ok := o.seek(key)
	if !ok {
		return noRow, false
	}
	return o.leaves[p.leaf].rows[p.at], true
}

// insert adds a row whose key is not there yet.
func (o *order) insert(id rowID) {
	o.turn++
	p, _ := o.seek(o.key(id))
	if len(o.leaves) == 0 {
		o.leaves, o.lows = append(o.leaves, &leaf{}), append(o.lows, 0)
	}
	l := o.leaves[p.leaf]
	if l.n == leafRows {
		p = o.split(p)
		l = o.leaves[p.leaf]
	}
	copy(l.rows[p.at+1:l.n+1], l.rows[p.at:l.n])
	copy(l.hints[p.at+1:l.n+1], l.hints[p.at:l.n])
	l.rows[p.at], l.hints[p.at] = id, hintOf(o.key(id))
	l.n++
	o.setLow(p.leaf)
}

// split makes two leaves of a full one. A row at the very end goes into a leaf of its own, so that
// keys which come in order fill their leaves.
func (o *order) split(p place) place {
	old, cut := o.leaves[p.leaf], leafRows/2
	if p.at == leafRows {
		cut = leafRows
	}
	fresh := &leaf{n: uint32(leafRows - cut)}
	copy(fresh.rows[:], old.rows[cut:])
	copy(fresh.hints[:], old.hints[cut:])
	old.n = uint32(cut)
	o.leaves = slices.Insert(o.leaves, p.leaf+1, fresh)
	o.lows = slices.Insert(o.lows, p.leaf+1, 0)
	if fresh.n > 0 {
		o.setLow(p.leaf + 1)
	}
	if p.at > cut || cut == leafRows {
		return place{p.leaf + 1, p.at - cut}
	}
	return p
}

func (o *order) setLow(i int) {
	o.lows[i] = binary.BigEndian.Uint64(o.key(o.leaves[i].rows[0])[:])
}

// remove takes out the row of a key, which is there.
func (o *order) remove(key *ident.NodeID) {
	o.turn++
	p, _ := o.seek(key)
	l := o.leaves[p.leaf]
	copy(l.rows[p.at:], l.rows[p.at+1:l.n])
	copy(l.hints[p.at:], l.hints[p.at+1:l.n])
	l.n--
	if l.n == 0 {
		o.drop(p.leaf)
		return
	}
	o.setLow(p.leaf)
	if next := p.leaf + 1; next < len(o.leaves) && l.n+o.leaves[next].n <= leafRows/2 {
		behind := o.leaves[next]
		copy(l.hints[l.n:], behind.hints[:behind.n])
		l.n += uint32(copy(l.rows[l.n:], behind.rows[:behind.n]))
		o.drop(next)
	}
}

func (o *order) drop(i int) {
	o.leaves, o.lows = slices.Delete(o.leaves, i, i+1), slices.Delete(o.lows, i, i+1)
}

// walk calls visit with the rows from a key on, in order, until it returns false. visit may change
// the order: the walk goes on behind the key it was at.
func (o *order) walk(from ident.NodeID, visit func(rowID) bool) {
	p, _ := o.seek(&from)
	for p.leaf < len(o.leaves) {
		if l := o.leaves[p.leaf]; p.at < int(l.n) {
			id := l.rows[p.at]
			key, turn := *o.key(id), o.turn
			if !visit(id) {
				return
			}
			p.at++
			if turn != o.turn {
				var found bool
				if p, found = o.seek(&key); found {
					p.at++
				}
			}
			continue
		}
		p = place{leaf: p.leaf + 1}
	}
}

// count is how many rows there are from one key on and before another; all says that there is no
// other. It takes time in proportion to the leaves.
func (o *order) count(from, to *ident.NodeID, all bool) int {
	p, _ := o.seek(from)
	q := place{leaf: len(o.leaves)}
	if !all {
		q, _ = o.seek(to)
	}
	n := q.at - p.at
	for i := p.leaf; i < q.leaf; i++ {
		n += int(o.leaves[i].n)
	}
	return n
}
