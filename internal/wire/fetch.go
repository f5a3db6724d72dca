// SPDX-License-Identifier: Apache-2.0

package wire

import "staex/internal/ident"

// Fetch is control message 42: tell me the record of this key again, I did not keep its bytes.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------------------------------------------------------+
//	|  key (32)                                                     |
//	+---------------------------------------------------------------+
//
//	offset  size  field
//	0       32    key of the record
type Fetch struct {
	Key ident.NodeID // not checked to be a point
}

// Append appends the encoded body to dst.
func (f Fetch) Append(dst []byte) []byte { return append(dst, f.Key[:]...) }

// ParseFetch reads the body of a message.
func ParseFetch(b []byte) (Fetch, error) {
	c := cursor{frame: "fetch", b: b}
	f := Fetch{Key: c.key("key")}
	if err := c.end(); err != nil {
		return Fetch{}, err
	}
	return f, nil
}
