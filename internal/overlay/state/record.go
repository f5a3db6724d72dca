// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"staex/internal/ident"
)

// Kind says what a record speaks of. The values are on the wire. Zero is not a kind.
type Kind uint8

const (
	// Node is a machine of the network.
	Node Kind = 1
	// ServerEndpoint is the serving end of a tunnel; its parent is the node that hosts it.
	ServerEndpoint Kind = 2
	// ClientEndpoint is the asking end of a tunnel; its parent is the node that hosts it.
	ClientEndpoint Kind = 3
)

// String gives the name used in tables shown to people.
func (k Kind) String() string {
	switch k {
	case Node:
		return "node"
	case ServerEndpoint:
		return "server-endpoint"
	case ClientEndpoint:
		return "client-endpoint"
	default:
		return fmt.Sprintf("kind-%d", uint8(k))
	}
}

const (
	// MaxTags is how many name tags one record may carry.
	MaxTags = 16

	// MaxSeq is the highest sequence number: 48 bits.
	MaxSeq = 1<<48 - 1

	// MaxRecordSize is the size in bytes of a record with MaxTags tags.
	MaxRecordSize = headSize + MaxTags*tagSize + sigSize

	recordVersion = 1
	headSize      = 1 + 1 + 32 + 32 + 8 + 6 + 1
	tagSize       = 8
	sigSize       = 64
	keyAt         = 2
	parentAt      = keyAt + 32
	networkAt     = parentAt + 32
	seqAt         = networkAt + 8
	countAt       = seqAt + 6
)

// ErrRecord is wrapped by every refusal of a record's bytes.
var ErrRecord = errors.New("bad record")

// Record is one signed statement by a key about itself: where it hangs.
//
//	 0  version (1)
//	 1  kind
//	 2  key             32
//	34  parent          32, zero for a root
//	66  network          8
//	74  sequence         6, big endian
//	80  number of tags   1
//	81  tags             8 each, ascending, none twice
//	 …  signature       64, by key, over everything before it
type Record struct {
	Kind Kind
	Key  ident.NodeID
	// Parent is the active parent of a node, or the host of an endpoint. Zero: the node is a root.
	Parent  ident.NodeID
	Network ident.NetworkHash
	// Seq counts the records of this key; the higher one wins. At most MaxSeq.
	Seq uint64
	// Tags are keyed hashes of the names and static addresses that the key claims, ascending.
	Tags [][8]byte
	Sig  ident.Signature
}

// appendBody writes all but the signature.
func (r *Record) appendBody(dst []byte) []byte {
	if len(r.Tags) > MaxTags || r.Seq > MaxSeq {
		panic("state: a record with too many tags or too high a sequence number was encoded")
	}
	dst = append(dst, recordVersion, byte(r.Kind))
	dst = append(dst, r.Key[:]...)
	dst = append(dst, r.Parent[:]...)
	dst = append(dst, r.Network[:]...)
	var seq [8]byte
	binary.BigEndian.PutUint64(seq[:], r.Seq)
	dst = append(dst, seq[2:]...)
	dst = append(dst, byte(len(r.Tags)))
	for i := range r.Tags {
		dst = append(dst, r.Tags[i][:]...)
	}
	return dst
}

// Append writes the record behind dst. A record with more than MaxTags tags, or a sequence number
// above MaxSeq, is a mistake of the caller and panics.
func (r *Record) Append(dst []byte) []byte {
	return append(r.appendBody(dst), r.Sig[:]...)
}

// Sign puts the tags in order, each once, and signs. The secret must be that of r.Key.
func (r *Record) Sign(s *ident.Secret) {
	r.Tags = slices.Clone(r.Tags)
	slices.SortFunc(r.Tags, compareTags)
	r.Tags = slices.Compact(r.Tags)
	r.Sig = s.Sign(ident.DomainRecord, r.appendBody(nil))
}

// Verify reports whether the signature is that of r.Key.
func (r *Record) Verify() bool {
	return ident.Verify(r.Key, ident.DomainRecord, r.appendBody(nil), r.Sig)
}

// DecodeRecord reads a record that fills b exactly. There is one encoding of each record: what it
// accepts, Append gives back. It verifies nothing: Key is proven by Verify, which also checks that
// it is a usable key, and Parent by Table.Put, which knows the parent. The result shares nothing
// with b. Errors wrap ErrRecord.
func DecodeRecord(b []byte) (*Record, error) {
	r, err := parseRecord(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	return r, nil
}

func parseRecord(b []byte) (*Record, error) {
	if len(b) < headSize+sigSize {
		return nil, errors.New("short")
	}
	if b[0] != recordVersion {
		return nil, fmt.Errorf("version %d is unknown", b[0])
	}
	tags := int(b[countAt])
	if tags > MaxTags {
		return nil, fmt.Errorf("%d tags, at most %d", tags, MaxTags)
	}
	if len(b) != headSize+tags*tagSize+sigSize {
		return nil, fmt.Errorf("%d bytes do not agree with %d tags", len(b), tags)
	}
	r := &Record{
		Kind:    Kind(b[1]),
		Key:     ident.NodeID(b[keyAt:parentAt]),
		Parent:  ident.NodeID(b[parentAt:networkAt]),
		Network: ident.NetworkHash(b[networkAt:seqAt]),
		Seq:     seqOf(b),
		Sig:     ident.Signature(b[len(b)-sigSize:]),
	}
	for i := range tags {
		tag := [8]byte(b[headSize+i*tagSize:])
		if i > 0 && compareTags(r.Tags[i-1], tag) >= 0 {
			return nil, errors.New("tags are not in ascending order")
		}
		r.Tags = append(r.Tags, tag)
	}
	switch {
	case r.Kind < Node || r.Kind > ClientEndpoint:
		return nil, fmt.Errorf("kind %d is unknown", b[1])
	case r.Parent == r.Key:
		return nil, errors.New("the key is its own parent")
	case r.Kind != Node && r.Parent.IsZero():
		return nil, errors.New("an endpoint without a host")
	}
	return r, nil
}

// seqOf reads the sequence number of an encoded record.
func seqOf(b []byte) uint64 {
	var seq [8]byte
	copy(seq[2:], b[seqAt:countAt])
	return binary.BigEndian.Uint64(seq[:])
}

func compareTags(a, b [8]byte) int { return bytes.Compare(a[:], b[:]) }
