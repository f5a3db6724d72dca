// SPDX-License-Identifier: Apache-2.0

package wire

// Hello is session message 11: the responder of a session between nodes shows its
// certificates, as the initiator did in the handshake.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-------------------------------+-------------------------------+
//	|  length of node cert. (d)     |  node certificate (d) ...     |
//	+-------------------------------+-------------------------------+
//	|  length of network cert. (n)  |  network certificate (n)      |
//	+-------------------------------+-------------------------------+
//
//	offset  size  field
//	0       2     length of node certificate, d, 0 to 140
//	2       d     node certificate
//	2+d     2     length of network certificate, n, 0 to 384
//	4+d     n     network certificate
type Hello struct {
	Node    []byte // node certificate, at most MaxNodeCert bytes; may be empty
	Network []byte // network certificate, at most MaxNetworkCert bytes; may be empty
}

// Append appends the encoded body to dst. It panics when a field breaks its bound.
func (h Hello) Append(dst []byte) []byte {
	dst = appendSized(dst, "node certificate", h.Node, MaxNodeCert)
	return appendSized(dst, "network certificate", h.Network, MaxNetworkCert)
}

// ParseHello reads the body of a message. It does not look into the certificates.
func ParseHello(b []byte) (Hello, error) {
	c := cursor{frame: "hello", b: b}
	h := Hello{
		Node:    c.sized("node certificate", 0, MaxNodeCert),
		Network: c.sized("network certificate", 0, MaxNetworkCert),
	}
	if err := c.end(); err != nil {
		return Hello{}, err
	}
	return h, nil
}
