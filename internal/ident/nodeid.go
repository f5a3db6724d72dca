// SPDX-License-Identifier: Apache-2.0

package ident

import (
	"bytes"
	"fmt"
	"strings"
)

// NodeID is the Ed25519 public key of a node or of an endpoint, and thereby its address. Ids
// compare with ==. The zero NodeID means "none"; it is no valid key.
type NodeID [KeySize]byte

// nodeIDLength is the number of characters of a node id: 256 bits, five to a character.
const nodeIDLength = 52

// crockford is the alphabet of node ids, without i, l, o and u.
const crockford = "0123456789abcdefghjkmnpqrstvwxyz"

// ParseNodeID reads a node id: 52 characters of Crockford base32 in either case, most significant
// bit first. Each id has one text up to case: aliases (o for 0, i and l for 1), hyphens and
// non-zero padding bits are refused. Errors wrap ErrNodeID for the text, ErrKey for the key.
func ParseNodeID(s string) (NodeID, error) {
	id, err := decodeNodeID(s)
	if err != nil {
		return NodeID{}, err
	}
	if err := checkKey((*[KeySize]byte)(&id)); err != nil {
		return NodeID{}, err
	}
	return id, nil
}

// NodeIDFromBytes makes a node id of 32 bytes that come from outside: they must be the canonical
// encoding of a point of prime order. Errors wrap ErrKey.
func NodeIDFromBytes(b []byte) (NodeID, error) {
	if len(b) != KeySize {
		return NodeID{}, fmt.Errorf("%w: it has %d bytes, not %d", ErrKey, len(b), KeySize)
	}
	id := NodeID(b)
	if err := checkKey((*[KeySize]byte)(&id)); err != nil {
		return NodeID{}, err
	}
	return id, nil
}

// decodeNodeID reads the text only; the key may still be unusable.
func decodeNodeID(s string) (id NodeID, err error) {
	if len(s) != nodeIDLength {
		return id, fmt.Errorf("%w: it has %d characters, not %d", ErrNodeID, len(s), nodeIDLength)
	}
	var bits, pending uint
	n := 0
	for i := range len(s) {
		value := strings.IndexByte(crockford, lower(s[i]))
		if value < 0 {
			return NodeID{}, fmt.Errorf("%w: character %d is %q%s",
				ErrNodeID, i+1, s[i:i+1], lookAlike(s[i]))
		}
		bits = bits<<5 | uint(value)
		pending += 5
		if pending >= 8 {
			pending -= 8
			id[n] = byte(bits >> pending)
			n++
		}
	}
	if bits&(1<<pending-1) != 0 {
		return NodeID{}, fmt.Errorf("%w: its last character must be 0 or g", ErrNodeID)
	}
	return id, nil
}

// lookAlike explains the letters that the alphabet leaves out.
func lookAlike(c byte) string {
	switch lower(c) {
	case 'o':
		return "; node ids have no letter o, use the digit 0"
	case 'i', 'l':
		return "; node ids have no letters i and l, use the digit 1"
	default:
		return ", which node ids do not use"
	}
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}

// String is the id's canonical text: 52 lower-case characters ending in 0 or g.
func (id NodeID) String() string {
	text := make([]byte, 0, nodeIDLength)
	var bits, pending uint
	for _, b := range id {
		bits = bits<<8 | uint(b)
		pending += 8
		for pending >= 5 {
			pending -= 5
			text = append(text, crockford[bits>>pending&31])
		}
	}
	return string(append(text, crockford[bits<<(5-pending)&31]))
}

// IsZero tells whether the id means "none".
func (id NodeID) IsZero() bool { return id == NodeID{} }

// Compare orders ids by their bytes: -1, 0 or 1, as bytes.Compare.
func (id NodeID) Compare(other NodeID) int { return bytes.Compare(id[:], other[:]) }

// X25519 is the key of the same owner for Diffie-Hellman, by the birational map of RFC 7748, 4.1.
// The id must have been checked where it entered; bytes that are no point give zero, with which
// every exchange fails.
func (id NodeID) X25519() [KeySize]byte { return montgomery((*[KeySize]byte)(&id)) }

// MarshalText is String for encoders; the zero id becomes the empty text.
func (id NodeID) MarshalText() ([]byte, error) {
	if id.IsZero() {
		return []byte{}, nil
	}
	return []byte(id.String()), nil
}

// UnmarshalText is ParseNodeID for decoders; the empty text becomes the zero id.
func (id *NodeID) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*id = NodeID{}
		return nil
	}
	parsed, err := ParseNodeID(string(text))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}
