// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"

	"staex/internal/ident"
)

// PathOK is control message 3: the path exists from here on. It goes back the way Path
// came; every relay puts its own label in it.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------------------------------------------------------+
//	|  set-up id (8)                                                |
//	+-----------------------------------------------+---------------+
//	|  label for the way there                      |  size ...     |
//	+---------------+-------------------------------+---------------+
//	|  ... size     |  length of body (b)           |  body (b) ... |
//	+---------------+-------------------------------+---------------+
//	|  keys (t)     |  trail (32 t), only for a probe               |
//	+---------------+-----------------------------------------------+
//
//	offset  size  field
//	0       8     set-up id, from Path
//	8       3     label for the way there, chosen by the sender
//	11      2     size in bytes, the smallest that is proven on the way
//	13      2     length of body, b, 0 to 512
//	15      b     body, end to end
//	15+b    1     keys in the trail, t, 0 to 16; 0 unless a probe is answered
//	16+b    32 t  trail, first relay first
type PathOK struct {
	ID    [8]byte        // the id of the Path that is answered
	Label Label          // label in the sender's table for frames on the way there
	Size  uint16         // smallest UDP payload in bytes that is proven on the way
	Body  []byte         // at most MaxPathBody bytes, opaque to relays
	Trail []ident.NodeID // relays of a probe's way there, at most MaxTrail; a copy
}

// Append appends the encoded body to dst. It panics when a field breaks its bound.
func (p PathOK) Append(dst []byte) []byte {
	dst = append(dst, p.ID[:]...)
	dst = appendLabel(dst, p.Label)
	dst = binary.BigEndian.AppendUint16(dst, p.Size)
	dst = appendSized(dst, "body", p.Body, MaxPathBody)
	return appendKeys(dst, "trail", p.Trail)
}

// ParsePathOK reads the body of a message.
func ParsePathOK(b []byte) (PathOK, error) {
	c := cursor{frame: "path-ok", b: b}
	p := PathOK{
		ID:    c.id(),
		Label: c.label("label"),
		Size:  c.u16("size"),
		Body:  c.sized("body", 0, MaxPathBody),
		Trail: c.keys("trail", MaxTrail),
	}
	if err := c.end(); err != nil {
		return PathOK{}, err
	}
	return p, nil
}
