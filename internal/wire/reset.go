// SPDX-License-Identifier: Apache-2.0

package wire

const (
	// TokenSize is the size of a reset token in bytes.
	TokenSize = 16
	// ResetSize is the size of a Reset in bytes: less than any link frame has.
	ResetSize = 4 + TokenSize
)

// Reset tells a child that its parent forgot their link: the token can only come from the
// parent's disk.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+-----------------------------------------------+
//	|     0x90      |       label that the sender does not know     |
//	+---------------+-----------------------------------------------+
//	|  token (16)                                                   |
//	+---------------------------------------------------------------+
//
//	offset  size  field
//	0       1     0x90
//	1       3     label of the link frame that had no row
//	4       16    token of this label
type Reset struct {
	Label Label           // the sender's label, as the receiver used it
	Token [TokenSize]byte // from the Grant of the link
}

// Append appends the encoded frame to dst.
func (r Reset) Append(dst []byte) []byte {
	dst = append(dst, TypeReset<<4)
	dst = appendLabel(dst, r.Label)
	return append(dst, r.Token[:]...)
}

// ParseReset reads a whole datagram.
func ParseReset(b []byte) (Reset, error) {
	c := cursor{frame: "reset", b: b}
	c.outer(TypeReset)
	r := Reset{Label: c.label("label")}
	copy(r.Token[:], c.take("token", TokenSize))
	if err := c.end(); err != nil {
		return Reset{}, err
	}
	return r, nil
}
