// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"

	"staex/internal/ident"
)

// Gone is control message 6: the key, and all that is below it, can no longer be reached
// over this link.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------------------------------------------------------+
//	|  key (32)                                                     |
//	+---------------------------------------------------------------+
//	|  sequence number (8)                                          |
//	+---------------------------------------------------------------+
//
//	offset  size  field
//	0       32    key at the head of the subtree
//	32      8     sequence number of the newest record of the key that the sender saw
type Gone struct {
	Key ident.NodeID // head of the subtree; not checked to be a point
	Seq uint64       // newest sequence number that this withdraws
}

// Append appends the encoded body to dst.
func (g Gone) Append(dst []byte) []byte {
	return binary.BigEndian.AppendUint64(append(dst, g.Key[:]...), g.Seq)
}

// ParseGone reads the body of a message.
func ParseGone(b []byte) (Gone, error) {
	c := cursor{frame: "gone", b: b}
	g := Gone{Key: c.key("key"), Seq: c.u64("sequence")}
	if err := c.end(); err != nil {
		return Gone{}, err
	}
	return g, nil
}
