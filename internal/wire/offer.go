// SPDX-License-Identifier: Apache-2.0

package wire

import "encoding/binary"

// Offer is session message 4: the host of a server endpoint offers a tunnel to the node
// that its certificate names.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------------------------------------------------------+
//	|  id (8)                                                       |
//	+---------------------------------------------------------------+
//	|  expires, Unix seconds                                        |
//	+---------------------------------------------------------------+
//	|  sequence number                                              |
//	+-------------------------------+-------------------------------+
//	|  length of certificate (c)    |  certificate (c) ...          |
//	+-------------------------------+-------------------------------+
//	|  length of network cert. (n)  |  network certificate (n)      |
//	+-------------------------------+-------------------------------+
//
//	offset  size  field
//	0       8     id of the offer
//	8       4     expires, Unix seconds; 0 never
//	12      4     sequence number of this version of the offer
//	16      2     length of certificate, c, 1 to 320
//	18      c     certificate of the server endpoint
//	18+c    2     length of network certificate, n, 0 to 384
//	20+c    n     certificate of the endpoint's network, if the peer may not have it
type Offer struct {
	ID      [8]byte // random, made once for an offer
	Expires uint32  // Unix seconds; 0 never
	Seq     uint32  // counts up with every change of the offer
	Cert    []byte  // certificate of the server endpoint, 1 to MaxEndpointCert bytes
	Network []byte  // network certificate, at most MaxNetworkCert bytes; may be empty
}

// Append appends the encoded body to dst. It panics when a field breaks its bound.
func (o Offer) Append(dst []byte) []byte {
	mustFit("certificate", len(o.Cert), 1, MaxEndpointCert)
	dst = append(dst, o.ID[:]...)
	dst = binary.BigEndian.AppendUint32(dst, o.Expires)
	dst = binary.BigEndian.AppendUint32(dst, o.Seq)
	dst = appendSized(dst, "certificate", o.Cert, MaxEndpointCert)
	return appendSized(dst, "network certificate", o.Network, MaxNetworkCert)
}

// ParseOffer reads the body of a message. It does not look into the certificates.
func ParseOffer(b []byte) (Offer, error) {
	c := cursor{frame: "offer", b: b}
	o := Offer{
		ID:      c.id(),
		Expires: c.u32("expires"),
		Seq:     c.u32("sequence"),
		Cert:    c.sized("certificate", 1, MaxEndpointCert),
		Network: c.sized("network certificate", 0, MaxNetworkCert),
	}
	if err := c.end(); err != nil {
		return Offer{}, err
	}
	return o, nil
}
