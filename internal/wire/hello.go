// SPDX-License-Identifier: Apache-2.0

package wire

// Hello is session message 11: a node that lets members of its network reach it outside
// tunnels says so, and shows that it is a member.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+-------------------------------+---------------+
//	|     ask       |  length of node cert. (d)     |  node (d) ... |
//	+---------------+-------------------------------+---------------+
//
//	offset  size  field
//	0       1     ask: 1 the other end is asked the same, 0 this is the answer
//	1       2     length of node certificate, d, 1 to 140
//	3       d     node certificate
type Hello struct {
	Ask  bool
	Node []byte // node certificate, at most MaxNodeCert bytes
}

// Append appends the encoded body to dst. It panics when a field breaks its bound.
func (h Hello) Append(dst []byte) []byte {
	ask := uint8(0)
	if h.Ask {
		ask = 1
	}
	return appendSized(append(dst, ask), "node certificate", h.Node, MaxNodeCert)
}

// ParseHello reads the body of a message. It does not look into the certificate.
func ParseHello(b []byte) (Hello, error) {
	c := cursor{frame: "hello", b: b}
	ask := c.u8("ask")
	h := Hello{Ask: ask == 1, Node: c.sized("node certificate", 1, MaxNodeCert)}
	if c.err == nil && ask > 1 {
		c.fail("ask", ErrBadValue)
	}
	if err := c.end(); err != nil {
		return Hello{}, err
	}
	return h, nil
}
