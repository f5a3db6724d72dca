// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"

	"staex/internal/ident"
)

// Entry is what the table itself holds of a row: all but the signed bytes and the tags.
type Entry struct {
	Kind    Kind
	Key     ident.NodeID
	Parent  ident.NodeID
	Network ident.NetworkHash
	Seq     uint64
	Via     Via
}

// Find returns the row of a key without asking the log.
func (t *Table) Find(key ident.NodeID) (Entry, bool) {
	id, ok := t.order.get(&key)
	if !ok {
		return Entry{}, false
	}
	return t.entry(id), true
}

func (t *Table) entry(id rowID) Entry {
	r := t.store.at(id)
	b, _ := t.climb(id)
	return Entry{
		Kind: r.kind, Key: r.key, Parent: t.parentOf(r), Network: t.networks.list[r.network].hash,
		Seq: r.seqNumber(), Via: b.via,
	}
}

// parentOf is the parent that a row's record names: that of our own record is outside the table.
func (t *Table) parentOf(r *row) ident.NodeID {
	switch {
	case r.key == t.self:
		return t.parent
	case isRoot(r.parent):
		return t.self
	}
	return t.store.at(r.parent).key
}

// Get returns the row of a key with its signed bytes, as far as the log has them.
func (t *Table) Get(key ident.NodeID) (Row, bool) {
	id, ok := t.order.get(&key)
	if !ok {
		return Row{}, false
	}
	return t.rowOf(id), true
}

func (t *Table) rowOf(id rowID) Row {
	rec, encoded, cert := t.journal.read(t.store.at(id))
	e := t.entry(id)
	if rec == nil {
		rec = &Record{Kind: e.Kind, Key: e.Key, Parent: e.Parent, Network: e.Network, Seq: e.Seq}
	}
	return Row{Record: *rec, Via: e.Via, Encoded: encoded, Cert: cert}
}

// Parent returns the parent that the record of a key names; zero is the parent of a root. It costs
// less than Get.
func (t *Table) Parent(key ident.NodeID) (ident.NodeID, bool) {
	id, ok := t.order.get(&key)
	if !ok {
		return ident.NodeID{}, false
	}
	return t.parentOf(t.store.at(id)), true
}

// Branch returns the link through which a key is reached, without decoding its row.
func (t *Table) Branch(key ident.NodeID) (Via, bool) {
	id, ok := t.order.get(&key)
	if !ok {
		return 0, false
	}
	b, _ := t.climb(id)
	return b.via, true
}

// Knows reports whether the row of a key holds exactly these signed bytes, so that they need not be
// verified again. It is false for bytes that the log does not have.
func (t *Table) Knows(key ident.NodeID, encoded []byte) bool {
	id, ok := t.order.get(&key)
	if !ok || t.store.at(id).sum != sumOf(encoded) {
		return false
	}
	_, kept, _ := t.journal.read(t.store.at(id))
	return kept != nil && bytes.Equal(kept, encoded)
}

// Heard reports whether the row of a record's key was made from these bytes, without asking the
// log. A checksum tells, which only the owner of the key can deceive: see Knows.
func (t *Table) Heard(rec *Record, encoded []byte) bool {
	id, ok := t.order.get(&rec.Key)
	if !ok {
		return false
	}
	r := t.store.at(id)
	return r.seqNumber() == rec.Seq && r.sum == sumOf(encoded)
}

// Keeps reports whether the log has the signed bytes of a key's row.
func (t *Table) Keeps(key ident.NodeID) bool {
	id, ok := t.order.get(&key)
	return ok && t.store.at(id).offset != noEntry
}

// Len is the number of rows, the node's own included.
func (t *Table) Len() int { return t.store.count }

// LenVia is the number of rows of one link.
func (t *Table) LenVia(via Via) int {
	if b := t.lookBranch(via); b != nil {
		return int(b.rows)
	}
	return 0
}

// Full reports whether a link, or the whole table, has no room for the row of another key.
func (t *Table) Full(via Via) bool {
	rows, quota := 0, t.limits.PerVia
	if b := t.lookBranch(via); b != nil {
		rows, quota = int(b.rows), int(b.quota)
	}
	return rows >= quota || t.store.count >= t.limits.Rows
}

// Hosted counts the endpoints directly below a key, and stops counting at most.
func (t *Table) Hosted(key ident.NodeID, most int) (count int) {
	id, ok := t.order.get(&key)
	if !ok {
		return 0
	}
	for c := t.store.at(id).child; c != noRow && count < most; c = t.store.at(c).next {
		if t.store.at(c).kind != Node {
			count++
		}
	}
	return count
}

// Each calls visit with every row in key order until it returns false. visit may change the
// table: a row that is gone by then is left out.
func (t *Table) Each(visit func(Row) bool) {
	t.order.walk(ident.NodeID{}, func(id rowID) bool { return visit(t.rowOf(id)) })
}

// EachEntry is Each without a look into the log.
func (t *Table) EachEntry(visit func(Entry) bool) {
	t.order.walk(ident.NodeID{}, func(id rowID) bool { return visit(t.entry(id)) })
}

// Walk calls visit with the node's own record, if there is one, and then with every row, each
// parent before its children and siblings in key order, until visit returns false. It is the order
// in which another table admits the rows. visit must not change the table.
func (t *Table) Walk(visit func(Row) bool) {
	t.walkIDs(func(id rowID) bool { return visit(t.rowOf(id)) })
}

// WalkEntries is Walk without a look into the log.
func (t *Table) WalkEntries(visit func(Entry) bool) {
	t.walkIDs(func(id rowID) bool { return visit(t.entry(id)) })
}

func (t *Table) walkIDs(visit func(rowID) bool) {
	if own, ok := t.order.get(&t.self); ok && !visit(own) {
		return
	}
	t.walk(t.childRows(t.self), visit)
}

func (t *Table) walk(list []rowID, visit func(rowID) bool) bool {
	for _, id := range list {
		if !visit(id) || !t.walk(t.children(id), visit) {
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
	if id, ok := t.order.get(&key); ok {
		t.walk([]rowID{id}, func(id rowID) bool { return visit(t.rowOf(id)) })
	}
}

// Children returns the keys directly below a key, in order: nodes and endpoints.
func (t *Table) Children(key ident.NodeID) []ident.NodeID {
	var keys []ident.NodeID
	for _, id := range t.childRows(key) {
		keys = append(keys, t.store.at(id).key)
	}
	return keys
}
