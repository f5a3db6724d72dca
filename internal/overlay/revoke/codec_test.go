// SPDX-License-Identifier: Apache-2.0

package revoke_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"staex/internal/ident"
	"staex/internal/overlay/revoke"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func secretOf(n byte) *ident.Secret { return ident.SecretFromSeed([32]byte{n, 3}) }

func keyOf(n byte) ident.NodeID { return secretOf(n).ID() }

// network signs everything in these tests; its number is 1.
func network() *ident.Secret { return secretOf(1) }

func member(t testing.TB, n byte, roles ident.Role) *ident.NodeCert {
	t.Helper()
	c := &ident.NodeCert{Key: keyOf(n), Roles: roles}
	if err := ident.SignNodeCert(c, network()); err != nil {
		t.Fatal(err)
	}
	return c
}

func operator() revoke.Signer {
	return revoke.Signer{Secret: network(), Network: network().NetworkKey()}
}

func revoker(t testing.TB, n byte) revoke.Signer {
	t.Helper()
	return revoke.Signer{
		Secret: secretOf(n), Network: network().NetworkKey(),
		Cert: member(t, n, ident.RoleRevoker),
	}
}

// next makes the list that follows, with more keys.
func next(t testing.TB, k revoke.Known, by revoke.Signer, keys ...byte) *revoke.List {
	t.Helper()
	var add []ident.NodeID
	for _, n := range keys {
		add = append(add, keyOf(n))
	}
	l, err := revoke.Next(k, add, by, 1_800_000_000)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func put(t testing.TB, s *revoke.Set, l *revoke.List) {
	t.Helper()
	if _, err := s.Put(l.Head, 0, l.Prints); err != nil {
		t.Fatal(err)
	}
}

// sample is a set with all that a set can hold: forked lists, a revoker's one, a resignation.
func sample(t testing.TB) *revoke.Set {
	t.Helper()
	s := revoke.NewSet(network().NetworkKey())
	first := next(t, revoke.Known{}, operator(), 10, 11)
	put(t, s, first)
	known := s.Known()
	put(t, s, next(t, known, operator(), 12))
	put(t, s, next(t, known, revoker(t, 5), 13))
	r := revoke.Resign(network().NetworkKey(), member(t, 14, 0), secretOf(14))
	if _, err := s.Resign(r); err != nil {
		t.Fatal(err)
	}
	return s
}

// encodings are one sample of everything that has bytes.
func encodings(t testing.TB) map[string][]byte {
	t.Helper()
	l := next(t, revoke.Known{}, operator(), 10, 11)
	return map[string][]byte{
		"head":         l.Head.Append(nil),
		"head-revoker": next(t, revoke.Known{}, revoker(t, 5), 10).Head.Append(nil),
		"list":         l.Append(nil),
		"resignation": revoke.Resign(network().NetworkKey(), member(t, 14, 0),
			secretOf(14)).Append(nil),
		"set":       sample(t).Append(nil),
		"set-empty": revoke.NewSet(network().NetworkKey()).Append(nil),
	}
}

// recode decodes and encodes again, by the name of the encoding.
func recode(name string, b []byte) ([]byte, error) {
	switch name {
	case "head", "head-revoker":
		h, err := revoke.DecodeHead(b)
		if err != nil {
			return nil, err
		}
		return h.Append(nil), nil
	case "list":
		l, err := revoke.DecodeList(b)
		if err != nil {
			return nil, err
		}
		return l.Append(nil), nil
	case "resignation":
		r, err := revoke.DecodeResignation(b)
		if err != nil {
			return nil, err
		}
		return r.Append(nil), nil
	}
	s, err := revoke.DecodeSet(b)
	if err != nil {
		return nil, err
	}
	return s.Append(nil), nil
}

func TestEveryEncodingKeepsItsBytesAndComesBackWhole(t *testing.T) {
	for name, b := range encodings(t) {
		path := filepath.Join("testdata", name+".hex")
		text := hex.EncodeToString(b) + "\n"
		if *update {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(path); err != nil || string(want) != text {
			t.Errorf("%s: %v: got %s want %s", name, err, text, want)
		}
		if got, err := recode(name, b); err != nil || !bytes.Equal(got, b) {
			t.Errorf("%s came back as %x, %v", name, got, err)
		}
	}
}

func known(err error) bool {
	for _, e := range []error{revoke.ErrEncoding, revoke.ErrSigner, revoke.ErrNetwork} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func TestEveryCutAndEveryByteTooManyIsRefused(t *testing.T) {
	for name, b := range encodings(t) {
		for n := range b {
			if _, err := recode(name, b[:n]); !known(err) {
				t.Fatalf("%s cut to %d: %v", name, n, err)
			}
		}
		if _, err := recode(name, append(bytes.Clone(b), 0)); !known(err) {
			t.Errorf("%s with a byte more: %v", name, err)
		}
	}
}

func TestAStoredSetThatWasTouchedIsRefusedOrHoldsTheSameKeys(t *testing.T) {
	b := sample(t).Append(nil)
	want := sample(t).Digest()
	for i := range b {
		touched := bytes.Clone(b)
		touched[i] ^= 1
		s, err := revoke.DecodeSet(touched)
		if err == nil && s.Digest() != want {
			t.Errorf("byte %d: %d keys", i, s.Len())
		}
	}
}

func TestNobodyButTheNetworkAndItsRevokersMaySign(t *testing.T) {
	foreign := operator()
	foreign.Secret = secretOf(2)
	ordinary := revoker(t, 5)
	ordinary.Cert = member(t, 5, ident.RoleTime)
	stolen := revoker(t, 5)
	stolen.Secret = secretOf(6)
	for name, by := range map[string]revoke.Signer{
		"another network": foreign, "a node without the role": ordinary,
		"another's certificate": stolen,
	} {
		_, err := revoke.Next(revoke.Known{}, []ident.NodeID{keyOf(9)}, by, 0)
		if !errors.Is(err, revoke.ErrSigner) {
			t.Errorf("%s: %v", name, err)
		}
	}
	l := next(t, revoke.Known{}, operator(), 10)
	for name, change := range map[string]func(h *revoke.Head){
		"number": func(h *revoke.Head) { h.Number++ },
		"time":   func(h *revoke.Head) { h.Time++ },
		"hash":   func(h *revoke.Head) { h.Hash[0]++ },
	} {
		h := *l.Head
		change(&h)
		if !errors.Is(h.Verify(), revoke.ErrSigner) {
			t.Errorf("a head with another %s verifies", name)
		}
	}
	r := revoke.Resign(network().NetworkKey(), member(t, 14, 0), secretOf(15))
	if !errors.Is(r.Verify(), revoke.ErrSigner) {
		t.Error("somebody else resigned for a key")
	}
}

func TestAListSaysWhichKeysAreInIt(t *testing.T) {
	l := next(t, revoke.Known{}, operator(), 10, 11)
	if !l.Contains(keyOf(10)) || !l.Contains(keyOf(11)) || l.Contains(keyOf(12)) {
		t.Error("the list does not contain its keys")
	}
	_, err := revoke.Next(revoke.Known{Number: 1, Prints: l.Prints}, []ident.NodeID{keyOf(10)},
		operator(), 0)
	if !errors.Is(err, revoke.ErrNothing) {
		t.Errorf("the same key again: %v", err)
	}
	_, err = revoke.Next(revoke.Known{Number: 1<<32 - 1}, []ident.NodeID{keyOf(10)}, operator(), 0)
	if !errors.Is(err, revoke.ErrFull) {
		t.Errorf("after the last number: %v", err)
	}
	many := revoke.Known{Number: 1, Prints: make([]revoke.Fingerprint, revoke.MaxKeys)}
	for i := range many.Prints {
		many.Prints[i] = revoke.Fingerprint{byte(i >> 8), byte(i)}
	}
	_, err = revoke.Next(many, []ident.NodeID{keyOf(10)}, operator(), 0)
	if !errors.Is(err, revoke.ErrFull) {
		t.Errorf("one key too many: %v", err)
	}
}

func fuzz(f *testing.F, names ...string) {
	f.Helper()
	all := encodings(f)
	for _, name := range names {
		b := all[name]
		f.Add(b)
		f.Add(append(bytes.Clone(b), 0))
		for _, at := range []int{0, 1, 2, 33, 34, 36, 40, 41, 43, 78, 79, len(b) - 1, len(b) - 70} {
			if at < 0 || at >= len(b) {
				continue
			}
			f.Add(b[:at])
			changed := bytes.Clone(b)
			changed[at] ^= 0xff
			f.Add(changed)
		}
	}
	// The last two keys of a set change places.
	const entry = revoke.PrintSize + 4 + 1
	set := bytes.Clone(all["set"])
	last, before := set[len(set)-entry:], bytes.Clone(set[len(set)-2*entry:len(set)-entry])
	copy(set[len(set)-2*entry:], last)
	copy(last, before)
	f.Add(set)
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := recode(names[0], b)
		switch {
		case err != nil && !known(err):
			t.Errorf("unknown error %v", err)
		case err == nil && !bytes.Equal(got, b):
			t.Errorf("encodes to %x", got)
		}
	})
}

func FuzzDecodeHead(f *testing.F)        { fuzz(f, "head", "head-revoker") }
func FuzzDecodeList(f *testing.F)        { fuzz(f, "list") }
func FuzzDecodeResignation(f *testing.F) { fuzz(f, "resignation") }
func FuzzDecodeSet(f *testing.F)         { fuzz(f, "set", "set-empty") }
