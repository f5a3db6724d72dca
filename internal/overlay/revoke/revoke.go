// SPDX-License-Identifier: Apache-2.0

// Package revoke is the set of keys that a network has taken back: signed lists, and the union of
// all lists that were ever verified. It never ends a link or a session, and it never forgets.
//
// A list has a head, which is signed, and one fingerprint for each revoked key. Heads are numbered;
// the operator reads the newest list, adds keys and signs the next number. Two lists with one
// number are no conflict: what counts is the union, so nothing that is replayed or left out brings
// a key back.
package revoke

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/blake2s"

	"staex/internal/ident"
)

const (
	// MaxKeys bounds one list: its fingerprints fill half a megabyte, and the smallest device must
	// hold them.
	MaxKeys = 1 << 16
	// MaxUnion bounds a set, so that lists which were forked by mistake still fit together.
	MaxUnion = 2 * MaxKeys
	// MaxHeads is how many heads of one network are kept: the newest, and those that contain keys
	// which the newest one lacks.
	MaxHeads = 8
	// MaxResignations is how many resignations are kept to be handed on; a list that contains
	// their keys takes their place.
	MaxResignations = 256
	// PrintSize is the size of a fingerprint in bytes.
	PrintSize = 8
)

// Why bytes, heads and lists are refused.
var (
	// ErrEncoding says that bytes are not the canonical encoding of what they should be.
	ErrEncoding = errors.New("not a valid revocation")
	// ErrSigner says that who signed may not revoke.
	ErrSigner = errors.New("the signer may not revoke keys of this network")
	// ErrBase says that a list does not follow from what is known: the whole list is needed.
	ErrBase = errors.New("the list does not follow from what is known")
	// ErrNetwork says that a statement is of another network.
	ErrNetwork = errors.New("the list is of another network")
	// ErrFull says that a set has no room.
	ErrFull = errors.New("too many revoked keys")
	// ErrNothing says that every key to be revoked is revoked already.
	ErrNothing = errors.New("these keys are revoked already")
)

// Fingerprint stands for a revoked key in a list: the first 8 bytes of BLAKE2s-256 over the
// network's key and the revoked key. It cannot be compared between networks.
type Fingerprint [PrintSize]byte

// FingerprintOf returns the fingerprint of a key in a network.
func FingerprintOf(network ident.NetworkKey, key ident.NodeID) Fingerprint {
	var b [2 * ident.KeySize]byte
	copy(b[:], network[:])
	copy(b[ident.KeySize:], key[:])
	sum := blake2s.Sum256(b[:])
	return Fingerprint(sum[:])
}

func compare(a, b Fingerprint) int { return bytes.Compare(a[:], b[:]) }

// hashOf is the hash in a head: BLAKE2s-256 over the fingerprints in ascending order.
func hashOf(prints []Fingerprint) [32]byte {
	b := make([]byte, 0, len(prints)*PrintSize)
	for i := range prints {
		b = append(b, prints[i][:]...)
	}
	return blake2s.Sum256(b)
}

// AppendPrints appends the bytes of fingerprints to dst.
func AppendPrints(dst []byte, prints []Fingerprint) []byte {
	for i := range prints {
		dst = append(dst, prints[i][:]...)
	}
	return dst
}

// ParsePrints reads fingerprints that fill b. Errors wrap ErrEncoding.
func ParsePrints(b []byte) ([]Fingerprint, error) {
	if len(b)%PrintSize != 0 {
		return nil, fmt.Errorf("%w: %d bytes are no fingerprints", ErrEncoding, len(b))
	}
	prints := make([]Fingerprint, 0, len(b)/PrintSize)
	for ; len(b) > 0; b = b[PrintSize:] {
		prints = append(prints, Fingerprint(b))
	}
	return prints, nil
}

// sorted returns the fingerprints in ascending order, each once.
func sorted(prints []Fingerprint) []Fingerprint {
	prints = slices.Clone(prints)
	slices.SortFunc(prints, compare)
	return slices.Compact(prints)
}
