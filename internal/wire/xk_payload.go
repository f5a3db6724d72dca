// SPDX-License-Identifier: Apache-2.0

package wire

// FlagAES in the Flags of an XKPayload says that the sender has instructions for AES-GCM.
const FlagAES = 1 << 0

// XKPayload is what the ends of a session tell each other inside the Noise messages of
// the XK handshake, encrypted.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+-------------------------------+---------------+
//	|     flags     |  length of node cert. (d)     |  node (d) ... |
//	+---------------+-------------------------------+---------------+
//	|  length of network cert. (n)  |  network certificate (n)      |
//	+-------------------------------+-------------------------------+
//
//	offset  size  field
//	0       1     flags: bit 0 AES-GCM
//	1       2     length of node certificate, d, 0 to 140
//	3       d     node certificate
//	3+d     2     length of network certificate, n, 0 to 384
//	5+d     n     network certificate
type XKPayload struct {
	Flags       uint8  // FlagAES or 0; bits that are not known are ignored
	NodeCert    []byte // at most MaxNodeCert bytes; empty between endpoints
	NetworkCert []byte // at most MaxNetworkCert bytes; empty between endpoints
}

// Append appends the encoded payload to dst. It panics when a field breaks its bound.
func (p XKPayload) Append(dst []byte) []byte {
	dst = append(dst, p.Flags)
	dst = appendSized(dst, "node certificate", p.NodeCert, MaxNodeCert)
	return appendSized(dst, "network certificate", p.NetworkCert, MaxNetworkCert)
}

// ParseXKPayload reads a whole payload. It does not look into the certificates.
func ParseXKPayload(b []byte) (XKPayload, error) {
	c := cursor{frame: "xk-payload", b: b}
	p := XKPayload{
		Flags:       c.u8("flags"),
		NodeCert:    c.sized("node certificate", 0, MaxNodeCert),
		NetworkCert: c.sized("network certificate", 0, MaxNetworkCert),
	}
	if err := c.end(); err != nil {
		return XKPayload{}, err
	}
	return p, nil
}
