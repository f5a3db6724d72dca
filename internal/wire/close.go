// SPDX-License-Identifier: Apache-2.0

package wire

// Close is session message 10: the sender has dropped the session and its keys.
//
//	+---------------+
//	|  (no bytes)   |
//	+---------------+
type Close struct{}

// Append returns dst: the body is empty.
func (Close) Append(dst []byte) []byte { return dst }

// ParseClose reads the body of a message, which is empty.
func ParseClose(b []byte) (Close, error) {
	c := cursor{frame: "close", b: b}
	return Close{}, c.end()
}
