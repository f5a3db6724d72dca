// SPDX-License-Identifier: Apache-2.0

package wire

import "encoding/binary"

// MaxHello2Noise is the largest Noise message in a Hello2, in bytes.
const MaxHello2Noise = MaxDatagram - hello2Head

const hello2Head = 10

// Hello2 answers a Hello1 that was admitted.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+-----------------------------------------------+
//	|     0x40      |              label of the receiver            |
//	+---------------+-----------------------------------------------+
//	|     zero      |               label of the sender             |
//	+---------------+---------------+-------------------------------+
//	|  length of noise (n)          |  noise (n) ...                |
//	+-------------------------------+-------------------------------+
//	|  zero padding ...                                             |
//	+---------------------------------------------------------------+
//
//	offset  size  field
//	0       1     0x40
//	1       3     label of the receiver, from Hello1
//	4       1     zero
//	5       3     label of the sender, which marks Hello3 and the link after it
//	8       2     length of noise, n
//	10      n     noise, message 2 of XX; its payload is a LinkPayload
//	10+n    rest  zero padding up to the end of the datagram
type Hello2 struct {
	To    Label  // control label of the initiator
	Label Label  // control label of the responder
	Size  int    // total size in bytes; the padding fills what Noise leaves
	Noise []byte // at most MaxHello2Noise bytes
}

// Len returns the encoded size in bytes: Size, or more when Noise needs more. The sender
// compares it with the size of the Hello1 it answers, which it must not exceed.
func (h Hello2) Len() int { return max(h.Size, hello2Head+len(h.Noise)) }

// Append appends the encoded frame to dst, Len bytes. It panics when these are more than
// MaxDatagram.
func (h Hello2) Append(dst []byte) []byte {
	mustFit("size", h.Len(), hello2Head, MaxDatagram)
	dst = append(dst, TypeHello2<<4)
	dst = appendLabel(dst, h.To)
	dst = append(dst, 0)
	dst = appendLabel(dst, h.Label)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(h.Noise)))
	dst = append(dst, h.Noise...)
	return appendZeros(dst, h.Len()-hello2Head-len(h.Noise))
}

// ParseHello2 reads a whole datagram.
func ParseHello2(b []byte) (Hello2, error) {
	c := cursor{frame: "hello2", b: b}
	c.outer(TypeHello2)
	if c.err == nil && len(b) > MaxDatagram {
		c.fail("size", ErrBadLength)
	}
	h := Hello2{Size: len(b)}
	h.To = c.label("to")
	c.zero("zero", 1)
	h.Label = c.label("label")
	h.Noise = c.sized("noise", 0, MaxHello2Noise)
	c.zero("padding", len(c.b))
	if err := c.end(); err != nil {
		return Hello2{}, err
	}
	return h, nil
}
