// SPDX-License-Identifier: Apache-2.0

package wire

import "encoding/binary"

// NATProbeSize is the size of a NATProbe in bytes, in both directions.
const NATProbeSize = 34

// MaxNATDelay is the longest delay that a NATProbe may ask for, in seconds.
const MaxNATDelay = 1200

// NATProbe asks a parent to write to an address of its child at once and again after a
// while, and is that answer: so the child learns how long an address translator on the way
// keeps a mapping that is not used.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+-----------------------------------------------+
//	|     0xc0      |              label of the receiver            |
//	+---------------+-----------------------------------------------+
//	|                            number                             |
//	+-------------------------------+-------------------------------+
//	|  delay, seconds               |  place (8) ...                |
//	+-------------------------------+-------------------------------+
//	|  mac (16)                                                     |
//	+---------------------------------------------------------------+
//
//	offset  size  field
//	0       1     0xc0
//	1       3     label of the receiver: of the link
//	4       4     number: counts up in the questions of a link; the answers repeat it
//	8       2     delay in seconds, 0 to 1200: asked for, or kept; 0 in the answer at once
//	10      8     place that the question came from; 0 in a question
//	18      16    mac, over all bytes before it
type NATProbe struct {
	To     Label         // control label of the receiver
	Number uint32        // of the question
	Delay  uint16        // in seconds, at most MaxNATDelay
	Place  [8]byte       // names the network of the child, in answers
	Mac    [MACSize]byte // see TicketMACInput
}

// Append appends the encoded frame to dst. It panics when the delay breaks its bound.
func (p NATProbe) Append(dst []byte) []byte {
	mustFit("delay", int(p.Delay), 0, MaxNATDelay)
	dst = append(dst, TypeNATProbe<<4)
	dst = appendLabel(dst, p.To)
	dst = binary.BigEndian.AppendUint32(dst, p.Number)
	dst = binary.BigEndian.AppendUint16(dst, p.Delay)
	dst = append(dst, p.Place[:]...)
	return append(dst, p.Mac[:]...)
}

// ParseNATProbe reads a whole datagram.
func ParseNATProbe(b []byte) (NATProbe, error) {
	c := cursor{frame: "nat-probe", b: b}
	c.outer(TypeNATProbe)
	p := NATProbe{To: c.label("to"), Number: c.u32("number")}
	if p.Delay = c.u16("delay"); p.Delay > MaxNATDelay {
		c.fail("delay", ErrBadValue)
	}
	copy(p.Place[:], c.take("place", len(p.Place)))
	p.Mac = c.mac("mac")
	if err := c.end(); err != nil {
		return NATProbe{}, err
	}
	return p, nil
}
