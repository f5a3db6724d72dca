// SPDX-License-Identifier: Apache-2.0

package revoke

import (
	"encoding/binary"
	"fmt"
	"slices"

	"staex/internal/ident"
)

// List is one whole list: a head and the fingerprints it was signed over, in ascending order.
type List struct {
	Head   *Head
	Prints []Fingerprint
}

// MaxListSize is the size in bytes of the largest list.
const MaxListSize = 2 + MaxHeadSize + MaxKeys*PrintSize

// Signer is who signs a list.
type Signer struct {
	// Secret is the network's private key, or that of the node in Cert.
	Secret *ident.Secret
	// Network is the network whose keys are revoked.
	Network ident.NetworkKey
	// Cert is nil for the network's own key, else the certificate of a node with the role revoker.
	Cert *ident.NodeCert
}

// Known is the newest state of a network's revocations: what the next list is built upon.
type Known struct {
	Number uint32        // of the newest head; 0: there is none yet
	Prints []Fingerprint // of all keys that are revoked, in any order
}

// Next makes the list that follows on what is known, with more keys in it. now is in Unix seconds,
// or 0 when the moment is not known for certain: whoever receives the list believes it. Errors wrap
// ErrNothing, ErrFull or ErrSigner.
func Next(known Known, add []ident.NodeID, by Signer, now uint32) (*List, error) {
	prints := sorted(known.Prints)
	before := len(prints)
	for _, key := range add {
		prints = append(prints, FingerprintOf(by.Network, key))
	}
	prints = sorted(prints)
	switch {
	case len(prints) == before:
		return nil, ErrNothing
	case len(prints) > MaxKeys:
		return nil, fmt.Errorf("%w: %d, a list has at most %d", ErrFull, len(prints), MaxKeys)
	case known.Number == 1<<32-1:
		return nil, fmt.Errorf("%w: there is no number after %d", ErrFull, known.Number)
	}
	h := &Head{
		Network: by.Network, Number: known.Number + 1, Count: uint32(len(prints)),
		Hash: hashOf(prints), Time: now, Signer: by.Cert,
	}
	h.Sig = by.Secret.Sign(ident.DomainRevocation, h.appendBody(nil))
	if err := h.Verify(); err != nil {
		return nil, err
	}
	return &List{Head: h, Prints: prints}, nil
}

// Append appends the list to dst: the length of the head in 2 bytes, the head, the fingerprints.
func (l *List) Append(dst []byte) []byte {
	head := l.Head.Append(nil)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(head)))
	return AppendPrints(append(dst, head...), l.Prints)
}

// DecodeList reads a list that fills b exactly, and checks that the fingerprints are those of the
// head, but no signature. Errors wrap ErrEncoding.
func DecodeList(b []byte) (*List, error) {
	if len(b) < 2 || len(b)-2 < int(binary.BigEndian.Uint16(b)) {
		return nil, fmt.Errorf("%w: the list was cut", ErrEncoding)
	}
	size := int(binary.BigEndian.Uint16(b))
	h, err := DecodeHead(b[2 : 2+size])
	if err != nil {
		return nil, err
	}
	prints, err := ParsePrints(b[2+size:])
	if err != nil {
		return nil, err
	}
	if !fits(h, prints) {
		return nil, fmt.Errorf("%w: the fingerprints are not those of the head", ErrEncoding)
	}
	return &List{Head: h, Prints: prints}, nil
}

// fits tells whether the fingerprints are those that a head was signed over, in order.
func fits(h *Head, prints []Fingerprint) bool {
	if len(prints) != int(h.Count) || hashOf(prints) != h.Hash {
		return false
	}
	for i := 1; i < len(prints); i++ {
		if compare(prints[i-1], prints[i]) >= 0 {
			return false
		}
	}
	return true
}

// Contains tells whether a key is in the list.
func (l *List) Contains(key ident.NodeID) bool {
	_, found := slices.BinarySearchFunc(l.Prints, FingerprintOf(l.Head.Network, key), compare)
	return found
}
