// SPDX-License-Identifier: Apache-2.0

package wire

import "encoding/binary"

// TicketAnswerSize is the size of a TicketAnswer in bytes: less than any Ticket can have.
const TicketAnswerSize = 58

// TicketAnswer accepts a Ticket. The link lives with the first frame of the child under the
// keys that both nonces give.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+-----------------------------------------------+
//	|     0xb0      |              label of the receiver            |
//	+---------------+-----------------------------------------------+
//	|     zero      |               label of the sender             |
//	+---------------+-----------------------------------------------+
//	|  nonce (32)                                                   |
//	+-------------------------------+-------------------------------+
//	|  size                         |  mac (16) ...                 |
//	+-------------------------------+-------------------------------+
//
//	offset  size  field
//	0       1     0xb0
//	1       3     label of the receiver, from Ticket
//	4       1     zero
//	5       3     label of the sender, which marks the link after it
//	8       32    nonce, never used before
//	40      2     size: the largest UDP payload in bytes that the link may carry
//	42      16    mac, over all bytes before it and the nonce of the Ticket
type TicketAnswer struct {
	To    Label           // control label of the child
	Label Label           // control label of the parent
	Nonce [NonceSize]byte // fresh
	Size  uint16          // largest UDP payload in bytes
	Mac   [MACSize]byte   // see TicketMACInput
}

// Append appends the encoded frame to dst.
func (a TicketAnswer) Append(dst []byte) []byte {
	dst = append(dst, TypeTicketAnswer<<4)
	dst = appendLabel(dst, a.To)
	dst = append(dst, 0)
	dst = appendLabel(dst, a.Label)
	dst = append(dst, a.Nonce[:]...)
	dst = binary.BigEndian.AppendUint16(dst, a.Size)
	return append(dst, a.Mac[:]...)
}

// ParseTicketAnswer reads a whole datagram.
func ParseTicketAnswer(b []byte) (TicketAnswer, error) {
	c := cursor{frame: "ticket-answer", b: b}
	c.outer(TypeTicketAnswer)
	a := TicketAnswer{To: c.label("to")}
	c.zero("zero", 1)
	a.Label = c.label("label")
	copy(a.Nonce[:], c.take("nonce", NonceSize))
	a.Size = c.u16("size")
	a.Mac = c.mac("mac")
	if err := c.end(); err != nil {
		return TicketAnswer{}, err
	}
	return a, nil
}
