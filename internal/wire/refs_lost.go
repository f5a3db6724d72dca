// SPDX-License-Identifier: Apache-2.0

package wire

import "encoding/binary"

// RefsLost is session message 40: no TCP header of the slot's flow that a frame up to a
// counter has marked as a reference is held, or will be.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+-----------------------------------------------+
//	|     slot      |  counter ...                                  |
//	+---------------+-----------------------------------------------+
//	|  ... counter (8)                                              |
//	+---------------+-----------------------------------------------+
//	|  ...          |
//	+---------------+
//
//	offset  size  field
//	0       1     flow slot, 0 to 254
//	1       8     counter of a frame of the receiver of this message, all 64 bits
type RefsLost struct {
	Slot uint8  // 0 to 254
	UpTo uint64 // counter of the last frame whose mark is not held
}

// Append appends the encoded body to dst.
func (r RefsLost) Append(dst []byte) []byte {
	return binary.BigEndian.AppendUint64(append(dst, r.Slot), r.UpTo)
}

// ParseRefsLost reads the body of a message.
func ParseRefsLost(b []byte) (RefsLost, error) {
	c := cursor{frame: "refs-lost", b: b}
	r := RefsLost{Slot: c.u8("slot"), UpTo: c.u64("counter")}
	if c.err == nil && r.Slot == noSlot {
		c.fail("slot", ErrBadValue)
	}
	if err := c.end(); err != nil {
		return RefsLost{}, err
	}
	return r, nil
}
