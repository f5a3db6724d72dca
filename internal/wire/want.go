// SPDX-License-Identifier: Apache-2.0

package wire

// Want is control message 8: send every record you have for me, because my table is new
// or our digests differ.
//
//	+---------------+
//	|  (no bytes)   |
//	+---------------+
type Want struct{}

// Append returns dst: the body is empty.
func (Want) Append(dst []byte) []byte { return dst }

// ParseWant reads the body of a message, which is empty.
func ParseWant(b []byte) (Want, error) {
	c := cursor{frame: "want", b: b}
	return Want{}, c.end()
}
