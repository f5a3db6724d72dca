// SPDX-License-Identifier: Apache-2.0

package wire

// Reasons of Reject. A receiver treats a number that it does not know as RejectByHand.
const (
	RejectNotTrusted = 1 // neither the node nor its network is trusted
	RejectByHand     = 2 // a person said no
	RejectBadCert    = 3 // a certificate does not verify or does not fit
	RejectFull       = 4 // there are too many tunnels or offers
)

// Reject is session message 6: the offer is not taken.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------------------------------------------------------+
//	|  id (8)                                                       |
//	+---------------+-----------------------------------------------+
//	|    reason     |
//	+---------------+
//
//	offset  size  field
//	0       8     id, from Offer
//	8       1     reason: 1 not trusted, 2 by hand, 3 bad certificate, 4 full
type Reject struct {
	ID     [8]byte // the id of the Offer
	Reason uint8   // RejectNotTrusted to RejectFull, or a later one; never 0
}

// Append appends the encoded body to dst.
func (r Reject) Append(dst []byte) []byte {
	return append(append(dst, r.ID[:]...), r.Reason)
}

// ParseReject reads the body of a message. Reasons that are not known parse, because
// they reject all the same.
func ParseReject(b []byte) (Reject, error) {
	c := cursor{frame: "reject", b: b}
	r := Reject{ID: c.id(), Reason: c.u8("reason")}
	if c.err == nil && r.Reason == 0 {
		c.fail("reason", ErrBadValue)
	}
	if err := c.end(); err != nil {
		return Reject{}, err
	}
	return r, nil
}
