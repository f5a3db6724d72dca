// SPDX-License-Identifier: Apache-2.0

package wire

import "encoding/binary"

// PeriodMoves in the flags of a Period asks for a Moved whenever the sender's address changes.
const PeriodMoves = 1

// Period tells a parent how often its child will let itself be heard from now on.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+-------------------------------+
//	|     flags     |  keep-alive, seconds          |
//	+---------------+-------------------------------+
//
//	offset  size  field
//	0       1     flags: 1 tell me when my address changes
//	1       2     keep-alive period of the sender in seconds, 1 to 65535
type Period struct {
	Flags   uint8  // PeriodMoves; bits that are not known are ignored
	Seconds uint16 // not 0
}

// Append appends the encoded body to dst.
func (p Period) Append(dst []byte) []byte {
	return binary.BigEndian.AppendUint16(append(dst, p.Flags), p.Seconds)
}

// ParsePeriod reads a whole body.
func ParsePeriod(b []byte) (Period, error) {
	c := cursor{frame: "period", b: b}
	p := Period{Flags: c.u8("flags"), Seconds: c.u16("keep-alive")}
	if c.err == nil && p.Seconds == 0 {
		c.fail("keep-alive", ErrBadValue)
	}
	if err := c.end(); err != nil {
		return Period{}, err
	}
	return p, nil
}
