// SPDX-License-Identifier: Apache-2.0

package revoke

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"staex/internal/ident"
)

// Set is everything that is known to be revoked in one network: the union of all lists and
// resignations that were ever verified. It only grows. A Set is for one goroutine.
type Set struct {
	network  ident.NetworkKey
	entries  []entry // in the order of their fingerprints
	heads    []*Head // newest first; bit i of entry.heads is heads[i]
	resigned []*Resignation
	digest   [8]byte
	most     int // revoked keys; MaxUnion unless Bound said less
}

// entry is one revoked key.
type entry struct {
	print Fingerprint
	since uint32 // number of the list that brought it here; 0: a resignation
	heads uint8  // which of the kept heads contain it
}

// NewSet makes an empty set.
func NewSet(network ident.NetworkKey) *Set {
	s := &Set{network: network, most: MaxUnion}
	s.renew()
	return s
}

// renew makes the digest again after the keys have changed.
func (s *Set) renew() {
	sum := hashOf(s.Prints())
	copy(s.digest[:], sum[:])
}

// Bound makes the set refuse lists with which it would have more keys than most. What it has stays.
func (s *Set) Bound(most int) { s.most = min(most, MaxUnion) }

// Network is the network whose keys these are.
func (s *Set) Network() ident.NetworkKey { return s.network }

// Len is the number of revoked keys.
func (s *Set) Len() int { return len(s.entries) }

// Number is that of the newest list; 0 when there is none.
func (s *Set) Number() uint32 {
	if len(s.heads) == 0 {
		return 0
	}
	return s.heads[0].Number
}

// Has tells whether a key is revoked.
func (s *Set) Has(key ident.NodeID) bool {
	if len(s.entries) == 0 {
		return false
	}
	_, found := s.find(FingerprintOf(s.network, key))
	return found
}

func (s *Set) find(p Fingerprint) (at int, found bool) {
	return slices.BinarySearchFunc(s.entries, p, func(e entry, p Fingerprint) int {
		return compare(e.print, p)
	})
}

// Prints lists the fingerprints of all revoked keys in ascending order.
func (s *Set) Prints() []Fingerprint {
	return s.where(func(entry) bool { return true })
}

func (s *Set) where(chosen func(entry) bool) []Fingerprint {
	var list []Fingerprint
	for _, e := range s.entries {
		if chosen(e) {
			list = append(list, e.print)
		}
	}
	return list
}

// Digest is the same for two sets that hold the same keys: the first 8 bytes of BLAKE2s-256 over
// the fingerprints in ascending order.
func (s *Set) Digest() [8]byte { return s.digest }

// Known is what the next list is built upon.
func (s *Set) Known() Known { return Known{Number: s.Number(), Prints: s.Prints()} }

// Heads lists the heads that are needed to prove the set to somebody else, the newest first. The
// caller must not change them.
func (s *Set) Heads() []*Head { return slices.Clone(s.heads) }

// Resignations lists those that no kept list contains. The caller must not change them.
func (s *Set) Resignations() []*Resignation { return slices.Clone(s.resigned) }

// Knows tells whether a head is kept, so that its list need not be taken again.
func (s *Set) Knows(h *Head) bool {
	return s.Holds(h.Append(nil))
}

// Holds tells whether an encoded head is kept.
func (s *Set) Holds(head []byte) bool {
	return slices.ContainsFunc(s.heads, func(x *Head) bool {
		return bytes.Equal(x.Append(nil), head)
	})
}

// Since lists what somebody lacks of a kept head's list who has list number since; 0 lists all of
// it. Should the guess be wrong, Put says ErrBase there.
func (s *Set) Since(h *Head, since uint32) []Fingerprint {
	i := slices.Index(s.heads, h)
	if i < 0 {
		return nil
	}
	return s.where(func(e entry) bool {
		return e.heads&(1<<i) != 0 && (since == 0 || e.since > since)
	})
}

// Put adds a list: its head, and the fingerprints that follow after list number since, or all of
// them if that is 0. changed tells whether a key is new or the head is one to keep. What is known
// stays known in any case. Errors wrap ErrNetwork, ErrSigner, ErrBase or ErrFull.
func (s *Set) Put(h *Head, since uint32, added []Fingerprint) (changed bool, err error) {
	if h.Network != s.network {
		return false, ErrNetwork
	}
	if s.Knows(h) {
		return false, nil
	}
	if err := h.Verify(); err != nil {
		return false, err
	}
	if h.Signer != nil && s.Has(h.Signer.Key) {
		return false, fmt.Errorf("%w: node %s is revoked itself", ErrSigner, h.Signer.Key)
	}
	prints, err := s.whole(h, since, added)
	if err != nil {
		return false, err
	}
	fresh := 0
	for _, p := range prints {
		if _, found := s.find(p); !found {
			fresh++
		}
	}
	if fresh > 0 && len(s.entries)+fresh > s.most {
		return false, fmt.Errorf("%w: %d", ErrFull, len(s.entries)+fresh)
	}
	s.merge(h, prints)
	return fresh > 0 || s.Knows(h), nil
}

// whole puts a list together: what list number since had here, and what was added.
func (s *Set) whole(h *Head, since uint32, added []Fingerprint) ([]Fingerprint, error) {
	base := []Fingerprint(nil)
	if since != 0 {
		i := slices.IndexFunc(s.heads, func(x *Head) bool { return x.Number == since })
		if i < 0 {
			return nil, ErrBase
		}
		base = s.where(func(e entry) bool { return e.heads&(1<<i) != 0 })
	}
	prints := sorted(append(base, added...))
	if !fits(h, prints) {
		return nil, ErrBase
	}
	return prints, nil
}

// merge takes a verified list into the union and forgets the heads that it makes superfluous.
func (s *Set) merge(h *Head, prints []Fingerprint) {
	i := len(s.heads)
	s.heads = append(s.heads, h)
	all := make([]entry, 0, len(s.entries)+len(prints))
	old := s.entries
	for len(old) > 0 || len(prints) > 0 {
		c := -1
		if len(old) == 0 {
			c = 1
		} else if len(prints) > 0 {
			c = compare(old[0].print, prints[0])
		}
		e := entry{since: h.Number}
		if c <= 0 {
			e, old = old[0], old[1:]
		}
		if c >= 0 {
			e.print, prints = prints[0], prints[1:]
			if e.heads&1 == 0 {
				e.since = max(e.since, h.Number) // the newest list so far lacked it
			}
			e.heads |= 1 << i
		}
		all = append(all, e)
	}
	s.entries = all
	s.prune()
	s.renew()
}

// prune drops the heads whose keys a newer head has as well, and the resignations that a head
// contains, and puts the newest head first.
func (s *Set) prune() {
	var keep []int
	for i := range s.heads {
		if !s.covered(i) {
			keep = append(keep, i)
		}
	}
	slices.SortStableFunc(keep, func(a, b int) int {
		return cmp.Compare(s.heads[b].Number, s.heads[a].Number)
	})
	keep = keep[:min(len(keep), MaxHeads-1)] // one bit is needed for the next head
	heads := make([]*Head, len(keep))
	for to, from := range keep {
		heads[to] = s.heads[from]
	}
	s.heads = heads
	for k := range s.entries {
		e := &s.entries[k]
		var bits uint8
		for to, from := range keep {
			bits |= e.heads >> from & 1 << to
		}
		e.heads = bits
	}
	s.resigned = slices.DeleteFunc(s.resigned, func(r *Resignation) bool {
		at, found := s.find(FingerprintOf(s.network, r.Cert.Key))
		return found && s.entries[at].heads != 0
	})
}

// covered tells whether everything that head i proves is proven by another one that is newer, or
// as new and was here before.
func (s *Set) covered(i int) bool {
	for j, h := range s.heads {
		older := h.Number < s.heads[i].Number || h.Number == s.heads[i].Number && j > i
		if j == i || older {
			continue
		}
		lacks := func(e entry) bool { return e.heads&(1<<i) != 0 && e.heads&(1<<j) == 0 }
		if !slices.ContainsFunc(s.entries, lacks) {
			return true
		}
	}
	return false
}

// Resign adds the key of a member that resigned. changed tells whether the key is new. Errors wrap
// ErrNetwork, ErrSigner or ErrFull.
func (s *Set) Resign(r *Resignation) (changed bool, err error) {
	if r.Network != s.network {
		return false, ErrNetwork
	}
	mark := FingerprintOf(s.network, r.Cert.Key)
	at, found := s.find(mark)
	if found {
		return false, nil
	}
	if err := r.Verify(); err != nil {
		return false, err
	}
	if len(s.entries) >= s.most {
		return false, ErrFull
	}
	s.entries = slices.Insert(s.entries, at, entry{print: mark})
	s.renew()
	s.resigned = append(s.resigned, r)
	if len(s.resigned) > MaxResignations {
		s.resigned = s.resigned[1:] // the key stays revoked here
	}
	return true, nil
}
