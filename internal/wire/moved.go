// SPDX-License-Identifier: Apache-2.0

package wire

// Moved is control message 12: your frames come from another address than before.
//
//	+---------------+
//	|  (no bytes)   |
//	+---------------+
type Moved struct{}

// Append returns dst: the body is empty.
func (Moved) Append(dst []byte) []byte { return dst }

// ParseMoved reads the body of a message, which is empty.
func ParseMoved(b []byte) (Moved, error) {
	c := cursor{frame: "moved", b: b}
	return Moved{}, c.end()
}
