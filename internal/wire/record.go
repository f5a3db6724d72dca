// SPDX-License-Identifier: Apache-2.0

package wire

// Record is control message 1: a signed record about one key, with the certificates that
// admit it when the receiver has not seen the key before.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-------------------------------+-------------------------------+
//	|  length of record (r)         |  record (r) ...               |
//	+-------------------------------+-------------------------------+
//	|  length of certificate (c)    |  certificate of the key (c)   |
//	+-------------------------------+-------------------------------+
//	|  length of network cert. (n)  |  network certificate (n)      |
//	+-------------------------------+-------------------------------+
//
//	offset  size  field
//	0       2     length of record, r, 1 to 320
//	2       r     record
//	2+r     2     length of certificate, c, 0 to 320
//	4+r     c     certificate of the record's key: node or endpoint
//	4+r+c   2     length of network certificate, n, 0 to 384
//	6+r+c   n     network certificate
type Record struct {
	Record      []byte // encoded signed record, 1 to MaxRecord bytes
	NodeCert    []byte // certificate of the record's key; at most MaxEndpointCert bytes
	NetworkCert []byte // certificate of its network; at most MaxNetworkCert bytes
}

// Append appends the encoded body to dst. It panics when a field breaks its bound.
func (r Record) Append(dst []byte) []byte {
	mustFit("record", len(r.Record), 1, MaxRecord)
	dst = appendSized(dst, "record", r.Record, MaxRecord)
	dst = appendSized(dst, "certificate", r.NodeCert, MaxEndpointCert)
	return appendSized(dst, "network certificate", r.NetworkCert, MaxNetworkCert)
}

// ParseRecord reads the body of a message. It does not look into the record.
func ParseRecord(b []byte) (Record, error) {
	c := cursor{frame: "record", b: b}
	r := Record{
		Record:      c.sized("record", 1, MaxRecord),
		NodeCert:    c.sized("certificate", 0, MaxEndpointCert),
		NetworkCert: c.sized("network certificate", 0, MaxNetworkCert),
	}
	if err := c.end(); err != nil {
		return Record{}, err
	}
	return r, nil
}
