// SPDX-License-Identifier: Apache-2.0

package state

import (
	"encoding/binary"
	"math"

	"golang.org/x/crypto/blake2s"

	"staex/internal/ident"
	"staex/internal/wire"
)

// All stands for all links together, and this node's own rows.
const All Via = math.MaxUint32

// Parts are the digests of the sixteen parts of a span of keys, and how many rows each has. A part
// without rows has the digest zero.
type Parts struct {
	Sums [wire.SpanParts][wire.SumSize]byte
	Rows [wire.SpanParts]int
}

// sum128 is a digest under way: two integers that are added apart.
type sum128 [2]uint64

func (s *sum128) add(hash [blake2s.Size]byte) {
	s[0] += binary.BigEndian.Uint64(hash[:])
	s[1] += binary.BigEndian.Uint64(hash[8:])
}

// PartsOf computes the digests of the parts of a span, over the rows of one link or of All, under
// the key that SetKeyVia or SetKey has set. Both ends of a link compute them alike, as those of
// DigestVia and DigestAll. It takes time in proportion to the rows of the link or those of the
// span, whichever are fewer.
func (t *Table) PartsOf(via Via, s wire.Span) Parts {
	var p Parts
	key := &t.sum.key
	if b := t.lookBranch(via); b != nil {
		key = &b.sum.key
	}
	x := newHasher(key)
	var sums [wire.SpanParts]sum128
	t.eachIn(via, s, func(id rowID) {
		r := t.store.at(id)
		i := s.PartOf(&r.key)
		p.Rows[i]++
		sums[i].add(x.row(&r.key, r.seqNumber()))
	})
	for i, sum := range sums {
		binary.BigEndian.PutUint64(p.Sums[i][:], sum[0])
		binary.BigEndian.PutUint64(p.Sums[i][8:], sum[1])
	}
	return p
}

// Cost is how many rows PartsOf would look at.
func (t *Table) Cost(via Via, s wire.Span) int {
	if b := t.lookBranch(via); b != nil {
		return min(int(b.rows), t.countIn(s))
	}
	return t.countIn(s)
}

// EntriesIn lists the rows of one link, or of All, whose keys lie in a span, in key order.
func (t *Table) EntriesIn(via Via, s wire.Span) []Entry {
	var ids []rowID
	t.eachIn(via, s, func(id rowID) { ids = append(ids, id) })
	t.sort(ids)
	list := make([]Entry, len(ids))
	for i, id := range ids {
		list[i] = t.entry(id)
	}
	return list
}

// eachIn calls visit with the rows of a span, in any order. The rows of a link are found from its
// branch or among all of the span.
func (t *Table) eachIn(via Via, s wire.Span, visit func(rowID)) {
	b := t.lookBranch(via)
	switch {
	case b == nil && via != All:
		return
	case via == All && s.Nibbles == 0:
		for id := range t.store.used {
			if t.store.at(id).kind != 0 {
				visit(id)
			}
		}
		return
	case b != nil && int(b.rows) <= 2*t.countIn(s): // no look at what is above each row
		for c := b.child; c != noRow; c = t.store.at(c).next {
			t.subtree(c, func(id rowID) {
				if s.Holds(&t.store.at(id).key) {
					visit(id)
				}
			})
		}
		return
	}
	t.order.walk(s.Prefix, func(id rowID) bool {
		if !s.Holds(&t.store.at(id).key) {
			return false
		}
		if via == All || t.under(id, b) {
			visit(id)
		}
		return true
	})
}

func (t *Table) under(id rowID, b *branch) bool {
	above, _ := t.climb(id)
	return above == b
}

func (t *Table) countIn(s wire.Span) int {
	end, ok := s.End()
	return t.order.count(&s.Prefix, &end, !ok)
}

// Depth is how many rows stand above a key below this node, itself counted; 0 for a key without
// a row. Sorted by it, parents come before their children.
func (t *Table) Depth(key ident.NodeID) int {
	id, ok := t.order.get(&key)
	if !ok {
		return 0
	}
	_, depth := t.climb(id)
	return depth
}
