// SPDX-License-Identifier: Apache-2.0

package wire

import "staex/internal/ident"

// Up is control message 9: the chain of parents above the receiver, as far as they are
// members of its own network.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+-----------------------------------------------+
//	|  keys (k)     |  keys of the parents (32 k), nearest first    |
//	+---------------+-----------------------------------------------+
//
//	offset  size  field
//	0       1     number of keys, k, 0 to 16
//	1       32 k  keys, nearest first
type Up struct {
	Keys []ident.NodeID // at most MaxParents; not checked to be points; a copy
}

// Append appends the encoded body to dst. It panics when there are too many keys.
func (u Up) Append(dst []byte) []byte { return appendKeys(dst, "keys", u.Keys) }

// ParseUp reads the body of a message.
func ParseUp(b []byte) (Up, error) {
	c := cursor{frame: "up", b: b}
	u := Up{Keys: c.keys("keys", MaxParents)}
	if err := c.end(); err != nil {
		return Up{}, err
	}
	return u, nil
}
