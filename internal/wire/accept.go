// SPDX-License-Identifier: Apache-2.0

package wire

// Accept is session message 5: the offer is taken, and this is the client endpoint that
// was made for it.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------------------------------------------------------+
//	|  id (8)                                                       |
//	+---------------------------------------------------------------+
//	|  proof (8)                                                    |
//	+-------------------------------+-------------------------------+
//	|  length of certificate (c)    |  certificate (c) ...          |
//	+-------------------------------+-------------------------------+
//	|  length of node cert. (d)     |  node certificate (d) ...     |
//	+-------------------------------+-------------------------------+
//	|  length of network cert. (n)  |  network certificate (n)      |
//	+-------------------------------+-------------------------------+
//
//	offset    size  field
//	0         8     id, from Offer
//	8         8     proof that the sender holds the client endpoint's private key
//	16        2     length of certificate, c, 1 to 320
//	18        c     certificate of the client endpoint
//	18+c      2     length of node certificate, d, 0 to 140
//	20+c      d     certificate of the client's node, which signed the one before
//	20+c+d    2     length of network certificate, n, 0 to 384
//	22+c+d    n     certificate of the node's network
type Accept struct {
	ID      [8]byte // the id of the Offer
	Proof   [8]byte // hello MAC under the secret of the two endpoint keys
	Cert    []byte  // certificate of the client endpoint, 1 to MaxEndpointCert bytes
	Node    []byte  // node certificate, at most MaxNodeCert bytes; may be empty
	Network []byte  // network certificate, at most MaxNetworkCert bytes; may be empty
}

// Append appends the encoded body to dst. It panics when a field breaks its bound.
func (a Accept) Append(dst []byte) []byte {
	mustFit("certificate", len(a.Cert), 1, MaxEndpointCert)
	dst = append(append(dst, a.ID[:]...), a.Proof[:]...)
	dst = appendSized(dst, "certificate", a.Cert, MaxEndpointCert)
	dst = appendSized(dst, "node certificate", a.Node, MaxNodeCert)
	return appendSized(dst, "network certificate", a.Network, MaxNetworkCert)
}

// ParseAccept reads the body of a message. It does not look into the certificates.
func ParseAccept(b []byte) (Accept, error) {
	c := cursor{frame: "accept", b: b}
	a := Accept{
		ID:      c.id(),
		Proof:   c.id(),
		Cert:    c.sized("certificate", 1, MaxEndpointCert),
		Node:    c.sized("node certificate", 0, MaxNodeCert),
		Network: c.sized("network certificate", 0, MaxNetworkCert),
	}
	if err := c.end(); err != nil {
		return Accept{}, err
	}
	return a, nil
}
