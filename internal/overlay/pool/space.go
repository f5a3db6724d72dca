// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"encoding/binary"
	"math/bits"
	"net/netip"

	"staex/internal/ident"
)

// maxProbes bounds how many addresses are tried for one key. A range of up to this many addresses
// is searched completely; in a larger one that is nine tenths full, 64 misses in a row have a
// chance of about one in a thousand.
const maxProbes = 64

// number is an unsigned 128-bit integer: an IPv6 address, or a mapped IPv4 address, or a MAC
// address in the low 48 bits.
type number struct{ hi, lo uint64 }

func numberOf(b [16]byte) number {
	return number{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

func (n number) bytes() (b [16]byte) {
	binary.BigEndian.PutUint64(b[:8], n.hi)
	binary.BigEndian.PutUint64(b[8:], n.lo)
	return b
}

func (n number) and(m number) number { return number{n.hi & m.hi, n.lo & m.lo} }

func (n number) or(m number) number { return number{n.hi | m.hi, n.lo | m.lo} }

func (n number) not() number { return number{^n.hi, ^n.lo} }

func (n number) add(m number) number {
	lo, carry := bits.Add64(n.lo, m.lo, 0)
	hi, _ := bits.Add64(n.hi, m.hi, carry)
	return number{hi, lo}
}

// lowMask is the number whose lowest size bits are set.
func lowMask(size int) number {
	switch {
	case size >= 128:
		return number{^uint64(0), ^uint64(0)}
	case size >= 64:
		return number{1<<(size-64) - 1, ^uint64(0)}
	default:
		return number{0, 1<<size - 1}
	}
}

// space is one kind of address: a fixed prefix, free bits below it, and who holds which value.
// The zero value is a range that is switched off.
type space struct {
	on        bool
	kind      byte   // separates the pseudo-random sequences of the three spaces
	base      number // the prefix, free bits zero
	free      number // mask of the free bits
	noFirst   bool   // the value whose free bits are all zero is never given
	noLast    bool   // nor the one whose free bits are all one
	owner     map[number]ident.NodeID
	withheld  map[number]struct{} // addresses that somebody else uses
	addresses int                 // how many values exist, no more than maxProbes
}

func newSpace(kind byte, base number, freeBits int) space {
	free := lowMask(freeBits)
	s := space{
		on: true, kind: kind, base: base.and(free.not()), free: free,
		owner: make(map[number]ident.NodeID), withheld: make(map[number]struct{}),
		addresses: maxProbes,
	}
	if freeBits < 6 {
		s.addresses = 1 << freeBits
	}
	return s
}

// v4Space leaves out the network and the broadcast address of the prefix.
func v4Space(p netip.Prefix) space {
	if !p.IsValid() || !p.Addr().Is4() {
		return space{}
	}
	s := newSpace('4', numberOf(p.Addr().As16()), 32-p.Bits())
	s.noFirst, s.noLast = true, true
	return s
}

// v6Space leaves out the subnet-router anycast address (RFC 4291, section 2.6.1).
func v6Space(p netip.Prefix) space {
	if !p.IsValid() || !p.Addr().Is6() || p.Addr().Is4In6() {
		return space{}
	}
	s := newSpace('6', numberOf(p.Addr().As16()), 128-p.Bits())
	s.noFirst = true
	return s
}

// macSpace keeps the octets of the mask up to its last one that is not zero; the octets after it
// are free.
func macSpace(mask [6]byte) space {
	fixed := len(mask)
	for fixed > 0 && mask[fixed-1] == 0 {
		fixed--
	}
	if fixed == 0 {
		return space{}
	}
	return newSpace('m', macNumber(mask), 8*(len(mask)-fixed))
}

func macNumber(mac [6]byte) number {
	var b [16]byte
	copy(b[10:], mac[:])
	return numberOf(b)
}

// contains reports whether the value lies under the prefix.
func (s *space) contains(n number) bool {
	return s.on && n.and(s.free.not()) == s.base
}

// usable reports whether the value may be given to anybody.
func (s *space) usable(n number) bool {
	rest := n.and(s.free)
	if s.noFirst && rest == (number{}) || s.noLast && rest == s.free {
		return false
	}
	_, taken := s.withheld[n]
	return !taken
}

// probes calls try with the values to be tried for a key, in order, until try returns true. The
// first value and an odd step come from the pseudo-random bytes, so that no value repeats before
// all have been seen.
func (s *space) probes(random [32]byte, try func(number) bool) {
	at := numberOf([16]byte(random[:16])).and(s.free)
	step := numberOf([16]byte(random[16:])).or(number{0, 1}).and(s.free)
	for range s.addresses {
		n := s.base.or(at)
		if s.usable(n) && try(n) {
			return
		}
		at = at.add(step).and(s.free)
	}
}
