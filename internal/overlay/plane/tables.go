// SPDX-License-Identifier: Apache-2.0

package plane

import (
	"maps"
	"net/netip"
	"sync/atomic"

	"staex/internal/wire"
)

// chunkRows is how many rows one change copies: small enough for microseconds, large enough
// that the array of chunks stays short.
const chunkRows = 256

type chunk [chunkRows]Row

// Tables is what the workers read. The slow path is the only writer; a reader sees either the old
// or the new row, never half of one.
type Tables struct {
	mask   uint32
	chunks []atomic.Pointer[chunk]
	peers  atomic.Pointer[map[netip.Addr]*Peer]
	self   atomic.Pointer[Self]
	others atomic.Pointer[Peer] // see Open
}

// Self is this node's own inner addresses.
type Self struct{ V4, V6 netip.Addr }

// NewTables returns empty tables for labels whose low indexBits bits are a row number
// (8 to 20 bits).
func NewTables(indexBits uint8) *Tables {
	rows := uint32(1) << indexBits
	chunks := (rows + chunkRows - 1) / chunkRows
	t := &Tables{mask: rows - 1, chunks: make([]atomic.Pointer[chunk], chunks)}
	t.peers.Store(&map[netip.Addr]*Peer{})
	t.self.Store(&Self{})
	return t
}

// SetSelf publishes this node's own inner addresses.
func (t *Tables) SetSelf(v4, v6 netip.Addr) { t.self.Store(&Self{v4, v6}) }

// Self returns this node's own inner addresses.
func (t *Tables) Self() Self { return *t.self.Load() }

// Row returns the row of a label. ok is false when there is none, or when the label's check bits
// are those of an earlier tenant.
func (t *Tables) Row(l wire.Label) (Row, bool) {
	i := uint32(l) & t.mask
	c := t.chunks[i/chunkRows].Load()
	if c == nil {
		return Row{}, false
	}
	r := c[i%chunkRows]
	return r, r.Kind != RowNone && r.Label == l
}

// row is Row without the copy, for the fast path.
func (t *Tables) row(l wire.Label) *Row {
	i := uint32(l) & t.mask
	c := t.chunks[i/chunkRows].Load()
	if c == nil {
		return nil
	}
	if r := &c[i%chunkRows]; r.Kind != RowNone && r.Label == l {
		return r
	}
	return nil
}

// SetRow publishes a row under its label.
func (t *Tables) SetRow(r Row) {
	if r.Used == nil {
		r.Used = new(atomic.Int64)
	}
	t.change(r.Label, r)
}

// DropRow takes a label's row away; a label that has another tenant by now is left alone.
func (t *Tables) DropRow(l wire.Label) {
	if t.row(l) != nil {
		t.change(l, Row{})
	}
}

func (t *Tables) change(l wire.Label, r Row) {
	i := uint32(l) & t.mask
	fresh := new(chunk)
	if old := t.chunks[i/chunkRows].Load(); old != nil {
		*fresh = *old
	}
	fresh[i%chunkRows] = r
	t.chunks[i/chunkRows].Store(fresh)
}

// SetPeer publishes which tunnel an inner address belongs to; nil takes it away.
// The map is copied: tunnels are few (bounded by the tunnel book) and change rarely.
func (t *Tables) SetPeer(a netip.Addr, p *Peer) {
	if !a.IsValid() {
		return
	}
	old := *t.peers.Load()
	fresh := make(map[netip.Addr]*Peer, len(old)+1)
	maps.Copy(fresh, old)
	if p == nil {
		delete(fresh, a)
	} else {
		fresh[a] = p
	}
	t.peers.Store(&fresh)
}

// Open makes packets of this node's own address to addresses that nobody is known behind misses of
// p, which has neither a policy nor a session: the slow path may know who is meant.
func (t *Tables) Open(p *Peer) { t.others.Store(p) }

// Peer returns the tunnel end behind an inner address.
func (t *Tables) Peer(a netip.Addr) *Peer { return (*t.peers.Load())[a] }
