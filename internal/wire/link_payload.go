// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"

	"staex/internal/ident"
)

// Flags of a LinkPayload and, one bit higher, of an XKPayload: what the sender's post-quantum
// setting says.
const (
	FlagPQ     = 1 << 0 // the sender does the post-quantum exchange
	FlagPQMust = 1 << 1 // and talks to nobody who does not
)

// LinkPayload is what both ends of a link tell each other inside the Noise messages of
// Hello2 and Hello3, encrypted.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+-------------------------------+---------------+
//	|     flags     |  keep-alive, seconds          |  size ...     |
//	+---------------+-------------------------------+---------------+
//	|  ... size     |  length of node cert. (d)     |  node (d) ... |
//	+---------------+-------------------------------+---------------+
//	|  length of network cert. (n)  |  network certificate (n)      |
//	+-------------------------------+-------------------------------+
//	|  number of the newest revocation list                         |
//	+---------------+-----------------------------------------------+
//	|  keys (k)     |  keys of the parents (32 k), nearest first    |
//	+---------------+-----------------------------------------------+
//
//	offset  size  field
//	0       1     flags: bit 0 post-quantum, bit 1 post-quantum required
//	1       2     keep-alive period of the sender in seconds; 0 unknown
//	3       2     size: the largest UDP payload in bytes proven to arrive
//	5       2     length of node certificate, d, 0 to 140
//	7       d     node certificate
//	7+d     2     length of network certificate, n, 0 to 384
//	9+d     n     network certificate
//	9+d+n   4     number of the newest revocation list of the sender's network; 0: none
//	13+d+n  1     number of parents, k, 0 to 16
//	14+d+n  32 k  keys of the parents, nearest first
type LinkPayload struct {
	Flags       uint8          // FlagPQ, FlagPQMust; bits that are not known are ignored
	KeepAlive   uint16         // period of the sender's keep-alives in seconds
	Size        uint16         // largest UDP payload in bytes proven to arrive
	NodeCert    []byte         // at most MaxNodeCert bytes; may be empty
	NetworkCert []byte         // at most MaxNetworkCert bytes; may be empty
	Head        uint32         // newest revocation list of the sender's network; 0: none
	Parents     []ident.NodeID // chain above the sender, at most MaxParents; a copy
}

// Append appends the encoded payload to dst. It panics when a field breaks its bound.
func (p LinkPayload) Append(dst []byte) []byte {
	dst = append(dst, p.Flags)
	dst = binary.BigEndian.AppendUint16(dst, p.KeepAlive)
	dst = binary.BigEndian.AppendUint16(dst, p.Size)
	dst = appendSized(dst, "node certificate", p.NodeCert, MaxNodeCert)
	dst = appendSized(dst, "network certificate", p.NetworkCert, MaxNetworkCert)
	dst = binary.BigEndian.AppendUint32(dst, p.Head)
	return appendKeys(dst, "parents", p.Parents)
}

// ParseLinkPayload reads a whole payload. It does not look into the certificates.
func ParseLinkPayload(b []byte) (LinkPayload, error) {
	c := cursor{frame: "link-payload", b: b}
	p := LinkPayload{
		Flags:       c.u8("flags"),
		KeepAlive:   c.u16("keep-alive"),
		Size:        c.u16("size"),
		NodeCert:    c.sized("node certificate", 0, MaxNodeCert),
		NetworkCert: c.sized("network certificate", 0, MaxNetworkCert),
		Head:        c.u32("head"),
		Parents:     c.keys("parents", MaxParents),
	}
	if err := c.end(); err != nil {
		return LinkPayload{}, err
	}
	return p, nil
}
