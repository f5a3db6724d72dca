// SPDX-License-Identifier: Apache-2.0

package wire

import "encoding/binary"

// DigestSize is the size of the digest in a keep-alive, in bytes.
const DigestSize = 4

// KeepAlive is the plaintext of a link frame of 0 or 4 bytes: a sign of life, with or
// without a digest of the rows on the child's side. It is not numbered and not repeated. The
// flag of the link frame's header asks for an answer.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------------------------------------------------------+
//	|                     digest, or nothing                        |
//	+---------------------------------------------------------------+
//
//	offset  size    field
//	0       0 or 4  digest
type KeepAlive struct {
	HasDigest bool   // Digest is sent
	Digest    uint32 // keyed digest of the rows below and including the child
}

// Append appends the encoded keep-alive to dst: nothing, or the digest.
func (k KeepAlive) Append(dst []byte) []byte {
	if !k.HasDigest {
		return dst
	}
	return binary.BigEndian.AppendUint32(dst, k.Digest)
}

// ParseKeepAlive reads the whole plaintext of a link frame with fewer than 8 bytes.
func ParseKeepAlive(b []byte) (KeepAlive, error) {
	if len(b) == 0 {
		return KeepAlive{}, nil
	}
	c := cursor{frame: "keep-alive", b: b}
	k := KeepAlive{HasDigest: true, Digest: c.u32("digest")}
	if err := c.end(); err != nil {
		return KeepAlive{}, err
	}
	return k, nil
}
