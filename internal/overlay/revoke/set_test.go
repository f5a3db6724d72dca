// SPDX-License-Identifier: Apache-2.0

package revoke_test

import (
	"errors"
	"math/rand/v2"
	"testing"

	"staex/internal/ident"
	"staex/internal/overlay/revoke"
)

func TestASetHasWhatAnyListHad(t *testing.T) {
	s := sample(t)
	for n := byte(10); n <= 14; n++ {
		if !s.Has(keyOf(n)) {
			t.Errorf("key %d is not revoked", n)
		}
	}
	if s.Has(keyOf(9)) || s.Has(keyOf(15)) {
		t.Error("a key that nobody revoked is revoked")
	}
	if s.Number() != 2 || s.Len() != 5 || len(s.Heads()) != 2 || len(s.Resignations()) != 1 {
		t.Errorf("number %d, %d keys, %d heads", s.Number(), s.Len(), len(s.Heads()))
	}
}

func TestTheNextListReplacesForksAndResignations(t *testing.T) {
	s := sample(t)
	put(t, s, next(t, s.Known(), operator(), 15))
	if s.Number() != 3 || s.Len() != 6 || len(s.Heads()) != 1 || len(s.Resignations()) != 0 {
		t.Errorf("number %d, %d keys, %d heads", s.Number(), s.Len(), len(s.Heads()))
	}
}

func TestAnOlderListAndASmallerOneTakeNothingBack(t *testing.T) {
	s := sample(t)
	before := s.Digest()
	replayed := next(t, revoke.Known{}, operator(), 10, 11)
	if changed, err := s.Put(replayed.Head, 0, replayed.Prints); changed || err != nil {
		t.Errorf("a replayed list: %v, %v", changed, err)
	}
	// The operator's computer lost what it knew and signs a higher number with fewer keys.
	small := next(t, revoke.Known{Number: 8}, operator(), 20)
	put(t, s, small)
	if s.Number() != 9 || s.Len() != 6 || !s.Has(keyOf(10)) {
		t.Errorf("number %d, %d keys", s.Number(), s.Len())
	}
	if s.Digest() == before {
		t.Error("the digest is that of another set")
	}
	// Somebody else can still be convinced of everything.
	other := revoke.NewSet(s.Network())
	give(t, s, other)
	if other.Digest() != s.Digest() {
		t.Errorf("of %d keys %d arrived", s.Len(), other.Len())
	}
}

// give hands everything on, as whole lists.
func give(t *testing.T, from, to *revoke.Set) {
	t.Helper()
	for _, h := range from.Heads() {
		if _, err := to.Put(h, 0, from.Since(h, 0)); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range from.Resignations() {
		if _, err := to.Resign(r); err != nil {
			t.Fatal(err)
		}
	}
}

func TestADifferenceIsEnoughForWhoHasTheListBefore(t *testing.T) {
	a, b := revoke.NewSet(network().NetworkKey()), revoke.NewSet(network().NetworkKey())
	for n := byte(10); n < 60; n++ {
		put(t, a, next(t, a.Known(), operator(), n))
		h := a.Heads()[0]
		since := b.Number()
		diff := a.Since(h, since)
		if n%3 == 0 {
			continue // b missed this one, and gets two keys with the next
		}
		if len(diff) > 2 {
			t.Errorf("%d fingerprints for list %d after %d", len(diff), h.Number, since)
		}
		if _, err := b.Put(h, since, diff); err != nil {
			t.Fatalf("list %d after %d: %v", h.Number, since, err)
		}
	}
	if a.Digest() != b.Digest() {
		t.Error("the sets differ")
	}
}

func TestADifferenceOnAnotherBaseAsksForTheWhole(t *testing.T) {
	a, b := revoke.NewSet(network().NetworkKey()), revoke.NewSet(network().NetworkKey())
	put(t, a, next(t, revoke.Known{}, operator(), 10))
	put(t, b, next(t, revoke.Known{}, operator(), 11)) // a fork
	put(t, a, next(t, a.Known(), operator(), 12))
	h := a.Heads()[0]
	if _, err := b.Put(h, 1, a.Since(h, 1)); !errors.Is(err, revoke.ErrBase) {
		t.Fatalf("error %v", err)
	}
	if _, err := b.Put(h, 7, nil); !errors.Is(err, revoke.ErrBase) {
		t.Fatalf("error %v", err)
	}
	give(t, a, b)
	give(t, b, a)
	if a.Digest() != b.Digest() || a.Len() != 3 {
		t.Errorf("%d and %d keys", a.Len(), b.Len())
	}
}

func TestForgedStatementsChangeNothing(t *testing.T) {
	s := sample(t)
	before := string(s.Append(nil))
	forged := next(t, s.Known(), operator(), 30)
	forged.Head.Sig[5] ^= 1
	if _, err := s.Put(forged.Head, 0, forged.Prints); !errors.Is(err, revoke.ErrSigner) {
		t.Errorf("a forged head: %v", err)
	}
	honest := next(t, s.Known(), operator(), 30)
	if _, err := s.Put(honest.Head, 0, honest.Prints[1:]); !errors.Is(err, revoke.ErrBase) {
		t.Errorf("a list with a hole: %v", err)
	}
	foreign := revoke.Signer{Secret: secretOf(2), Network: secretOf(2).NetworkKey()}
	other, err := revoke.Next(revoke.Known{}, []ident.NodeID{keyOf(30)}, foreign, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(other.Head, 0, other.Prints); !errors.Is(err, revoke.ErrNetwork) {
		t.Errorf("another network's list: %v", err)
	}
	if string(s.Append(nil)) != before {
		t.Error("the set has changed")
	}
}

func TestARevokedRevokerMayNotGoOn(t *testing.T) {
	s := revoke.NewSet(network().NetworkKey())
	put(t, s, next(t, revoke.Known{}, operator(), 5))
	l := next(t, s.Known(), revoker(t, 5), 10)
	if _, err := s.Put(l.Head, 0, l.Prints); !errors.Is(err, revoke.ErrSigner) {
		t.Errorf("error %v", err)
	}
	if s.Has(keyOf(10)) {
		t.Error("a thief revoked a key")
	}
}

func TestAResignationNeedsNobodyElse(t *testing.T) {
	s := revoke.NewSet(network().NetworkKey())
	r := revoke.Resign(s.Network(), member(t, 14, 0), secretOf(14))
	if changed, err := s.Resign(r); !changed || err != nil || !s.Has(keyOf(14)) {
		t.Errorf("%v, %v", changed, err)
	}
	if changed, err := s.Resign(r); changed || err != nil {
		t.Errorf("a second time: %v, %v", changed, err)
	}
	other := revoke.Resign(secretOf(2).NetworkKey(), r.Cert, secretOf(14))
	if _, err := s.Resign(other); !errors.Is(err, revoke.ErrNetwork) {
		t.Errorf("of another network: %v", err)
	}
	forged := revoke.Resign(s.Network(), member(t, 15, 0), secretOf(14))
	if _, err := s.Resign(forged); !errors.Is(err, revoke.ErrSigner) || s.Has(keyOf(15)) {
		t.Errorf("for somebody else: %v", err)
	}
}

// The naive twin of a set is a map. Lists fork, repeat, come late and are lost.
func TestASetIsTheUnionInWhateverOrderListsCome(t *testing.T) {
	for seed := range uint64(20) {
		dice := rand.New(rand.NewPCG(seed, 1))
		var lists []*revoke.List
		base := revoke.NewSet(network().NetworkKey())
		for range 12 {
			from := base.Known()
			if dice.IntN(3) == 0 && len(lists) > 0 { // somebody who does not know the newest
				old := lists[dice.IntN(len(lists))]
				from = revoke.Known{Number: old.Head.Number, Prints: old.Prints}
			}
			l := next(t, from, operator(), byte(50+len(lists)))
			lists = append(lists, l)
			put(t, base, l)
		}
		s := revoke.NewSet(network().NetworkKey())
		twin := map[revoke.Fingerprint]bool{}
		for range 30 {
			l := lists[dice.IntN(len(lists))]
			put(t, s, l)
			for _, p := range l.Prints {
				twin[p] = true
			}
			if s.Len() != len(twin) {
				t.Fatalf("seed %d: %d keys, the twin has %d", seed, s.Len(), len(twin))
			}
			for _, p := range s.Prints() {
				if !twin[p] {
					t.Fatalf("seed %d: %x is not in the twin", seed, p)
				}
			}
		}
		again, err := revoke.DecodeSet(s.Append(nil))
		if err != nil || again.Digest() != s.Digest() || again.Number() != s.Number() {
			t.Fatalf("seed %d: the stored set differs: %v", seed, err)
		}
	}
}

func TestASetIsBounded(t *testing.T) {
	s := revoke.NewSet(network().NetworkKey())
	for n := range 2 * revoke.MaxHeads { // forks that nobody ever joins
		put(t, s, next(t, revoke.Known{Number: uint32(n)}, operator(), byte(50+n)))
	}
	if len(s.Heads()) >= revoke.MaxHeads || s.Len() != 2*revoke.MaxHeads {
		t.Errorf("%d heads, %d keys", len(s.Heads()), s.Len())
	}
	for n := range byte(3) {
		k := revoke.Known{Prints: make([]revoke.Fingerprint, revoke.MaxKeys-1)}
		for i := range k.Prints {
			k.Prints[i] = revoke.Fingerprint{n, byte(i >> 8), byte(i), 1}
		}
		l := next(t, k, operator(), 10+n)
		_, err := s.Put(l.Head, 0, l.Prints)
		if full := errors.Is(err, revoke.ErrFull); full != (n > 0) {
			t.Errorf("list %d: %v", n, err)
		}
	}
}

func BenchmarkHas(b *testing.B) {
	k := revoke.Known{Prints: make([]revoke.Fingerprint, revoke.MaxKeys-1)}
	for i := range k.Prints {
		k.Prints[i] = revoke.Fingerprint{byte(i >> 8), byte(i)}
	}
	s := revoke.NewSet(network().NetworkKey())
	put(b, s, next(b, k, operator(), 10))
	key := keyOf(9)
	for b.Loop() {
		s.Has(key)
	}
}

func TestASetMayBeBoundedFurther(t *testing.T) {
	s := sample(t)
	s.Bound(s.Len())
	grown := next(t, s.Known(), operator(), 15)
	if _, err := s.Put(grown.Head, 0, grown.Prints); !errors.Is(err, revoke.ErrFull) {
		t.Errorf("a list beyond the bound: %v", err)
	}
	same := next(t, revoke.Known{Number: 8}, operator(), 10)
	if _, err := s.Put(same.Head, 0, same.Prints); err != nil || s.Number() != 9 {
		t.Errorf("a newer list without new keys: %v, number %d", err, s.Number())
	}
}
