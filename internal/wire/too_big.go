// SPDX-License-Identifier: Apache-2.0

package wire

import "encoding/binary"

// TooBig is control message 62: a frame was longer than what the way onwards carries.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-----------------------------------------------+---------------+
//	|  label                                        |  size (2) ... |
//	+-----------------------------------------------+---------------+
//
//	offset  size  field
//	0       3     label of the sender of this message that the frame carried
//	3       2     largest UDP payload in bytes that passes, 1200 to 1452
type TooBig struct {
	Label Label  // as it stands on frames to the sender of this message
	Size  uint16 // MinDatagram to MaxDatagram
}

// Append appends the encoded body to dst. It panics when the size breaks its bounds.
func (t TooBig) Append(dst []byte) []byte {
	mustFit("size", int(t.Size), MinDatagram, MaxDatagram)
	return binary.BigEndian.AppendUint16(appendLabel(dst, t.Label), t.Size)
}

// ParseTooBig reads the body of a message.
func ParseTooBig(b []byte) (TooBig, error) {
	c := cursor{frame: "too-big", b: b}
	t := TooBig{Label: c.label("label"), Size: c.u16("size")}
	if t.Size < MinDatagram || t.Size > MaxDatagram {
		c.fail("size", ErrBadValue)
	}
	if err := c.end(); err != nil {
		return TooBig{}, err
	}
	return t, nil
}
