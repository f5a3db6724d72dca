// SPDX-License-Identifier: Apache-2.0

package wire

import "encoding/binary"

// Sizes of what a keep-alive may hold, in bytes.
const (
	DigestSize = 4
	EchoSize   = 6
)

// KeepAlive is the plaintext of a link frame of 0, 4 or 6 bytes: a sign of life, with or
// without a digest of the rows on the child's side, or the answer to a Nudge. It is not
// numbered and not repeated. The flag of the link frame's header asks for an answer.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------------------------------------------------------+
//	|            nothing, or digest (4), or echo (6)                |
//	+                               +-------------------------------+
//	|                               |
//	+-------------------------------+
//
//	offset  size    field
//	0       0 or 4  digest
//	0       6       echo: number of the nudge that is answered
type KeepAlive struct {
	HasDigest bool   // Digest is sent
	HasEcho   bool   // Echo is sent, and no digest
	Digest    uint32 // keyed digest of the rows below and including the child
	Echo      uint64 // 48 bits
}

// Append appends the encoded keep-alive to dst: nothing, the digest, or the echo.
func (k KeepAlive) Append(dst []byte) []byte {
	switch {
	case k.HasEcho:
		return append48(dst, k.Echo)
	case k.HasDigest:
		return binary.BigEndian.AppendUint32(dst, k.Digest)
	}
	return dst
}

// ParseKeepAlive reads the whole plaintext of a link frame with fewer than 8 bytes.
func ParseKeepAlive(b []byte) (KeepAlive, error) {
	c := cursor{frame: "keep-alive", b: b}
	var k KeepAlive
	switch {
	case len(b) == 0:
	case len(b) > DigestSize:
		k.HasEcho, k.Echo = true, c.u48("echo")
	default:
		k.HasDigest, k.Digest = true, c.u32("digest")
	}
	if err := c.end(); err != nil {
		return KeepAlive{}, err
	}
	return k, nil
}
