// SPDX-License-Identifier: Apache-2.0

package wire

// Junk is control message 60: frames came under a label that nobody sealed for its session.
// The receiver of this message puts hop MACs on its frames under that label for a while.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-----------------------------------------------+
//	|  label                                        |
//	+-----------------------------------------------+
//
//	offset  size  field
//	0       3     label of the sender of this message that the junk carried
type Junk struct {
	Label Label // as it stands on frames to the sender of this message
}

// Append appends the encoded body to dst.
func (j Junk) Append(dst []byte) []byte { return appendLabel(dst, j.Label) }

// ParseJunk reads the body of a message.
func ParseJunk(b []byte) (Junk, error) {
	c := cursor{frame: "junk", b: b}
	j := Junk{Label: c.label("label")}
	if err := c.end(); err != nil {
		return Junk{}, err
	}
	return j, nil
}
