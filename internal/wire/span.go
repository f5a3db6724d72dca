// SPDX-License-Identifier: Apache-2.0

package wire

import "staex/internal/ident"

const (
	// SpanParts is into how many parts a span is divided: one for each value of the half byte
	// that follows the prefix.
	SpanParts = 16
	// MaxNibbles is the number of half bytes in a key.
	MaxNibbles = 2 * KeySize
	// maxSpan is the encoded size of the longest prefix that has parts.
	maxSpan = 1 + MaxNibbles/2
)

// Span is the range of all keys that begin with the same half bytes. The zero Span is all keys.
type Span struct {
	Nibbles uint8        // length of the prefix in half bytes, 0 to MaxNibbles
	Prefix  ident.NodeID // the prefix; zeros behind it
}

// nibble is half byte i of a key, the high half of a byte first.
func nibble(key *ident.NodeID, i uint8) uint8 {
	if i%2 == 0 {
		return key[i/2] >> 4
	}
	return key[i/2] & 0x0f
}

// Part is one of the SpanParts parts of a span of fewer than MaxNibbles half bytes.
func (s Span) Part(i int) Span {
	part := byte(i)
	if s.Nibbles%2 == 0 {
		part <<= 4
	}
	s.Prefix[s.Nibbles/2] |= part
	s.Nibbles++
	return s
}

// PartOf says in which part of the span a key lies, which is in the span.
func (s Span) PartOf(key *ident.NodeID) int { return int(nibble(key, s.Nibbles)) }

// Holds reports whether a key lies in the span.
func (s Span) Holds(key *ident.NodeID) bool {
	whole := s.Nibbles / 2
	for i := range whole {
		if key[i] != s.Prefix[i] {
			return false
		}
	}
	return s.Nibbles%2 == 0 || key[whole]>>4 == s.Prefix[whole]>>4
}

// End is the first key behind the span; false: the span reaches to the end.
func (s Span) End() (end ident.NodeID, ok bool) {
	end = s.Prefix
	if s.Nibbles == 0 {
		return end, false
	}
	at := (s.Nibbles - 1) / 2
	step := byte(0x10)
	if s.Nibbles%2 == 0 {
		step = 1
	}
	for {
		end[at] += step
		if end[at] != 0 {
			return end, true
		}
		if at == 0 {
			return end, false
		}
		at, step = at-1, 1
	}
}

func appendSpan(dst []byte, s Span) []byte {
	mustFit("span", int(s.Nibbles), 0, MaxNibbles-1)
	dst = append(dst, s.Nibbles)
	return append(dst, s.Prefix[:(s.Nibbles+1)/2]...)
}

// span reads a span that has parts.
func (c *cursor) span() (s Span) {
	s.Nibbles = c.u8("nibbles")
	if s.Nibbles >= MaxNibbles {
		c.fail("nibbles", ErrBadLength)
		return Span{}
	}
	copy(s.Prefix[:], c.take("prefix", int(s.Nibbles+1)/2))
	if s.Nibbles%2 == 1 && s.Prefix[s.Nibbles/2]&0x0f != 0 {
		c.fail("prefix", ErrBadPadding)
	}
	return s
}
