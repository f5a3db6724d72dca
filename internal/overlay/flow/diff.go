// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"encoding/binary"

	"staex/internal/overlay/drop"
)

// NoRef is the number of no reference, see Diff.
const NoRef = 7

const (
	// biggestDiff is how many bytes a difference has at most; what needs more is said in full.
	biggestDiff = 3

	diffPush = 1 << 1
	diffMore = 1 << 0

	moreWindow = 1 << 4
	moreFlags  = 1 << 3
	moreRest   = 1 << 2
	moreZero   = 1<<2 - 1 // bits without a meaning
)

// Diff is how a TCP header refers to references: earlier headers of its flow that both ends have.
// It counts in a Compact of KindDiff only. A difference says how far a value is from the expected
// one, see Refs.
//
//	 7   6   5   4   3   2   1   0
//	+-----------+-----------+---+---+
//	|   base    |   held    | P | M |  P: PSH, or Ask if there is no base. M: mark follows
//	+-----------+-----------+---+---+
//	|  seq  |  ack  |  val  |  ecr  |  only with a base: how many bytes each difference has
//	+-------+---+---+---+---+-------+
//	|   mark    | W | F | O |   0   |  only with M: what else stands in the header
//	+-----------+---+---+---+-------+
type Diff struct {
	Base uint8 // the sender's reference the header is a difference to, or NoRef: it is whole
	Held uint8 // the newest reference of the other end's that the sender holds, or NoRef
	Mark uint8 // the number under which this header becomes a reference, or NoRef

	Push   bool // with a base: the PSH flag
	Ask    bool // without a base: the receiver shall forget all references of this flow
	More   bool // the byte with Mark is there
	Window bool // Compact.Window is there
	Flags  bool // Compact.Flags is there

	SeqLen, AckLen, ValLen, EcrLen uint8 // bytes of each difference, 0 to 3
	Seq, Ack                       int32
	Val, Ecr                       int32 // timestamp and its echo (RFC 7323)
}

// diffLen returns how many bytes the difference d needs; more than biggestDiff if it has none. A
// quarter of the range is for differences below zero: most values only grow.
func diffLen(d int32) uint8 {
	if d == 0 {
		return 0
	}
	for k := uint8(1); k <= biggestDiff; k++ {
		if uint32(d)+1<<(8*k-2) < 1<<(8*k) {
			return k
		}
	}
	return biggestDiff + 1
}

// appendDiff writes d, for which diffLen is at most k, in k bytes.
func appendDiff(dst []byte, d int32, k uint8) []byte {
	switch k {
	case 0:
		return dst
	case 1:
		return append(dst, uint8(d+1<<6))
	case 2:
		u := d + 1<<14
		return append(dst, uint8(u>>8), uint8(u))
	default:
		u := d + 1<<22
		return append(dst, uint8(u>>16), uint8(u>>8), uint8(u))
	}
}

// takeDiff reads what appendDiff wrote at the front of b, and returns what follows.
func takeDiff(b []byte, k uint8) (d int32, rest []byte) {
	switch k {
	case 0:
		return 0, b
	case 1:
		return int32(b[0]) - 1<<6, b[1:]
	case 2:
		return int32(b[0])<<8 + int32(b[1]) - 1<<14, b[2:]
	default:
		return int32(b[0])<<16 + int32(b[1])<<8 + int32(b[2]) - 1<<22, b[3:]
	}
}

// diffSize returns the size of a KindDiff header behind its slot, in bytes.
func (c *Compact) diffSize() int {
	d := &c.Diff
	n := 1
	if d.More {
		n++
	}
	if d.Base == NoRef {
		return n + 12 + int(c.OptLen)
	}
	n += 1 + int(d.SeqLen+d.AckLen+d.ValLen+d.EcrLen)
	if d.Window {
		n += 2
	}
	if d.Flags {
		n += 2
	}
	if c.OptLen > 0 {
		n += 1 + int(c.OptLen)
	}
	return n
}

func (c *Compact) appendDiff(dst []byte) []byte {
	d := &c.Diff
	b0 := d.Base<<5 | d.Held<<2
	if d.Push || d.Ask {
		b0 |= diffPush
	}
	more := d.Mark << 5
	if d.More {
		b0 |= diffMore
	}
	if d.Base == NoRef {
		dst = append(dst, b0)
		if d.More {
			dst = append(dst, more)
		}
		return c.appendTCP(dst)
	}
	dst = append(dst, b0, d.SeqLen<<6|d.AckLen<<4|d.ValLen<<2|d.EcrLen)
	if d.More {
		if d.Window {
			more |= moreWindow
		}
		if d.Flags {
			more |= moreFlags
		}
		if c.OptLen > 0 {
			more |= moreRest
		}
		dst = append(dst, more)
	}
	dst = appendDiff(dst, d.Seq, d.SeqLen)
	dst = appendDiff(dst, d.Ack, d.AckLen)
	dst = appendDiff(dst, d.Val, d.ValLen)
	dst = appendDiff(dst, d.Ecr, d.EcrLen)
	if d.Window {
		dst = binary.BigEndian.AppendUint16(dst, c.Window)
	}
	if d.Flags {
		dst = binary.BigEndian.AppendUint16(dst, c.Flags)
	}
	if c.OptLen > 0 {
		dst = append(dst, c.OptLen/4)
		dst = append(dst, c.Options[:c.OptLen]...)
	}
	return dst
}

// decodeDiff reads a KindDiff header behind its slot, from b[n:].
func (c *Compact) decodeDiff(b []byte, n int) (int, drop.Reason) {
	if len(b) < n+1 {
		return 0, drop.Short
	}
	d, b0 := &c.Diff, b[n]
	d.Base, d.Held, d.Mark, d.More = b0>>5, b0>>2&7, NoRef, b0&diffMore != 0
	n++
	if d.Base == NoRef {
		return c.decodeWhole(b, n, b0)
	}
	d.Push = b0&diffPush != 0
	if len(b) < n+1 {
		return 0, drop.Short
	}
	d.SeqLen, d.AckLen, d.ValLen, d.EcrLen = b[n]>>6, b[n]>>4&3, b[n]>>2&3, b[n]&3
	n++
	rest := false
	if d.More {
		if len(b) < n+1 {
			return 0, drop.Short
		}
		more := b[n]
		d.Mark, rest = more>>5, more&moreRest != 0
		d.Window, d.Flags = more&moreWindow != 0, more&moreFlags != 0
		if more&moreZero != 0 || d.Flags && d.Push {
			return 0, drop.BadContext
		}
		n++
	}
	end := n + int(d.SeqLen+d.AckLen+d.ValLen+d.EcrLen)
	if len(b) < end {
		return 0, drop.Short
	}
	t := b[n:end]
	d.Seq, t = takeDiff(t, d.SeqLen)
	d.Ack, t = takeDiff(t, d.AckLen)
	d.Val, t = takeDiff(t, d.ValLen)
	d.Ecr, _ = takeDiff(t, d.EcrLen)
	if !d.More {
		return end, drop.None
	}
	return c.decodeMore(b, end, rest)
}

// decodeWhole reads what follows when there is no base: the TCP fields as in KindTCP.
func (c *Compact) decodeWhole(b []byte, n int, b0 uint8) (int, drop.Reason) {
	d := &c.Diff
	d.Ask = b0&diffPush != 0
	if d.More {
		if len(b) < n+1 {
			return 0, drop.Short
		}
		d.Mark = b[n] >> 5
		if b[n]&^(7<<5) != 0 {
			return 0, drop.BadContext
		}
		n++
	}
	return c.decodeTCP(b, n)
}

// decodeMore reads the window, the flags and the rest of the options.
func (c *Compact) decodeMore(b []byte, n int, rest bool) (int, drop.Reason) {
	d := &c.Diff
	if d.Window {
		if len(b) < n+2 {
			return 0, drop.Short
		}
		c.Window = binary.BigEndian.Uint16(b[n:])
		n += 2
	}
	if d.Flags {
		if len(b) < n+2 {
			return 0, drop.Short
		}
		c.Flags = binary.BigEndian.Uint16(b[n:])
		if c.Flags&^flagMask != 0 || c.urgent() {
			return 0, drop.BadContext
		}
		n += 2
	}
	if !rest {
		return n, drop.None
	}
	if len(b) < n+1 {
		return 0, drop.Short
	}
	if b[n] == 0 || b[n] > maxOptions/4 {
		return 0, drop.BadContext
	}
	c.OptLen = b[n] * 4
	n++
	if len(b) < n+int(c.OptLen) {
		return 0, drop.Short
	}
	return n + copy(c.Options[:c.OptLen], b[n:]), drop.None
}
