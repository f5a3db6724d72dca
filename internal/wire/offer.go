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
//	|  proof (8)                                                    |
//	+---------------------------------------------------------------+
//	|  expires, Unix seconds                                        |
//	+---------------------------------------------------------------+
//	|  sequence number                                              |
//	+---------------+---------------+-------------------------------+
//	|   families    |  names (k)    |  k times: length 1, name ...  |
//	+---------------+---------------+-------------------------------+
//	|  length (a)   |  static address (a)                           |
//	+---------------+-----------------------------------------------+
//	|  length of certificate (c)    |  certificate (c) ...          |
//	+-------------------------------+-------------------------------+
//	|  length of network cert. (n)  |  network certificate (n)      |
//	+-------------------------------+-------------------------------+
//
//	offset  size  field
//	0       8     id of the offer
//	8       8     proof that the sender holds the server endpoint's private key
//	16      4     expires, Unix seconds; 0 never
//	20      4     sequence number of this version of the offer
//	24      1     families: bit 0 IPv4, bit 1 IPv6; the others zero, not both zero
//	25      1     number of DNS names, k, 0 to 8
//	26      s     k times a length of 1 byte, 1 to 63, and a name; s at most 400
//	26+s    1     length of the static address, a: 0, 4 or 16
//	27+s    a     static address
//	then    2     length of certificate, c, 1 to 320
//	then    c     certificate of the server endpoint
//	then    2     length of network certificate, n, 0 to 384
//	then    n     certificate of the endpoint's network, if the peer may not have it
type Offer struct {
	ID       [8]byte  // random, made once for an offer
	Proof    [8]byte  // hello MAC under the secret of the server endpoint's and the client's key
	Expires  uint32   // Unix seconds; 0 never
	Seq      uint32   // counts up with every change of the offer
	Families uint8    // FamilyIPv4 and FamilyIPv6: what the endpoint can be reached with
	Names    [][]byte // DNS names, at most MaxNames, each 1 to MaxName bytes; not checked
	Static   []byte   // static address of the endpoint, 0, 4 or 16 bytes
	Cert     []byte   // certificate of the server endpoint, 1 to MaxEndpointCert bytes
	Network  []byte   // network certificate, at most MaxNetworkCert bytes; may be empty
}

// The bits of Offer.Families.
const (
	FamilyIPv4 = 1
	FamilyIPv6 = 2
)

// Append appends the encoded body to dst. It panics when a field breaks its bound.
func (o Offer) Append(dst []byte) []byte {
	mustFit("certificate", len(o.Cert), 1, MaxEndpointCert)
	dst = append(append(dst, o.ID[:]...), o.Proof[:]...)
	dst = binary.BigEndian.AppendUint32(dst, o.Expires)
	dst = binary.BigEndian.AppendUint32(dst, o.Seq)
	mustFit("names", len(o.Names), 0, MaxNames)
	dst = append(dst, o.Families, byte(len(o.Names)))
	total := 0
	for _, name := range o.Names {
		mustFit("name", len(name), 1, MaxName)
		total += 1 + len(name)
		mustFit("names", total, 0, MaxNamesSize)
		dst = append(append(dst, byte(len(name))), name...)
	}
	mustFit("static address", len(o.Static), 0, 16)
	dst = append(append(dst, byte(len(o.Static))), o.Static...)
	dst = appendSized(dst, "certificate", o.Cert, MaxEndpointCert)
	return appendSized(dst, "network certificate", o.Network, MaxNetworkCert)
}

// ParseOffer reads the body of a message. It does not look into the certificates.
func ParseOffer(b []byte) (Offer, error) {
	c := cursor{frame: "offer", b: b}
	o := Offer{
		ID:       c.id(),
		Proof:    c.id(),
		Expires:  c.u32("expires"),
		Seq:      c.u32("sequence"),
		Families: c.u8("families"),
	}
	if c.err == nil && (o.Families == 0 || o.Families > FamilyIPv4|FamilyIPv6) {
		c.fail("families", ErrBadValue)
	}
	o.Names = c.names("names")
	o.Static = c.address("static address")
	o.Cert = c.sized("certificate", 1, MaxEndpointCert)
	o.Network = c.sized("network certificate", 0, MaxNetworkCert)
	if err := c.end(); err != nil {
		return Offer{}, err
	}
	return o, nil
}
