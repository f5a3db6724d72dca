// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"encoding/binary"

	"staex/internal/overlay/drop"
)

// Kind says what follows the context byte. The numbers are on the wire and are never reused.
type Kind uint8

// The kinds of sealed plaintexts.
const (
	KindControl Kind = 0 // a session message, no packet
	KindUDP     Kind = 1
	KindTCP     Kind = 2
	KindEcho    Kind = 3 // ICMP echo request or reply
	KindFull    Kind = 4 // TCP whose urgent flag or pointer is set
	KindError   Kind = 5 // ICMP error about a packet of a flow
	KindWhole   Kind = 6 // packet of another protocol, between two nodes
	KindPart    Kind = 7 // one part of a plaintext that did not fit

	// KindDiff is TCP as differences, see Diff. On the wire it is kind 0 with the bit A: a session
	// message has no flow to announce, and a difference never announces its flow.
	KindDiff Kind = 8
)

const (
	// NoSlot in Compact.Slot says that the flow has no slot and is announced with every packet.
	NoSlot = 255
	// AnyTarget in Compact.Target says that no tunnel names the port: both ports follow. Flows
	// between two nodes are so; they have no slot.
	AnyTarget = 255
	// MaxCompact is the largest result of Compact.Len: a Full header with everything it can
	// have.
	MaxCompact = 2 + 1 + 5 + 14 + maxOptions
	// MaxParts is how many parts one plaintext may be cut into: 64 kB in the smallest frames.
	MaxParts = 64

	maxOptions = 40 // what a TCP header can hold
	maxDSCP    = 63
)

// Bits of the context byte.
const (
	contextV6       = 1 << 0
	contextClass    = 1 << 1 // a byte with the DSCP follows
	contextAnnounce = 1 << 2 // UDP, TCP, Full, Error: target and port follow the slot
	contextReply    = 1 << 2 // Echo: this is the reply
	contextDiff     = 1 << 2 // kind 0: this is KindDiff
	contextKind     = 3      // shift
	contextECN      = 6      // shift
)

// KindOf returns the kind that a context byte, the first byte of a plaintext, says.
func KindOf(b0 uint8) Kind {
	k := Kind(b0 >> contextKind & 7)
	if k == KindControl && b0&contextDiff != 0 {
		return KindDiff
	}
	return k
}

// Compact is what is left of an inner packet's headers. Which fields count depends on Kind; the
// others must be zero for Append and Decode to be each other's inverse. The zero value is the
// header of a session message.
//
//	 7   6   5   4   3   2   1   0
//	+-------+-----------+---+---+---+   A  announce (UDP, TCP, Full, Error) or reply (Echo)
//	|  ECN  |   kind    | A | C |v6 |   C  the DSCP follows
//	+-------+-----------+---+---+---+
type Compact struct {
	Kind     Kind
	ECN      uint8 // 0 to 3
	DSCP     uint8 // 0 to 63
	V6       bool
	Announce bool // Target and Port follow the slot; always set with NoSlot
	Reply    bool // Echo

	Slot   uint8
	Target uint8  // index of the server's port in the tunnel's targets
	Port   uint16 // the client's port; with AnyTarget that of who sends
	Peer   uint16 // with AnyTarget: the port of who receives
	Proto  uint8  // Whole: the IP protocol number

	Seq, Ack       uint32 // Seq also of an Error of a TCP flow: that of the packet it is about
	Flags          uint16 // twelve bits, see View.Flags
	Window, Urgent uint16
	Options        [maxOptions]byte
	OptLen         uint8 // bytes of Options in use: a multiple of 4

	Diff Diff // KindDiff

	EchoID, EchoSeq uint16

	Error ErrorCode
	OfTCP bool   // Error: the flow is TCP, else UDP
	MTU   uint16 // ErrorTooBig: what fits, in bytes

	PartID    uint8 // counts the plaintexts that were cut
	PartIndex uint8 // 0 to MaxParts-1
	PartLast  bool
}

// Elide fills c with what v says about p. Slot, Announce, Target and Port are left zero, as they
// are the caller's. It gives drop.ICMPType for ICMP that is no echo, and drop.None otherwise.
func (c *Compact) Elide(v *View, p []byte) drop.Reason {
	*c = Compact{ECN: v.ECN, DSCP: v.DSCP, V6: v.V6}
	switch v.Proto {
	case ProtoUDP:
		c.Kind = KindUDP
	case ProtoTCP:
		c.Kind = KindTCP
		c.Seq, c.Ack, c.Flags = v.Seq, v.Ack, v.Flags
		c.Window, c.Urgent = v.Window, v.Urgent
		c.OptLen = uint8(copy(c.Options[:], p[v.Transport+tcpHeaderLen:v.Payload]))
		if c.urgent() {
			c.Kind = KindFull
		}
	default:
		if !v.IsEcho() {
			return drop.ICMPType
		}
		c.Kind, c.EchoID, c.EchoSeq = KindEcho, v.EchoID, v.EchoSeq
		c.Reply = v.IsEchoReply()
	}
	return drop.None
}

// urgent reports whether only KindFull can say what this TCP header says.
func (c *Compact) urgent() bool { return c.Flags&FlagURG != 0 || c.Urgent != 0 }

// Len returns the number of bytes that Append adds: 1 to MaxCompact.
func (c *Compact) Len() int {
	n := 1
	if c.DSCP != 0 {
		n++
	}
	switch c.Kind {
	case KindUDP, KindTCP, KindFull, KindError:
		n++ // slot
		if c.Announce {
			n += 3
		}
		if c.Announce && c.Target == AnyTarget {
			n += 2
		}
	case KindDiff:
		n += 1 + c.diffSize()
	case KindEcho:
		n += 4
	case KindPart:
		n += 2
	case KindWhole:
		n++
	case KindControl:
	}
	switch c.Kind {
	case KindTCP:
		n += 12 + int(c.OptLen)
	case KindFull:
		n += 14 + int(c.OptLen)
	case KindError:
		n += c.errorLen()
	case KindControl, KindUDP, KindEcho, KindWhole, KindPart, KindDiff:
	}
	return n
}

// Append adds the bytes of c to dst. The pictures are in docs/wire/compact.md.
func (c *Compact) Append(dst []byte) []byte {
	b0 := c.ECN<<contextECN | uint8(c.Kind&7)<<contextKind
	if c.V6 {
		b0 |= contextV6
	}
	if c.DSCP != 0 {
		b0 |= contextClass
	}
	switch c.Kind {
	case KindUDP, KindTCP, KindFull, KindError:
		if c.Announce {
			b0 |= contextAnnounce
		}
	case KindDiff:
		b0 |= contextDiff
	case KindEcho:
		if c.Reply {
			b0 |= contextReply
		}
	case KindPart:
		last := c.PartIndex << 1
		if c.PartLast {
			last |= 1
		}
		return append(dst, b0, c.PartID, last)
	case KindControl:
		return append(dst, b0)
	case KindWhole:
	}
	dst = append(dst, b0)
	if c.DSCP != 0 {
		dst = append(dst, c.DSCP)
	}
	switch c.Kind {
	case KindEcho:
		dst = binary.BigEndian.AppendUint16(dst, c.EchoID)
		return binary.BigEndian.AppendUint16(dst, c.EchoSeq)
	case KindWhole:
		return append(dst, c.Proto)
	case KindDiff:
		return c.appendDiff(append(dst, c.Slot))
	default:
		return c.appendFlow(append(dst, c.Slot))
	}
}

// appendFlow adds the announcement and what the kind has behind it.
func (c *Compact) appendFlow(dst []byte) []byte {
	if c.Announce {
		dst = append(dst, c.Target, uint8(c.Port>>8), uint8(c.Port))
	}
	if c.Announce && c.Target == AnyTarget {
		dst = binary.BigEndian.AppendUint16(dst, c.Peer)
	}
	switch c.Kind {
	case KindUDP:
		return dst
	case KindError:
		return c.appendError(dst)
	default:
		return c.appendTCP(dst)
	}
}

func (c *Compact) appendTCP(dst []byte) []byte {
	dst = append(dst, uint8(c.Flags), c.OptLen/4<<4|uint8(c.Flags>>8&15))
	dst = binary.BigEndian.AppendUint32(dst, c.Seq)
	dst = binary.BigEndian.AppendUint32(dst, c.Ack)
	dst = binary.BigEndian.AppendUint16(dst, c.Window)
	if c.Kind == KindFull {
		dst = binary.BigEndian.AppendUint16(dst, c.Urgent)
	}
	return append(dst, c.Options[:c.OptLen]...)
}

// Decode reads the header at the front of b into c and returns its length; the payload is b[n:].
// Every value has one encoding: what Append would not have written is drop.BadContext. A header
// that b is too short for is drop.Short.
func (c *Compact) Decode(b []byte) (n int, r drop.Reason) {
	*c = Compact{}
	if len(b) == 0 {
		return 0, drop.Short
	}
	b0 := b[0]
	c.ECN, c.Kind, c.V6 = b0>>contextECN, KindOf(b0), b0&contextV6 != 0
	switch c.Kind {
	case KindControl:
		if b0 != 0 {
			return 0, drop.BadContext
		}
		return 1, drop.None
	case KindPart:
		return c.decodePart(b)
	case KindUDP, KindTCP, KindEcho, KindFull, KindError, KindDiff, KindWhole:
	}
	n = 1
	if b0&contextClass != 0 {
		if c.Kind == KindError {
			return 0, drop.BadContext
		}
		if len(b) < 2 {
			return 0, drop.Short
		}
		c.DSCP = b[1]
		if c.DSCP == 0 || c.DSCP > maxDSCP {
			return 0, drop.BadContext
		}
		n = 2
	}
	switch c.Kind {
	case KindEcho:
		if len(b) < n+4 {
			return 0, drop.Short
		}
		c.Reply = b0&contextReply != 0
		c.EchoID, c.EchoSeq = binary.BigEndian.Uint16(b[n:]), binary.BigEndian.Uint16(b[n+2:])
		return n + 4, drop.None
	case KindWhole:
		return c.decodeCarried(b, n)
	default:
		c.Announce = b0&contextAnnounce != 0 && c.Kind != KindDiff
		return c.decodeFlow(b, n)
	}
}

func (c *Compact) decodePart(b []byte) (int, drop.Reason) {
	if len(b) < 3 {
		return 0, drop.Short
	}
	c.PartID, c.PartIndex, c.PartLast = b[1], b[2]>>1, b[2]&1 != 0
	if b[0] != uint8(KindPart)<<contextKind || c.PartIndex >= MaxParts {
		return 0, drop.BadContext
	}
	return 3, drop.None
}

// decodeFlow reads slot and announcement from b[n:], and what its kind has behind them.
func (c *Compact) decodeFlow(b []byte, n int) (int, drop.Reason) {
	if len(b) < n+1 {
		return 0, drop.Short
	}
	c.Slot = b[n]
	n++
	if c.Announce {
		if len(b) < n+3 {
			return 0, drop.Short
		}
		c.Target, c.Port = b[n], binary.BigEndian.Uint16(b[n+1:])
		if n += 3; c.Target == AnyTarget {
			if c.Slot != NoSlot {
				return 0, drop.BadContext
			}
			if len(b) < n+2 {
				return 0, drop.Short
			}
			c.Peer = binary.BigEndian.Uint16(b[n:])
			n += 2
		}
	} else if c.Slot == NoSlot {
		return 0, drop.BadContext
	}
	switch c.Kind {
	case KindUDP:
		return n, drop.None
	case KindError:
		return c.decodeError(b, n)
	case KindDiff:
		return c.decodeDiff(b, n)
	default:
		return c.decodeTCP(b, n)
	}
}

// decodeTCP reads the TCP fields of KindTCP, KindFull or a KindDiff without a base from b[n:].
func (c *Compact) decodeTCP(b []byte, n int) (int, drop.Reason) {
	fixed := 12
	if c.Kind == KindFull {
		fixed = 14
	}
	if len(b) < n+fixed {
		return 0, drop.Short
	}
	t := b[n:]
	c.Flags, c.OptLen = uint16(t[0])|uint16(t[1]&15)<<8, t[1]>>4*4
	c.Seq, c.Ack = binary.BigEndian.Uint32(t[2:]), binary.BigEndian.Uint32(t[6:])
	c.Window = binary.BigEndian.Uint16(t[10:])
	if c.Kind == KindFull {
		c.Urgent = binary.BigEndian.Uint16(t[12:])
	}
	if c.OptLen > maxOptions || c.urgent() != (c.Kind == KindFull) {
		return 0, drop.BadContext
	}
	n += fixed
	if len(b) < n+int(c.OptLen) {
		return 0, drop.Short
	}
	return n + copy(c.Options[:c.OptLen], b[n:]), drop.None
}
