// SPDX-License-Identifier: Apache-2.0

// Package state is the record: the signed rows of everything that hangs below this node, as a
// tree. It never checks a certificate, chooses a route, or sends anything.
package state

import (
	"fmt"
	"math"
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

// Row is one record and the link that leads to its key. Encoded are the signed bytes and Cert the
// certificate that came with them; both are nil, and Sig and Tags empty, when the log has no room
// for them or lost them.
type Row struct {
	Record
	Via     Via
	Encoded []byte
	Cert    []byte
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
// same branch; there is no cycle; no row is deeper than MaxDepth. A row costs about 50 bytes beside
// its key; what was signed lies in a Log. A Table is for one goroutine.
type Table struct {
	self     ident.NodeID
	parent   ident.NodeID // that our own record names
	limits   Limits
	store    *rowStore
	order    order
	journal  journal
	branches map[Via]rowID // one for each link that was mentioned and not removed
	roots    []*branch     // by the number in their id; nil: spare
	spare    []rowID
	networks networkBook
	sum      digest
	zero     digestKey // of a link whose key was not set
}

// New makes an empty table for the node with key self. It keeps WholeRecords records in memory;
// see KeepIn.
func New(self ident.NodeID, limits Limits) *Table {
	if limits.Rows <= 0 || uint64(limits.Rows) > uint64(rootBit) {
		limits.Rows = DefaultRows
	}
	if limits.PerVia <= 0 {
		limits.PerVia = ChildRows
	}
	t := &Table{
		self:     self,
		limits:   limits,
		store:    &rowStore{free: noRow},
		journal:  newJournal(NewMemory(WholeRecords)),
		branches: map[Via]rowID{},
		networks: networkBook{number: map[ident.NetworkHash]uint16{}},
		zero:     newDigestKey([32]byte{}),
	}
	t.sum.key = t.zero
	t.order.store = t.store
	t.branch(Self)
	return t
}

// KeepIn gives an empty table the log for its signed bytes. Later it panics: what the rows point
// to would be lost.
func (t *Table) KeepIn(log Log) {
	if t.store.used > 0 {
		panic("state: the log of a table in use was changed")
	}
	t.journal = newJournal(log)
}

// String says how large the table is.
func (t *Table) String() string { return fmt.Sprintf("table of %d rows", t.Len()) }

// Self is the key of the node whose table this is.
func (t *Table) Self() ident.NodeID { return t.self }

// SetQuota bounds the rows of one link from now on; what is there already stays.
func (t *Table) SetQuota(via Via, rows int) {
	if via != Self {
		t.branch(via).quota = int32(min(rows, math.MaxInt32))
	}
}

// Put is Admit without a certificate.
func (t *Table) Put(rec *Record, encoded []byte, from From) Change {
	return t.Admit(rec, encoded, nil, from)
}

// Admit offers a record to the table, with the certificate that is to be passed on with it; an
// empty one leaves that of the row as it is. The caller has verified the signature, and that the
// key belongs to an admitted network. encoded must be the bytes that rec was decoded from, or nil;
// the table keeps copies. A record that does not decode is a mistake of the caller and panics.
//
// Who may say what: this node speaks of itself and of endpoints that it hosts; a neighbour speaks
// of itself, with this node as parent, and of keys whose parent is the neighbour or below it.
// A newer sequence number wins. The same record from a neighbour's new link moves its branch there.
func (t *Table) Admit(rec *Record, encoded, cert []byte, from From) Change {
	if len(encoded) == 0 {
		encoded = rec.Append(nil)
	}
	if _, err := parseRecord(encoded); err != nil {
		panic("state: put of a record that does not decode: " + err.Error())
	}
	old, known := t.order.get(&rec.Key)
	home, refused := t.home(rec, from)
	if known {
		switch c := t.compareAge(rec, encoded, cert, old); {
		case c == Same && t.newLink(old, home, refused, from):
			return t.move(old, home)
		case c != Updated:
			return c
		}
	}
	if refused != 0 {
		return refused
	}
	if !known {
		return t.insert(rec, encoded, cert, home, from)
	}
	return t.replace(rec, encoded, cert, old, home)
}

// compareAge says whether a record is newer than the row of the same key: Updated, Same or Stale.
// The bytes of a row that the log had no room for are offered to it again.
func (t *Table) compareAge(rec *Record, encoded, cert []byte, old rowID) Change {
	switch r := t.store.at(old); {
	case rec.Seq > r.seqNumber():
		return Updated
	case rec.Seq == r.seqNumber() && r.sum == sumOf(encoded):
		if r.offset == noEntry {
			t.journal.write(r, encoded, cert)
		}
		return Same
	default:
		return Stale
	}
}

// newLink reports whether a known record of a neighbour came through another link than before.
func (t *Table) newLink(old, home rowID, refused Change, from From) bool {
	return refused == 0 && isRoot(home) && t.store.at(old).parent != home && from.Via != Self
}

// home finds the place below which a record belongs, or why the sender may not put it there.
func (t *Table) home(rec *Record, from From) (rowID, Change) {
	switch {
	case rec.Key == t.self && from.Via != Self:
		return noRow, Loop
	case rec.Key == t.self, from.Via == Self && rec.Kind != Node && rec.Parent == t.self:
		return t.branch(Self).id, 0
	case from.Via == Self:
		return noRow, BadParent
	case rec.Parent == t.self && rec.Key == from.Neighbour && rec.Kind == Node:
		return t.branch(from.Via).id, 0
	}
	parent, ok := t.order.get(&rec.Parent)
	if !ok || rec.Parent == t.self || t.store.at(parent).kind != Node {
		return noRow, BadParent
	}
	b, depth := t.climb(parent)
	if b.via != from.Via || depth >= MaxDepth {
		return noRow, BadParent
	}
	return parent, 0
}

// insert adds the first record of a key.
func (t *Table) insert(rec *Record, encoded, cert []byte, home rowID, from From) Change {
	b := t.branch(from.Via)
	if t.store.count >= t.limits.Rows || b.rows >= b.quota || !t.networkHasRoom(rec.Network) {
		return Quota
	}
	id := t.store.alloc()
	r := t.store.at(id)
	*r = row{key: rec.Key, child: noRow, offset: noEntry}
	t.attach(id, home)
	t.fill(r, rec, encoded, cert)
	t.order.insert(id)
	b.rows++
	b.sum.add(r)
	t.sum.add(r)
	return Added
}

// fill writes what a record says into its row.
func (t *Table) fill(r *row, rec *Record, encoded, cert []byte) {
	r.kind, r.sum, r.network = rec.Kind, sumOf(encoded), t.networks.add(rec.Network)
	r.setSeq(rec.Seq)
	if rec.Key == t.self {
		t.parent = rec.Parent
	}
	t.journal.write(r, encoded, cert)
	if r.offset == noEntry && r.parent == t.branches[Self] {
		t.makeRoom()
		t.journal.write(r, encoded, cert)
	}
	t.journal.sweep(t.store)
}

// makeRoom gives up the bytes of a row below: nobody else has those of our own rows.
func (t *Table) makeRoom() {
	for id := range t.store.used {
		r := t.store.at(id)
		if r.kind == 0 || r.offset == noEntry || r.parent == t.branches[Self] {
			continue
		}
		t.journal.drop(r)
		return
	}
}

func (t *Table) networkHasRoom(n ident.NetworkHash) bool {
	limit, bounded := t.limits.PerNetwork[n]
	return t.networks.hasRoom(n) && (!bounded || t.networks.rows(n) < limit)
}

// replace puts a newer record into the row of its key.
func (t *Table) replace(rec *Record, encoded, cert []byte, old, home rowID) Change {
	r := t.store.at(old)
	if rec.Kind != Node && r.child != noRow {
		return BadParent
	}
	if rec.Network != t.networks.list[r.network].hash && !t.networkHasRoom(rec.Network) {
		return Quota
	}
	change := Updated
	if home != r.parent {
		if change = t.move(old, home); !change.Changed() {
			return change
		}
	}
	if len(cert) == 0 {
		_, _, cert = t.journal.read(r)
	}
	b, _ := t.climb(old)
	b.sum.remove(r)
	t.sum.remove(r)
	t.networks.remove(r.network)
	t.fill(r, rec, encoded, cert)
	b.sum.add(r)
	t.sum.add(r)
	return change
}

// move hangs a row, with all below it, under another place.
func (t *Table) move(id, home rowID) Change {
	if t.below(home, id) {
		return Loop
	}
	source, _ := t.climb(id)
	target, depth := t.climb(home)
	rows, height := t.measure(id)
	if depth+height > MaxDepth {
		return BadParent
	}
	if source != target && int(target.rows)+rows > int(target.quota) {
		return Quota
	}
	t.detach(id)
	t.attach(id, home)
	if source == target {
		return Updated
	}
	source.rows -= int32(rows)
	target.rows += int32(rows)
	t.subtree(id, func(each rowID) {
		source.sum.remove(t.store.at(each))
		target.sum.add(t.store.at(each))
	})
	return Moved
}

// Remove takes out the row of a key and all rows below it, and returns their keys in order.
func (t *Table) Remove(key ident.NodeID) []ident.NodeID {
	top, ok := t.order.get(&key)
	if !ok {
		return nil
	}
	b, _ := t.climb(top)
	var dead []rowID
	t.subtree(top, func(id rowID) { dead = append(dead, id) })
	t.detach(top)
	gone := make([]ident.NodeID, 0, len(dead))
	for _, id := range dead {
		r := t.store.at(id)
		gone = append(gone, r.key)
		b.rows--
		b.sum.remove(r)
		t.sum.remove(r)
		t.networks.remove(r.network)
		t.journal.drop(r)
		t.order.remove(&r.key)
		t.store.release(id)
	}
	slices.SortFunc(gone, ident.NodeID.Compare)
	return gone
}

// RemoveVia takes out all rows of a link, with its quota and digest key, and returns their keys in
// order.
func (t *Table) RemoveVia(via Via) []ident.NodeID {
	b := t.lookBranch(via)
	if b == nil {
		return nil
	}
	var gone []ident.NodeID
	for b.child != noRow {
		gone = append(gone, t.Remove(t.store.at(b.child).key)...)
	}
	if via != Self {
		t.dropBranch(b)
	}
	slices.SortFunc(gone, ident.NodeID.Compare)
	return gone
}
