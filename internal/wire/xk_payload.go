// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"

	"staex/internal/ident"
)

// FlagAES in the Flags of an XKPayload says that the sender has instructions for AES-GCM.
const FlagAES = 1 << 0

// XKFlagsPQ is how far FlagPQ and FlagPQMust are shifted in the Flags of an XKPayload.
const XKFlagsPQ = 1

// XKFlagsMark is how far the sender's mark is shifted in the Flags of an XKPayload. A program draws
// it from 1 to XKMaxMark when it starts, so that another one tells that it has restarted; 0: not
// told.
const (
	XKFlagsMark = 3
	XKMaxMark   = 31
)

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
//	|  hash of the sender's network (8)                             |
//	|                                                               |
//	+---------------------------------------------------------------+
//	|  number of its newest revocation list                         |
//	+---------------------------------------------------------------+
//
//	offset  size  field
//	0       1     flags: bit 0 AES-GCM, bit 1 post-quantum, bit 2 post-quantum required,
//	              bits 3 to 7 mark of the sender's program
//	1       2     length of node certificate, d, 0 to 140
//	3       d     node certificate
//	3+d     2     length of network certificate, n, 0 to 384
//	5+d     n     network certificate
//	5+d+n   8     hash of the sender's network
//	13+d+n  4     number of the newest revocation list of that network; 0: none
type XKPayload struct {
	Flags       uint8  // FlagAES, the others shifted
	NodeCert    []byte // at most MaxNodeCert bytes; empty between endpoints
	NetworkCert []byte // at most MaxNetworkCert bytes; empty between endpoints
	Network     ident.NetworkHash
	Head        uint32 // number of Network's newest revocation list; 0: none
}

// Append appends the encoded payload to dst. It panics when a field breaks its bound.
func (p XKPayload) Append(dst []byte) []byte {
	dst = append(dst, p.Flags)
	dst = appendSized(dst, "node certificate", p.NodeCert, MaxNodeCert)
	dst = appendSized(dst, "network certificate", p.NetworkCert, MaxNetworkCert)
	dst = append(dst, p.Network[:]...)
	return binary.BigEndian.AppendUint32(dst, p.Head)
}

// ParseXKPayload reads a whole payload. It does not look into the certificates.
func ParseXKPayload(b []byte) (XKPayload, error) {
	c := cursor{frame: "xk-payload", b: b}
	p := XKPayload{
		Flags:       c.u8("flags"),
		NodeCert:    c.sized("node certificate", 0, MaxNodeCert),
		NetworkCert: c.sized("network certificate", 0, MaxNetworkCert),
	}
	copy(p.Network[:], c.take("network", len(p.Network)))
	p.Head = c.u32("head")
	if err := c.end(); err != nil {
		return XKPayload{}, err
	}
	return p, nil
}
