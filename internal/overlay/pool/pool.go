// SPDX-License-Identifier: Apache-2.0

// Package pool is the lease: which local IPv4, IPv6 and MAC address stands for which key on this
// node. It never tells the mapping to another node, and it never configures an address.
package pool

import (
	"container/list"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/crypto/blake2s"

	"staex/internal/ident"
)

const (
	// MaxLeases bounds the table: as many keys as the default IPv4 range has addresses. A lease
	// costs about half a kilobyte.
	MaxLeases = 1 << 16

	// MaxReserved bounds the addresses that may be set aside in each range; a machine with more
	// addresses of its own in an overlay range is misconfigured.
	MaxReserved = 1024

	// HoldTime is how long a lease stays with its key after it was last used: a program may keep
	// an address that it was told by a name answer for that long.
	HoldTime = 10 * time.Minute
)

// Lease is what one key is called on this machine. V4 and V6 are the zero address and MAC is all
// zero where the range of that kind is switched off.
type Lease struct {
	V4, V6 netip.Addr
	MAC    [6]byte
}

// Ranges says where addresses come from. A zero prefix, a prefix of the wrong family, and an
// all-zero mask each switch off one kind. MAC holds the fixed leading octets; the zero octets
// after the last non-zero one are filled in.
type Ranges struct {
	V4, V6 netip.Prefix
	MAC    [6]byte
}

// entry is a key with its lease.
type entry struct {
	id      ident.NodeID
	lease   Lease
	at      [kinds]number
	pins    int
	touched time.Duration
	idle    *list.Element // place in Pool.idle; nil while pinned
}

// The kinds of address, as indexes.
const (
	kindV4 = iota
	kindV6
	kindMAC
	kinds
)

// Pool gives addresses to keys. The address is a pseudo-random function of a local secret and the
// key, so that it is the same after a restart unless two keys collide and meet in another order.
// A Pool is for one goroutine.
type Pool struct {
	random func(kind byte, id ident.NodeID) [32]byte // a closure, so that the secret cannot print
	spaces [kinds]space
	byID   map[ident.NodeID]*entry
	idle   *list.List    // entries without pins, least recently used first
	now    time.Duration // the latest time told
}

// New makes an empty pool. The secret must stay on this node.
func New(r Ranges, secret [32]byte) *Pool {
	return &Pool{
		random: func(kind byte, id ident.NodeID) [32]byte { return prf(secret, kind, id) },
		spaces: [kinds]space{
			kindV4: v4Space(r.V4), kindV6: v6Space(r.V6), kindMAC: macSpace(r.MAC),
		},
		byID: make(map[ident.NodeID]*entry),
		idle: list.New(),
	}
}

func prf(secret [32]byte, kind byte, id ident.NodeID) (out [32]byte) {
	h, err := blake2s.New256(secret[:])
	if err != nil {
		panic("pool: a 32-byte key was refused: " + err.Error())
	}
	h.Write([]byte("staex lease v1"))
	h.Write([]byte{kind})
	h.Write(id[:])
	h.Sum(out[:0])
	return out
}

// String names the pool without its content.
func (p *Pool) String() string { return fmt.Sprintf("pool of %d leases", len(p.byID)) }

// Reserve sets an address aside because the machine already uses it. A lease that holds it is
// given up unless it is pinned. It reports false for an address outside the ranges, a pinned one,
// and when MaxReserved are set aside in that range already.
func (p *Pool) Reserve(a netip.Addr) bool {
	s, n, ok := p.find(a)
	if !ok || len(s.withheld) >= MaxReserved {
		return false
	}
	if id, held := s.owner[n]; held {
		e := p.byID[id]
		if e.pins > 0 {
			return false
		}
		p.drop(e)
	}
	s.withheld[n] = struct{}{}
	return true
}

// Lease returns the addresses of a key and marks them as used now; a key without a lease gets one.
// An address is taken from another key only when no address of the key's own probe sequence is
// free, and then only from one that has no pin and was not used for HoldTime. ok is false when
// that cannot be done.
func (p *Pool) Lease(now time.Duration, id ident.NodeID) (lease Lease, ok bool) {
	p.Touch(now, id)
	if e, held := p.byID[id]; held {
		return e.lease, true
	}
	if len(p.byID) >= MaxLeases && !p.dropOldest() {
		return Lease{}, false
	}
	e := &entry{id: id, touched: p.now}
	var victims [kinds]*entry
	for k := range p.spaces {
		if !p.spaces[k].on {
			continue
		}
		if e.at[k], victims[k], ok = p.place(&p.spaces[k], id); !ok {
			return Lease{}, false
		}
	}
	for _, v := range victims {
		if v != nil {
			p.drop(v)
		}
	}
	p.keep(e)
	return e.lease, true
}

// place chooses a value of one space for a key, and whose lease must go for it, if any.
func (p *Pool) place(s *space, id ident.NodeID) (n number, victim *entry, ok bool) {
	s.probes(p.random(s.kind, id), func(candidate number) bool {
		holder, taken := s.owner[candidate]
		if !taken {
			n, victim, ok = candidate, nil, true
			return true
		}
		e := p.byID[holder]
		if p.reclaimable(e) && (victim == nil || e.touched < victim.touched) {
			n, victim, ok = candidate, e, true
		}
		return false
	})
	return n, victim, ok
}

func (p *Pool) reclaimable(e *entry) bool { return e.pins == 0 && p.now-e.touched >= HoldTime }

func (p *Pool) dropOldest() bool {
	front := p.idle.Front()
	if front == nil || !p.reclaimable(entryOf(front)) {
		return false
	}
	p.drop(entryOf(front))
	return true
}

func entryOf(el *list.Element) *entry {
	e, ok := el.Value.(*entry)
	if !ok {
		panic("pool: the idle list holds something that is not a lease")
	}
	return e
}

func (p *Pool) keep(e *entry) {
	for k := range p.spaces {
		if p.spaces[k].on {
			p.spaces[k].owner[e.at[k]] = e.id
		}
	}
	if p.spaces[kindV4].on {
		e.lease.V4 = netip.AddrFrom16(e.at[kindV4].bytes()).Unmap()
	}
	if p.spaces[kindV6].on {
		e.lease.V6 = netip.AddrFrom16(e.at[kindV6].bytes())
	}
	if p.spaces[kindMAC].on {
		b := e.at[kindMAC].bytes()
		e.lease.MAC = [6]byte(b[10:])
	}
	p.byID[e.id] = e
	e.idle = p.idle.PushBack(e)
}

func (p *Pool) drop(e *entry) {
	if p.byID[e.id] != e {
		return // already gone: one lease may be in the way in several spaces
	}
	for k := range p.spaces {
		if p.spaces[k].on {
			delete(p.spaces[k].owner, e.at[k])
		}
	}
	delete(p.byID, e.id)
	if e.idle != nil {
		p.idle.Remove(e.idle)
	}
}

// Find returns the lease of a key, if it has one; it does not count as use.
func (p *Pool) Find(id ident.NodeID) (Lease, bool) {
	e, ok := p.byID[id]
	if !ok {
		return Lease{}, false
	}
	return e.lease, true
}

// ByAddr returns the key that holds a local IPv4 or IPv6 address.
func (p *Pool) ByAddr(a netip.Addr) (ident.NodeID, bool) {
	s, n, ok := p.find(a)
	if !ok {
		return ident.NodeID{}, false
	}
	id, ok := s.owner[n]
	return id, ok
}

// ByMAC returns the key that holds a local MAC address.
func (p *Pool) ByMAC(mac [6]byte) (ident.NodeID, bool) {
	id, ok := p.spaces[kindMAC].owner[macNumber(mac)]
	return id, ok
}

// find says in which space an address lies, and where.
func (p *Pool) find(a netip.Addr) (*space, number, bool) {
	if !a.IsValid() {
		return nil, number{}, false
	}
	s := &p.spaces[kindV6]
	if a.Is4() {
		s = &p.spaces[kindV4]
	}
	n := numberOf(a.As16())
	return s, n, s.contains(n)
}

// Pin holds the lease of a key until as many Unpin calls have followed; a tunnel and an open flow
// each hold one. It reports false when the key has no lease.
func (p *Pool) Pin(id ident.NodeID) bool {
	e, ok := p.byID[id]
	if !ok {
		return false
	}
	e.pins++
	if e.idle != nil {
		p.idle.Remove(e.idle)
		e.idle = nil
	}
	return true
}

// Unpin gives one hold back. The lease then counts as used at the latest time the pool was told.
func (p *Pool) Unpin(id ident.NodeID) {
	e, ok := p.byID[id]
	if !ok || e.pins == 0 {
		return
	}
	e.pins--
	e.touched = p.now
	if e.pins == 0 {
		e.idle = p.idle.PushBack(e)
	}
}

// Touch marks the lease of a key, if there is one, as used now (a time on the Up clock).
func (p *Pool) Touch(now time.Duration, id ident.NodeID) {
	p.now = max(p.now, now)
	e, ok := p.byID[id]
	if !ok {
		return
	}
	e.touched = p.now
	if e.idle != nil {
		p.idle.MoveToBack(e.idle)
	}
}

// Len is the number of leases.
func (p *Pool) Len() int { return len(p.byID) }
