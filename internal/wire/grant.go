// SPDX-License-Identifier: Apache-2.0

package wire

// Grant is what a parent gives a child once their link is up: with it the child comes back
// without a handshake after either of them was away.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------------------------------------------------------+
//	|  token (16)                                                   |
//	+-------------------------------+-------------------------------+
//	|  length of ticket (n)         |  ticket (n) ...               |
//	+-------------------------------+-------------------------------+
//
//	offset  size  field
//	0       16    token of this link, for Reset
//	16      2     length of ticket, n, 0 or 32 to 256; 0: come with a handshake next time
//	18      n     ticket
type Grant struct {
	Token  [TokenSize]byte // what a Reset of this link has to show
	Ticket []byte          // empty, or MinTicket to MaxTicket bytes
}

// Append appends the encoded body to dst. It panics when the ticket breaks its bound.
func (g Grant) Append(dst []byte) []byte {
	dst = append(dst, g.Token[:]...)
	return appendSized(dst, "ticket", g.Ticket, MaxTicket)
}

// ParseGrant reads a whole body.
func ParseGrant(b []byte) (Grant, error) {
	c := cursor{frame: "grant", b: b}
	var g Grant
	copy(g.Token[:], c.take("token", TokenSize))
	g.Ticket = c.sized("ticket", 0, MaxTicket)
	if n := len(g.Ticket); n > 0 && n < MinTicket {
		c.fail("ticket", ErrBadLength)
	}
	if err := c.end(); err != nil {
		return Grant{}, err
	}
	return g, nil
}
