// SPDX-License-Identifier: Apache-2.0

package wire

import "encoding/binary"

const (
	// PrintSize is the size of the fingerprint of a revoked key in bytes.
	PrintSize = 8
	// MaxHead bounds the signed head of a list, with the certificate of its signer.
	MaxHead = 320
	// MaxHeadPrints is how many fingerprints travel beside a head.
	MaxHeadPrints = 64
	// MaxPrints is how many travel in a message of their own.
	MaxPrints = 128
)

// Head is control message 21: the signed head of a revocation list, and the fingerprints that
// the receiver lacks, as many as fit. The others follow in Prints.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------------------------------------------------------+
//	|  since: number of the list that the receiver has              |
//	+---------------------------------------------------------------+
//	|  lacking: fingerprints that follow in all                     |
//	+-------------------------------+-------------------------------+
//	|  length of head (h)           |  head (h) ...                 |
//	+-------------------------------+-------------------------------+
//	|  fingerprints (8 k) ...                                       |
//	+---------------------------------------------------------------+
//
//	offset  size  field
//	0       4     since: the fingerprints are what this list lacks; 0: they are all
//	4       4     lacking: number of fingerprints here and in the Prints that follow
//	8       2     length of head, h, 1 to 320
//	10      h     head
//	10+h    8 k   the first fingerprints, at most 64
type Head struct {
	Since   uint32 // number of the list that the difference is to; 0: the whole list
	Lacking uint32 // fingerprints in this and the following messages
	Head    []byte // encoded signed head, 1 to MaxHead bytes
	Prints  []byte // at most MaxHeadPrints times PrintSize bytes
}

// Append appends the encoded body to dst. It panics when a field breaks its bound.
func (h Head) Append(dst []byte) []byte {
	mustFit("head", len(h.Head), 1, MaxHead)
	mustFit("fingerprints", len(h.Prints), 0, MaxHeadPrints*PrintSize)
	dst = binary.BigEndian.AppendUint32(dst, h.Since)
	dst = binary.BigEndian.AppendUint32(dst, h.Lacking)
	dst = appendSized(dst, "head", h.Head, MaxHead)
	return append(dst, h.Prints...)
}

// ParseHead reads the body of a message. It does not look into the head.
func ParseHead(b []byte) (Head, error) {
	c := cursor{frame: "head", b: b}
	h := Head{
		Since: c.u32("since"), Lacking: c.u32("lacking"), Head: c.sized("head", 1, MaxHead),
		Prints: c.units("fingerprints", PrintSize, 0, MaxHeadPrints),
	}
	if err := c.end(); err != nil {
		return Head{}, err
	}
	return h, nil
}
