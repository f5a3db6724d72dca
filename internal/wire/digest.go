// SPDX-License-Identifier: Apache-2.0

package wire

// SumSize is the size of the digest of one part of a span, in bytes.
const SumSize = 16

// Digest is control message 40: what a child has in a range of keys, as one digest for each of
// its sixteen parts.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+---------------+-------------------------------+
//	|     last      |  nibbles (p)  |  prefix ((p + 1) / 2) ...     |
//	+---------------+---------------+-------------------------------+
//	|  digests of the parts (16 times 16) ...                       |
//	+---------------------------------------------------------------+
//
//	offset  size       field
//	0       1          last: 1 if the child asks no more in this comparison
//	1       1          nibbles: length of the prefix in half bytes, p, 0 to 63
//	2       (p+1)/2    prefix of the keys; a half byte left over is 0
//	…       256        digest of each part, in the order of the next half byte
type Digest struct {
	Last bool // what was told is told; the answer ends the comparison
	Span Span // which keys; fewer than MaxNibbles half bytes
	Sums [SpanParts][SumSize]byte
}

// Append appends the encoded body to dst. It panics when the span has no parts.
func (d Digest) Append(dst []byte) []byte {
	last := byte(0)
	if d.Last {
		last = 1
	}
	dst = appendSpan(append(dst, last), d.Span)
	for i := range d.Sums {
		dst = append(dst, d.Sums[i][:]...)
	}
	return dst
}

// ParseDigest reads the body of a message.
func ParseDigest(b []byte) (Digest, error) {
	c := cursor{frame: "digest", b: b}
	last := c.u8("last")
	if last > 1 {
		c.fail("last", ErrBadValue)
	}
	d := Digest{Last: last == 1, Span: c.span()}
	for i := range d.Sums {
		copy(d.Sums[i][:], c.take("digests", SumSize))
	}
	if err := c.end(); err != nil {
		return Digest{}, err
	}
	return d, nil
}
