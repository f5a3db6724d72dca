// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"

	"staex/internal/ident"
)

// WantList is session message 30: tell me what I lack of your newest list of revoked keys,
// because nobody else has.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------------------------------------------------------+
//	|  hash of the network (8)                                      |
//	|                                                               |
//	+---------------------------------------------------------------+
//	|  since: number of the list that the sender has                |
//	+---------------------------------------------------------------+
//	|  offset: fingerprints that have come                          |
//	+---------------------------------------------------------------+
//
//	offset  size  field
//	0       8     hash of the network's key
//	8       4     since: what this list has need not be told; 0: all must
//	12      4     offset: number of fingerprints that have come
type WantList struct {
	Network ident.NetworkHash
	Since   uint32 // number of the list that the difference is to; 0: the whole list
	Offset  uint32 // fingerprints that need not be told again
}

// Append appends the encoded body to dst.
func (w WantList) Append(dst []byte) []byte {
	dst = append(dst, w.Network[:]...)
	dst = binary.BigEndian.AppendUint32(dst, w.Since)
	return binary.BigEndian.AppendUint32(dst, w.Offset)
}

// ParseWantList reads the body of a message.
func ParseWantList(b []byte) (WantList, error) {
	c := cursor{frame: "want-list", b: b}
	w := WantList{
		Network: ident.NetworkHash(c.id()), Since: c.u32("since"), Offset: c.u32("offset"),
	}
	if err := c.end(); err != nil {
		return WantList{}, err
	}
	return w, nil
}

// ListPart is session message 31: the signed head of a list of revoked keys and some of the
// fingerprints that the asker lacks.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------------------------------------------------------+
//	|  offset: fingerprints before these                            |
//	+---------------------------------------------------------------+
//	|  what follows is as in Head: since, lacking, head,            |
//	|  fingerprints ...                                             |
//	+---------------------------------------------------------------+
//
//	offset  size  field
//	0       4     offset, from WantList
//	4       rest  Head, with since from WantList
type ListPart struct {
	Offset uint32 // fingerprints of the difference before these
	Head   Head
}

// Append appends the encoded body to dst. It panics when a field breaks its bound.
func (p ListPart) Append(dst []byte) []byte {
	return p.Head.Append(binary.BigEndian.AppendUint32(dst, p.Offset))
}

// ParseListPart reads the body of a message. It does not look into the head.
func ParseListPart(b []byte) (ListPart, error) {
	c := cursor{frame: "list-part", b: b}
	p := ListPart{Offset: c.u32("offset")}
	p.Head.Since, p.Head.Lacking = c.u32("since"), c.u32("lacking")
	p.Head.Head = c.sized("head", 1, MaxHead)
	p.Head.Prints = c.units("fingerprints", PrintSize, 0, MaxHeadPrints)
	if err := c.end(); err != nil {
		return ListPart{}, err
	}
	return p, nil
}
