// SPDX-License-Identifier: Apache-2.0

package wire

// Confirm is session message 1: the initiator sees that the responder has the session, and that
// frames pass in this direction.
//
//	+---------------+
//	|  (no bytes)   |
//	+---------------+
type Confirm struct{}

// Append returns dst: the body is empty.
func (Confirm) Append(dst []byte) []byte { return dst }

// ParseConfirm reads the body of a message, which is empty.
func ParseConfirm(b []byte) (Confirm, error) {
	c := cursor{frame: "confirm", b: b}
	return Confirm{}, c.end()
}
