// SPDX-License-Identifier: Apache-2.0

package wire

// Unknown is control message 5: the sender has no row for a label that the receiver of
// this message has put on its frames.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-----------------------------------------------+
//	|  label                                        |
//	+-----------------------------------------------+
//
//	offset  size  field
//	0       3     label that came and has no row
type Unknown struct {
	Label Label // as it stood on the frame
}

// Append appends the encoded body to dst.
func (u Unknown) Append(dst []byte) []byte { return appendLabel(dst, u.Label) }

// ParseUnknown reads the body of a message.
func ParseUnknown(b []byte) (Unknown, error) {
	c := cursor{frame: "unknown", b: b}
	u := Unknown{Label: c.label("label")}
	if err := c.end(); err != nil {
		return Unknown{}, err
	}
	return u, nil
}
