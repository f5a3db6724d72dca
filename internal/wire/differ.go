// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"

	"staex/internal/ident"
)

const (
	// MaxListed is how many keys of one part are listed; a part with more is compared further.
	MaxListed = 8
	// MaxHave is how many keys one Differ lists in all, so that it fits a packet.
	MaxHave = 24

	seqSize  = 6
	haveSize = KeySize + seqSize
	manyKeys = 255
)

// Differ is control message 41: in which parts of a range a parent has other records than the
// Digest told, and what it has there.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+-----------------------------------------------+
//	|  nibbles (p)  |  prefix ((p + 1) / 2) ...                     |
//	+---------------+---------------+-------------------------------+
//	|  which parts differ           |  keys (k)     |  key (32) ... |
//	+-------------------------------+---------------+---------------+
//	|  sequence number (6)                          |  more keys    |
//	+-----------------------------------------------+---------------+
//	|  more parts ...                                               |
//	+---------------------------------------------------------------+
//
//	offset  size       field
//	0       1          nibbles: length of the prefix in half bytes, p, 0 to 63
//	1       (p+1)/2    prefix, as in the Digest
//	…       2          the bit 1<<i is set if part i differs
//	…       1          for each such part: k, how many keys there are, 0 to 8; 255: more
//	…       38 k       and of each, in ascending order, the key and its sequence number
type Differ struct {
	Span  Span       // which keys; fewer than MaxNibbles half bytes
	Parts []PartDiff // in ascending order
}

// PartDiff is one part in which the two ends differ.
type PartDiff struct {
	Part uint8  // 0 to 15
	Many bool   // there are more keys than could be listed; Have is empty
	Have []Have // all keys of this part, ascending, at most MaxListed
}

// Have is one key and the sequence number of its record.
type Have struct {
	Key ident.NodeID // not checked to be a point
	Seq uint64       // 48 bits
}

// Append appends the encoded body to dst. It panics when a field breaks its bound.
func (d Differ) Append(dst []byte) []byte {
	dst = appendSpan(dst, d.Span)
	mask, listed := uint16(0), 0
	for _, p := range d.Parts {
		mask |= 1 << p.Part
		listed += len(p.Have)
	}
	mustFit("keys", listed, 0, MaxHave)
	dst = binary.BigEndian.AppendUint16(dst, mask)
	for _, p := range d.Parts {
		if p.Many {
			dst = append(dst, manyKeys)
			continue
		}
		mustFit("keys", len(p.Have), 0, MaxListed)
		dst = append(dst, byte(len(p.Have)))
		for _, h := range p.Have {
			dst = append(dst, h.Key[:]...)
			seq := binary.BigEndian.AppendUint64(nil, h.Seq)
			dst = append(dst, seq[len(seq)-seqSize:]...)
		}
	}
	return dst
}

// ParseDiffer reads the body of a message. Every key lies in its part.
func ParseDiffer(b []byte) (Differ, error) {
	c := cursor{frame: "differ", b: b}
	d := Differ{Span: c.span()}
	mask, listed := c.u16("parts"), 0
	for i := range SpanParts {
		if c.err != nil || mask&(1<<i) == 0 {
			continue
		}
		p := c.partDiff(d.Span, i)
		listed += len(p.Have)
		d.Parts = append(d.Parts, p)
	}
	if listed > MaxHave {
		c.fail("keys", ErrBadLength)
	}
	if err := c.end(); err != nil {
		return Differ{}, err
	}
	return d, nil
}

// partDiff reads what follows for one part.
func (c *cursor) partDiff(s Span, i int) PartDiff {
	p := PartDiff{Part: uint8(i)}
	n := int(c.u8("keys"))
	if n == manyKeys {
		p.Many = true
		return p
	}
	if n > MaxListed {
		c.fail("keys", ErrBadLength)
		return p
	}
	part := s.Part(i)
	for range n {
		h := Have{Key: c.key("key")}
		high, low := c.u16("sequence"), c.u32("sequence")
		h.Seq = uint64(high)<<32 | uint64(low)
		last := len(p.Have) - 1
		if !part.Holds(&h.Key) || last >= 0 && p.Have[last].Key.Compare(h.Key) >= 0 {
			c.fail("key", ErrBadValue)
		}
		p.Have = append(p.Have, h)
	}
	return p
}
