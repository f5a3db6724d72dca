// SPDX-License-Identifier: Apache-2.0

// Package state is the record: the signed rows of everything that hangs below this node, as a
// tree. It never checks a certificate, chooses a route, or sends anything.
package state

import (
	"bytes"
	"fmt"
	"slices"

	"staex/internal/ident"
)

const (
	// MaxDepth is how many rows may stand above one another below this node; it is also the most
	// hops that a path may take.
	MaxDepth = 64

	// DefaultRows bounds a table whose Limits say nothing: a million nodes under one root.
	DefaultRows = 1 << 20

	// ChildRows is the quota of a link for which nothing else was set: a gateway with its devices
	// fits, a stranger's child cannot fill the table.
	ChildRows = 256
)

// Via is the link through which a row is reached.
type Via uint32

// Self is the Via of this node's own rows: its own record and its endpoints'.
const Self Via = 0

// From says where a record came from: the link, and the key that was proven at its other end.
// The zero value is this node itself.
type From struct {
	Via       Via
	Neighbour ident.NodeID
}

// Limits bound a table. Zero values stand for DefaultRows, ChildRows, and no bound by network.
type Limits struct {
	Rows       int                       // all rows together
	PerVia     int                       // rows of one link; SetQuota overrides it
	PerNetwork map[ident.NetworkHash]int // rows of one network; those not named are not bounded
}

// Row is one record and the link that leads to its key. Encoded are the signed bytes, which must
// not be changed.
type Row struct {
	Record
	Via     Via
	Encoded []byte
}

// Change is what Put did with a record. Zero is not a change.
type Change uint8

const (
	// Added means that the key had no row and has one now.
	Added Change = iota + 1
	// Moved means that the row is reached through another link now, and with it all rows below.
	Moved
	// Updated means that the row was replaced and is reached through the same link as before.
	Updated
	// Stale means that a newer record is known, or another one with the same sequence number.
	// Nothing changed.
	Stale
	// Same means that this very record is known. Nothing changed.
	Same
	// Quota means that a limit of link, network or table leaves no room. Nothing changed.
	Quota
	// BadParent means that the sender may not say this: the parent is not the sender and not below
	// it, or cannot have children, or stands too deep. Nothing changed.
	BadParent
	// Loop means that the parent hangs below the key, or that the record is this node's own.
	// Nothing changed.
	Loop
)

// String names the change.
func (c Change) String() string {
	switch c {
	case Added:
		return "added"
	case Moved:
		return "moved"
	case Updated:
		return "updated"
	case Stale:
		return "stale"
	case Same:
		return "same"
	case Quota:
		return "quota"
	case BadParent:
		return "bad-parent"
	case Loop:
		return "loop"
	default:
		return fmt.Sprintf("change-%d", uint8(c))
	}
}

// Changed reports whether the table is another one now.
func (c Change) Changed() bool { return c == Added || c == Moved || c == Updated }

// Table holds the rows below one node, and the node's own.
//
//	self ── via 7 ── gateway (the neighbour of link 7)
//	    │                ├── camera
//	    │                └── meter ── endpoint of meter
//	    └── via 0 ── own record, own endpoints
//
// Invariants: every row but those directly below this node has its parent in the table, in the
// same branch; there is no cycle; no row is deeper than MaxDepth. A Table is for one goroutine.
type Table struct {
	self     ident.NodeID
	limits   Limits
	rows     map[ident.NodeID]*entry
	branches map[Via]*branch // one for each link that was mentioned and not removed
	networks map[ident.NetworkHash]int
	sum      digest
	sorted   []*entry // all rows in key order; nil when it must be made again
}

// New makes an empty table for the node with key self.
func New(self ident.NodeID, limits Limits) *Table {
	if limits.Rows <= 0 {
		limits.Rows = DefaultRows
	}
	if limits.PerVia <= 0 {
		limits.PerVia = ChildRows
	}
	return &Table{
		self:     self,
		limits:   limits,
		rows:     make(map[ident.NodeID]*entry),
		branches: map[Via]*branch{Self: newBranch(Self, 0)},
		networks: make(map[ident.NetworkHash]int),
		sum:      newDigest([32]byte{}),
	}
}

// String says how large the table is.
func (t *Table) String() string { return fmt.Sprintf("table of %d rows", len(t.rows)) }

// Self is the key of the node whose table this is.
func (t *Table) Self() ident.NodeID { return t.self }

// SetQuota bounds the rows of one link from now on; what is there already stays.
func (t *Table) SetQuota(via Via, rows int) {
	if via != Self {
		t.branch(via).quota = rows
	}
}

func (t *Table) branch(via Via) *branch {
	b, ok := t.branches[via]
	if !ok {
		b = newBranch(via, t.limits.PerVia)
		t.branches[via] = b
	}
	return b
}

// Put offers a record to the table. The caller has verified the signature, and that the key
// belongs to an admitted network. encoded must be the bytes that rec was decoded from, or nil;
// the table keeps a copy. A record that does not decode is a mistake of the caller and panics.
//
// Who may say what: this node speaks of itself and of endpoints that it hosts; a neighbour speaks
// of itself, with this node as parent, and of keys whose parent is the neighbour or below it.
// A newer sequence number wins. The same record from a neighbour's new link moves its branch there.
func (t *Table) Put(rec *Record, encoded []byte, from From) Change {
	if len(encoded) == 0 {
		encoded = rec.Append(nil)
	}
	if _, err := parseRecord(encoded); err != nil {
		panic("state: put of a record that does not decode: " + err.Error())
	}
	old := t.rows[rec.Key]
	home, refused := t.home(rec, from)
	if old != nil {
		if c := compareAge(rec, encoded, old); c == Same && t.newLink(old, home, from) {
			return t.move(old, home, from)
		} else if c != Updated {
			return c
		}
	}
	if refused != 0 {
		return refused
	}
	if old == nil {
		return t.insert(rec, encoded, home, from)
	}
	return t.replace(rec, encoded, old, home, from)
}

// compareAge says whether a record is newer than the row of the same key: Updated, Same or Stale.
func compareAge(rec *Record, encoded []byte, old *entry) Change {
	switch seq := seqOf(old.encoded); {
	case rec.Seq > seq:
		return Updated
	case rec.Seq == seq && bytes.Equal(encoded, old.encoded):
		return Same
	default:
		return Stale
	}
}

// newLink reports whether a known record of a neighbour came through another link than before.
func (t *Table) newLink(old, home *entry, from From) bool {
	return home != nil && home.branch != nil && old.parent != home && from.Via != Self
}

// home finds the place below which a record belongs, or why the sender may not put it there.
func (t *Table) home(rec *Record, from From) (*entry, Change) {
	switch {
	case rec.Key == t.self && from.Via != Self:
		return nil, Loop
	case rec.Key == t.self, from.Via == Self && rec.Kind != Node && rec.Parent == t.self:
		return &t.branch(Self).root, 0
	case from.Via == Self:
		return nil, BadParent
	case rec.Parent == t.self && rec.Key == from.Neighbour && rec.Kind == Node:
		return &t.branch(from.Via).root, 0
	}
	parent, ok := t.rows[rec.Parent]
	if !ok || rec.Parent == t.self || parent.kind() != Node {
		return nil, BadParent
	}
	b, depth := parent.climb()
	if b.via != from.Via || depth >= MaxDepth {
		return nil, BadParent
	}
	return parent, 0
}

// insert adds the first record of a key.
func (t *Table) insert(rec *Record, encoded []byte, home *entry, from From) Change {
	b := t.branch(from.Via)
	if len(t.rows) >= t.limits.Rows || b.rows >= b.quota || !t.networkHasRoom(rec.Network) {
		return Quota
	}
	e := &entry{key: rec.Key, encoded: bytes.Clone(encoded)}
	e.attach(home)
	t.rows[e.key] = e
	t.networks[rec.Network]++
	b.rows++
	b.sum.add(e)
	t.sum.add(e)
	t.sorted = nil
	return Added
}

func (t *Table) networkHasRoom(n ident.NetworkHash) bool {
	limit, bounded := t.limits.PerNetwork[n]
	return !bounded || t.networks[n] < limit
}

// replace puts a newer record into the row of its key.
func (t *Table) replace(rec *Record, encoded []byte, old, home *entry, from From) Change {
	if rec.Kind != Node && old.child != nil {
		return BadParent
	}
	if rec.Network != old.network() && !t.networkHasRoom(rec.Network) {
		return Quota
	}
	change := Updated
	if home != old.parent {
		if change = t.move(old, home, from); !change.Changed() {
			return change
		}
	}
	b, _ := old.climb()
	b.sum.remove(old)
	t.sum.remove(old)
	t.forgetNetwork(old.network())
	old.encoded = bytes.Clone(encoded)
	t.networks[rec.Network]++
	b.sum.add(old)
	t.sum.add(old)
	return change
}

func (t *Table) forgetNetwork(n ident.NetworkHash) {
	if t.networks[n]--; t.networks[n] == 0 {
		delete(t.networks, n)
	}
}

// move hangs a row, with all below it, under another place.
func (t *Table) move(e, home *entry, from From) Change {
	if home.below(e) {
		return Loop
	}
	source, _ := e.climb()
	target, depth := home.climb()
	rows, height := e.measure()
	if depth+height > MaxDepth {
		return BadParent
	}
	if source != target && target.rows+rows > target.quota {
		return Quota
	}
	e.detach()
	e.attach(home)
	if source == target {
		return Updated
	}
	source.rows -= rows
	target.rows += rows
	e.subtree(func(row *entry) {
		source.sum.remove(row)
		target.sum.add(row)
	})
	return Moved
}

// Remove takes out the row of a key and all rows below it, and returns their keys in order.
func (t *Table) Remove(key ident.NodeID) []ident.NodeID {
	e, ok := t.rows[key]
	if !ok {
		return nil
	}
	b, _ := e.climb()
	var gone []ident.NodeID
	e.subtree(func(row *entry) {
		gone = append(gone, row.key)
		b.rows--
		b.sum.remove(row)
		t.sum.remove(row)
		t.forgetNetwork(row.network())
		delete(t.rows, row.key)
	})
	e.detach()
	t.sorted = nil
	slices.SortFunc(gone, ident.NodeID.Compare)
	return gone
}

// RemoveVia takes out all rows of a link, with its quota and digest key, and returns their keys in
// order.
func (t *Table) RemoveVia(via Via) []ident.NodeID {
	b, ok := t.branches[via]
	if !ok {
		return nil
	}
	var gone []ident.NodeID
	for b.root.child != nil {
		gone = append(gone, t.Remove(b.root.child.key)...)
	}
	if via != Self {
		delete(t.branches, via)
	}
	slices.SortFunc(gone, ident.NodeID.Compare)
	return gone
}
