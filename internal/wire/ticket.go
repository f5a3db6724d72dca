// SPDX-License-Identifier: Apache-2.0

package wire

const (
	// NonceSize is the size of the nonces that both ends of a resumption draw, in bytes.
	NonceSize = 32
	// MinTicket is the shortest ticket in bytes, so that no answer is longer than its question.
	MinTicket = 32
	// MaxTicket is the longest ticket in bytes. Only the parent that made it can read it.
	MaxTicket = 256

	ticketHead = 8 + NonceSize
)

// Ticket asks a parent to take up a link again without any public-key work.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+-----------------------------------------------+
//	|     0xa0      |               label of the sender             |
//	+---------------+---------------+-------------------------------+
//	|  version (1)  |     zero      |  length of ticket (n)         |
//	+---------------+---------------+-------------------------------+
//	|  nonce (32)                                                   |
//	+---------------------------------------------------------------+
//	|  ticket (n)                                                   |
//	+---------------------------------------------------------------+
//	|  mac (16)                                                     |
//	+---------------------------------------------------------------+
//
//	offset  size  field
//	0       1     0xa0
//	1       3     label of the sender, which marks all answers
//	4       1     version: 1
//	5       1     zero
//	6       2     length of ticket, n, 32 to 256
//	8       32    nonce, never used before
//	40      n     ticket, as the parent gave it
//	40+n    16    mac, over all bytes before it
type Ticket struct {
	Version uint8
	Label   Label           // control label of the child
	Nonce   [NonceSize]byte // fresh
	Ticket  []byte          // MinTicket to MaxTicket bytes
	Mac     [MACSize]byte   // see TicketMACInput
}

// Append appends the encoded frame to dst. It panics when the ticket breaks its bound.
func (t Ticket) Append(dst []byte) []byte {
	mustFit("ticket", len(t.Ticket), MinTicket, MaxTicket)
	dst = append(dst, TypeTicket<<4)
	dst = appendLabel(dst, t.Label)
	dst = append(dst, t.Version, 0, byte(len(t.Ticket)>>8), byte(len(t.Ticket)))
	dst = append(dst, t.Nonce[:]...)
	dst = append(dst, t.Ticket...)
	return append(dst, t.Mac[:]...)
}

// ParseTicket reads a whole datagram.
func ParseTicket(b []byte) (Ticket, error) {
	c := cursor{frame: "ticket", b: b}
	c.outer(TypeTicket)
	t := Ticket{Label: c.label("label")}
	if t.Version = c.u8("version"); c.err == nil && t.Version != Version {
		c.fail("version", ErrBadVersion)
	}
	c.zero("zero", 1)
	size := int(c.u16("length"))
	if c.err == nil && (size < MinTicket || size > MaxTicket) {
		c.fail("length", ErrBadLength)
	}
	copy(t.Nonce[:], c.take("nonce", NonceSize))
	t.Ticket = c.take("ticket", size)
	t.Mac = c.mac("mac")
	if err := c.end(); err != nil {
		return Ticket{}, err
	}
	return t, nil
}

// TicketMACInput is what the mac of an encoded Ticket or TicketAnswer covers: all bytes before
// it. b must have been parsed, or encoded with any mac.
func TicketMACInput(b []byte) []byte { return b[:len(b)-MACSize] }

// PutTicketMAC writes the mac of an encoded Ticket or TicketAnswer.
func PutTicketMAC(b []byte, mac [MACSize]byte) { copy(b[len(b)-MACSize:], mac[:]) }
