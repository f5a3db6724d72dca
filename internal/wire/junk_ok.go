// SPDX-License-Identifier: Apache-2.0

package wire

// JunkOK is control message 61: the frames of its sender under a label carry hop MACs from now on.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-----------------------------------------------+
//	|  label                                        |
//	+-----------------------------------------------+
//
//	offset  size  field
//	0       3     label of the receiver of this message, as in its Junk
type JunkOK struct {
	Label Label // as it stands on frames of the sender of this message
}

// Append appends the encoded body to dst.
func (j JunkOK) Append(dst []byte) []byte { return appendLabel(dst, j.Label) }

// ParseJunkOK reads the body of a message.
func ParseJunkOK(b []byte) (JunkOK, error) {
	c := cursor{frame: "junk-ok", b: b}
	j := JunkOK{Label: c.label("label")}
	if err := c.end(); err != nil {
		return JunkOK{}, err
	}
	return j, nil
}
