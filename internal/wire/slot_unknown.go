// SPDX-License-Identifier: Apache-2.0

package wire

// SlotUnknown is session message 3: frames came on flow slots that nobody has
// announced, and were dropped.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+---------------+-------------------------------+
//	|     slot      |     slot      |  more slots ... to the end    |
//	+---------------+---------------+-------------------------------+
//
//	offset  size  field
//	0       rest  slots, one byte each, 1 to 255 of them, 0 to 254
type SlotUnknown struct {
	Slots []uint8 // 1 to MaxSlots flow slots, each 0 to 254
}

// Append appends the encoded body to dst. It panics when there are no slots or too many.
func (s SlotUnknown) Append(dst []byte) []byte {
	mustFit("slots", len(s.Slots), 1, MaxSlots)
	return append(dst, s.Slots...)
}

// ParseSlotUnknown reads the body of a message.
func ParseSlotUnknown(b []byte) (SlotUnknown, error) {
	c := cursor{frame: "slot-unknown", b: b}
	s := SlotUnknown{Slots: c.slots("slots")}
	if err := c.end(); err != nil {
		return SlotUnknown{}, err
	}
	return s, nil
}
