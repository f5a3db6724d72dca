// SPDX-License-Identifier: Apache-2.0

package wire

import "staex/internal/ident"

// Quarantine is control message 70: your certificate has expired, and this link carries what is
// for the issuer and nothing else.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------------------------------------------------------+
//	|  issuer (32)                                                  |
//	+---------------------------------------------------------------+
//
//	offset  size  field
//	0       32    issuer: the key that may be reached
type Quarantine struct {
	Issuer ident.NodeID // not checked to be a point
}

// Append appends the encoded body to dst.
func (q Quarantine) Append(dst []byte) []byte { return append(dst, q.Issuer[:]...) }

// ParseQuarantine reads the body of a message.
func ParseQuarantine(b []byte) (Quarantine, error) {
	c := cursor{frame: "quarantine", b: b}
	q := Quarantine{Issuer: c.key("issuer")}
	if err := c.end(); err != nil {
		return Quarantine{}, err
	}
	return q, nil
}
