// SPDX-License-Identifier: Apache-2.0

package wire

// Bye is control message 7: the sender stops in good order, and the link ends with it.
//
//	+---------------+
//	|  (no bytes)   |
//	+---------------+
type Bye struct{}

// Append returns dst: the body is empty.
func (Bye) Append(dst []byte) []byte { return dst }

// ParseBye reads the body of a message, which is empty.
func ParseBye(b []byte) (Bye, error) {
	c := cursor{frame: "bye", b: b}
	return Bye{}, c.end()
}
