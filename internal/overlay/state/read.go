// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"slices"

	"staex/internal/ident"
)

// Get returns the row of a key.
func (t *Table) Get(key ident.NodeID) (Row, bool) {
	e, ok := t.rows[key]
	if !ok {
		return Row{}, false
	}
	b, _ := e.climb()
	return rowOf(e, b.via), true
}

func rowOf(e *entry, via Via) Row {
	rec, err := parseRecord(e.encoded)
	if err != nil {
		panic("state: a row does not decode: " + err.Error())
	}
	return Row{Record: *rec, Via: via, Encoded: e.encoded}
}

// Parent returns the parent that the record of a key names; zero is the parent of a root. It costs
// less than Get.
func (t *Table) Parent(key ident.NodeID) (ident.NodeID, bool) {
	e, ok := t.rows[key]
	if !ok {
		return ident.NodeID{}, false
	}
	return ident.NodeID(e.encoded[parentAt:networkAt]), true
}

// Branch returns the link through which a key is reached, without decoding its row.
func (t *Table) Branch(key ident.NodeID) (Via, bool) {
	e, ok := t.rows[key]
	if !ok {
		return 0, false
	}
	b, _ := e.climb()
	return b.via, true
}

// Knows reports whether the row of a key holds exactly these signed bytes, so that they need not be
// verified again.
func (t *Table) Knows(key ident.NodeID, encoded []byte) bool {
	e, ok := t.rows[key]
	return ok && bytes.Equal(e.encoded, encoded)
}

// Len is the number of rows, the node's own included.
func (t *Table) Len() int { return len(t.rows) }

// LenVia is the number of rows of one link.
func (t *Table) LenVia(via Via) int {
	if b, ok := t.branches[via]; ok {
		return b.rows
	}
	return 0
}

// Full reports whether a link, or the whole table, has no room for the row of another key.
func (t *Table) Full(via Via) bool {
	b, ok := t.branches[via]
	rows, quota := 0, t.limits.PerVia
	if ok {
		rows, quota = b.rows, b.quota
	}
	return rows >= quota || len(t.rows) >= t.limits.Rows
}

// Hosted counts the endpoints directly below a key, and stops counting at most.
func (t *Table) Hosted(key ident.NodeID, most int) (count int) {
	e, ok := t.rows[key]
	if !ok {
		return 0
	}
	for c := e.child; c != nil && count < most; c = c.next {
		if c.kind() != Node {
			count++
		}
	}
	return count
}

// Each calls visit with every row in key order until it returns false. visit may change the
// table: a row that is gone by then is left out, a new one is not seen.
func (t *Table) Each(visit func(Row) bool) {
	if t.sorted == nil {
		t.sorted = make([]*entry, 0, len(t.rows))
		for _, e := range t.rows {
			t.sorted = append(t.sorted, e)
		}
		slices.SortFunc(t.sorted, func(a, b *entry) int { return a.key.Compare(b.key) })
	}
	for _, e := range t.sorted {
		if t.rows[e.key] != e {
			continue
		}
		b, _ := e.climb()
		if !visit(rowOf(e, b.via)) {
			return
		}
	}
}

// Walk calls visit with the node's own record, if there is one, and then with every row, each
// parent before its children and siblings in key order, until visit returns false. It is the order
// in which another table admits the rows. visit must not change the table.
func (t *Table) Walk(visit func(Row) bool) {
	if own, ok := t.Get(t.self); ok && !visit(own) {
		return
	}
	walk(t.childEntries(t.self), visit)
}

func walk(list []*entry, visit func(Row) bool) bool {
	for _, e := range list {
		b, _ := e.climb()
		if !visit(rowOf(e, b.via)) || !walk(e.children(), visit) {
			return false
		}
	}
	return true
}

// WalkFrom is Walk for one key and what is below it.
func (t *Table) WalkFrom(key ident.NodeID, visit func(Row) bool) {
	if key == t.self {
		t.Walk(visit)
		return
	}
	if e, ok := t.rows[key]; ok {
		walk([]*entry{e}, visit)
	}
}

// Children returns the keys directly below a key, in order: nodes and endpoints.
func (t *Table) Children(key ident.NodeID) []ident.NodeID {
	var keys []ident.NodeID
	for _, e := range t.childEntries(key) {
		keys = append(keys, e.key)
	}
	return keys
}

// childEntries lists what is directly below a key in key order. Below this node itself hang the
// heads of all branches.
func (t *Table) childEntries(key ident.NodeID) []*entry {
	if key != t.self {
		if e, ok := t.rows[key]; ok {
			return e.children()
		}
		return nil
	}
	var list []*entry
	for _, b := range t.branches {
		for c := b.root.child; c != nil; c = c.next {
			if c.key != t.self {
				list = append(list, c)
			}
		}
	}
	slices.SortFunc(list, func(a, b *entry) int { return a.key.Compare(b.key) })
	return list
}

// SetKeyVia sets the secret under which the digest of one link is made, and makes it anew. Both
// ends of a link use the same key. Without a call the key is all zero.
func (t *Table) SetKeyVia(via Via, key [32]byte) {
	b := t.branch(via)
	b.sum = newDigest(key)
	for c := b.root.child; c != nil; c = c.next {
		c.subtree(b.sum.add)
	}
}

// DigestVia is the digest of all rows of one link, as the neighbour there computes it over its
// whole table.
func (t *Table) DigestVia(via Via) [4]byte {
	if b, ok := t.branches[via]; ok {
		return b.sum.bytes()
	}
	return [4]byte{}
}

// SetKey sets the secret under which the digest of the whole table is made, and makes it anew.
func (t *Table) SetKey(key [32]byte) {
	t.sum = newDigest(key)
	for _, e := range t.rows {
		t.sum.add(e)
	}
}

// DigestAll is the digest of the whole table, the node's own rows included.
func (t *Table) DigestAll() [4]byte { return t.sum.bytes() }

// Digest computes the digest of the chosen rows under a key from scratch. It takes time in
// proportion to the table.
func (t *Table) Digest(key [32]byte, chosen func(Row) bool) uint32 {
	sum := newDigest(key)
	t.Each(func(r Row) bool {
		if chosen(r) {
			sum.total += sum.of(r.Key, r.Seq)
		}
		return true
	})
	return sum.total
}
