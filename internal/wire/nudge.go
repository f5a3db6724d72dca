// SPDX-License-Identifier: Apache-2.0

package wire

// NudgeSize is the size of a Nudge datagram in bytes: less than the smallest data frame, so
// that it is never longer than what it answers.
const NudgeSize = 18

// nudgeMACInput is the part of a Nudge before its MAC, without byte 0.
const nudgeMACInput = NudgeSize - 8

// MaxNudge is the largest number of a Nudge, 2^48 - 1.
const MaxNudge = 1<<48 - 1

// Nudge asks a neighbour to show where it lives: frames with its labels came from another
// address than the one known, or it moved and has not proven the new address yet. The
// answer is a KeepAlive that echoes the number.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+-----------------------------------------------+
//	|     0x80      |              label of the receiver            |
//	+---------------+-----------------------------------------------+
//	|  number (6)                                                   |
//	+                               +-------------------------------+
//	|                               |  MAC (8) ...                  |
//	+-------------------------------+-------------------------------+
//
//	offset  size  field
//	0       1     0x80
//	1       3     control label of the receiver
//	4       6     number, higher than in every nudge before on this link
//	10      8     MAC under the link key, over bytes 1 to 9
type Nudge struct {
	To     Label   // control label of the receiver
	Number uint64  // 48 bits, rises with each nudge on one link and cannot be guessed
	MAC    [8]byte // under the chain key of the link
}

// Append appends the encoded frame to dst. Of the number it keeps the low 48 bits.
func (u Nudge) Append(dst []byte) []byte {
	dst = append(dst, TypeNudge<<4)
	return append(append(dst, u.MACInput()...), u.MAC[:]...)
}

// MACInput returns the bytes that the MAC of a nudge authenticates: label and number.
func (u Nudge) MACInput() []byte {
	return append48(appendLabel(make([]byte, 0, nudgeMACInput), u.To), u.Number)
}

// ParseNudge reads a whole datagram.
func ParseNudge(b []byte) (Nudge, error) {
	c := cursor{frame: "nudge", b: b}
	c.outer(TypeNudge)
	u := Nudge{To: c.label("to"), Number: c.u48("number")}
	copy(u.MAC[:], c.take("mac", len(u.MAC)))
	if err := c.end(); err != nil {
		return Nudge{}, err
	}
	return u, nil
}
