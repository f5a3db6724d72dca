// SPDX-License-Identifier: Apache-2.0

package wire

// SlotOK is session message 2: the announced flow slots are known and need no more
// announcing.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+---------------+-------------------------------+
//	|     slot      |     slot      |  more slots ... to the end    |
//	+---------------+---------------+-------------------------------+
//
//	offset  size  field
//	0       rest  slots, one byte each, 1 to 255 of them, 0 to 254
type SlotOK struct {
	Slots []uint8 // 1 to MaxSlots flow slots, each 0 to 254
}

// Append appends the encoded body to dst. It panics when there are no slots or too many.
func (s SlotOK) Append(dst []byte) []byte {
	mustFit("slots", len(s.Slots), 1, MaxSlots)
	return append(dst, s.Slots...)
}

// ParseSlotOK reads the body of a message.
func ParseSlotOK(b []byte) (SlotOK, error) {
	c := cursor{frame: "slot-ok", b: b}
	s := SlotOK{Slots: c.slots("slots")}
	if err := c.end(); err != nil {
		return SlotOK{}, err
	}
	return s, nil
}
