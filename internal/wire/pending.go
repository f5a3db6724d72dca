// SPDX-License-Identifier: Apache-2.0

package wire

// Pending is session message 7: the offer is kept and waits for a person to decide.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------------------------------------------------------+
//	|  id (8)                                                       |
//	+---------------------------------------------------------------+
//
//	offset  size  field
//	0       8     id, from Offer
type Pending struct {
	ID [8]byte // the id of the Offer
}

// Append appends the encoded body to dst.
func (p Pending) Append(dst []byte) []byte { return append(dst, p.ID[:]...) }

// ParsePending reads the body of a message.
func ParsePending(b []byte) (Pending, error) {
	c := cursor{frame: "pending", b: b}
	p := Pending{ID: c.id()}
	if err := c.end(); err != nil {
		return Pending{}, err
	}
	return p, nil
}
