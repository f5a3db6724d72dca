// SPDX-License-Identifier: Apache-2.0

package wire

import "encoding/binary"

// SizeAnswerSize is the size of a SizeProbe that answers, in bytes.
const SizeAnswerSize = 19

// SizeProbe is a datagram padded to a size, to find out whether a link carries that, or the
// answer that one of that size has come.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+-----------------------------------------------+
//	|     0xd0      |              label of the receiver            |
//	+---------------+-------------------------------+---------------+
//	|  answer       |  size                         | number (4) ...|
//	+---------------+-------------------------------+---------------+
//	|  ...             MAC (8) ...                                  |
//	+---------------------------------------------------------------+
//	|  zeros, in a question: to its size                            |
//	+---------------------------------------------------------------+
//
//	offset  size     field
//	0       1        0xd0
//	1       3        control label of the receiver
//	4       1        0: question, 1: answer
//	5       2        size of the question in bytes, 1200 to 1452
//	7       4        number: random in a question, repeated in the answer
//	11      8        MAC over bytes 1 to 10
//	19      size-19  zeros, in a question only
type SizeProbe struct {
	To     Label
	Answer bool
	Size   uint16 // of the question, MinDatagram to MaxDatagram
	Number uint32
	MAC    [8]byte // over MACInput
}

// MACInput is what the MAC covers: everything between the type and the MAC.
func (p SizeProbe) MACInput() []byte { return p.head(nil) }

func (p SizeProbe) head(dst []byte) []byte {
	dst = appendLabel(dst, p.To)
	if p.Answer {
		dst = append(dst, 1)
	} else {
		dst = append(dst, 0)
	}
	dst = binary.BigEndian.AppendUint16(dst, p.Size)
	return binary.BigEndian.AppendUint32(dst, p.Number)
}

// Append appends the encoded frame to dst. It panics when the size breaks its bounds.
func (p SizeProbe) Append(dst []byte) []byte {
	mustFit("size", int(p.Size), MinDatagram, MaxDatagram)
	dst = append(dst, TypeSizeProbe<<4)
	dst = append(p.head(dst), p.MAC[:]...)
	if p.Answer {
		return dst
	}
	return appendZeros(dst, int(p.Size)-SizeAnswerSize)
}

// ParseSizeProbe reads a whole datagram.
func ParseSizeProbe(b []byte) (SizeProbe, error) {
	c := cursor{frame: "size-probe", b: b}
	c.outer(TypeSizeProbe)
	p := SizeProbe{To: c.label("to")}
	switch c.u8("answer") {
	case 0:
	case 1:
		p.Answer = true
	default:
		c.fail("answer", ErrBadValue)
	}
	p.Size = c.u16("size")
	if p.Size < MinDatagram || p.Size > MaxDatagram {
		c.fail("size", ErrBadValue)
	}
	p.Number = c.u32("number")
	copy(p.MAC[:], c.take("MAC", len(p.MAC)))
	if !p.Answer && c.err == nil {
		c.zero("padding", int(p.Size)-SizeAnswerSize)
	}
	if err := c.end(); err != nil {
		return SizeProbe{}, err
	}
	return p, nil
}
