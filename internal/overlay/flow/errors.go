// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"encoding/binary"
	"net/netip"

	"staex/internal/overlay/drop"
)

// ErrorCode says what an ICMP error is about, in the same words for IPv4 and IPv6. The numbers are
// on the wire and are never reused. Zero is no error.
type ErrorCode uint8

// The errors that cross a tunnel.
const (
	ErrorPort       ErrorCode = 1 // nobody listens on the port
	ErrorHost       ErrorCode = 2 // the host does not answer
	ErrorNetwork    ErrorCode = 3 // no route leads there
	ErrorProhibited ErrorCode = 4 // a filter forbids it
	ErrorHopLimit   ErrorCode = 5 // the packet went around in circles
	ErrorTooBig     ErrorCode = 6 // the packet is larger than Compact.MTU and may not be cut

	lastError = ErrorTooBig
)

const (
	// MaxErrorLen is the largest packet that AppendError makes, in bytes.
	MaxErrorLen = 2*ip6HeaderLen + 2*echoHeaderLen

	// quotedLen is how much of a transport header every ICMP error quotes (RFC 792): the ports,
	// and the sequence number of TCP.
	quotedLen = 8
	// leastMTU4 is the smallest size an IPv4 sender may be told (RFC 791); leastMTU6 that of IPv6
	// (RFC 8200).
	leastMTU4, leastMTU6 = 68, 1280
	// errorOfTCP in the byte with the code says that the flow is TCP.
	errorOfTCP = 0x80
)

// icmpErrors are the messages that say each code: the first of a code is the one that is rebuilt,
// and the others mean the same to a program. What asks a host to change its routes (redirects) or
// its speed (source quench) is not among them.
var icmpErrors = []struct {
	code       ErrorCode
	v6         bool
	typ, ofTyp uint8
}{
	{ErrorPort, false, 3, 3},
	{ErrorPort, true, 1, 4},
	{ErrorHost, false, 3, 1},
	{ErrorHost, true, 1, 3},
	{ErrorHost, false, 3, 7},
	{ErrorHost, false, 3, 12},
	{ErrorNetwork, false, 3, 0},
	{ErrorNetwork, true, 1, 0},
	{ErrorNetwork, false, 3, 6},
	{ErrorNetwork, false, 3, 11},
	{ErrorNetwork, true, 1, 2},
	{ErrorProhibited, false, 3, 13},
	{ErrorProhibited, true, 1, 1},
	{ErrorProhibited, false, 3, 9},
	{ErrorProhibited, false, 3, 10},
	{ErrorProhibited, true, 1, 5},
	{ErrorProhibited, true, 1, 6},
	{ErrorHopLimit, false, 11, 0},
	{ErrorHopLimit, true, 3, 0},
	{ErrorTooBig, false, 3, 4},
	{ErrorTooBig, true, 2, 0},
}

// errorCode is zero for a packet that is no ICMP error, or one that does not cross tunnels.
func (v *View) errorCode() ErrorCode {
	if v.Proto != ProtoICMP && v.Proto != ProtoICMPv6 {
		return 0
	}
	for _, e := range icmpErrors {
		if e.v6 == v.V6 && e.typ == v.ICMPType && e.ofTyp == v.ICMPCode {
			return e.code
		}
	}
	return 0
}

// IsError reports whether the packet is an ICMP error of the kind that may cross a tunnel.
func (v *View) IsError() bool { return v.errorCode() != 0 }

// Quote is what an ICMP error says, and of which packet: Src, Dst and the ports are those of the
// packet that caused it. Who sent the error is nobody's business at the other end.
type Quote struct {
	Code             ErrorCode
	MTU              uint16 // ErrorTooBig: the largest packet that passes, in bytes
	V6               bool
	Proto            uint8 // ProtoUDP or ProtoTCP
	Src, Dst         netip.Addr
	SrcPort, DstPort uint16
	Seq              uint32 // TCP
}

// Parse reads the error p that v was parsed from, which is one that IsError accepts. It gives
// drop.BadQuote if the quoted packet is malformed, cut too short, a later fragment or neither UDP
// nor TCP, and if it says that less fits than always must.
func (q *Quote) Parse(v *View, p []byte) drop.Reason {
	*q = Quote{Code: v.errorCode(), V6: v.V6}
	if q.Code == ErrorTooBig {
		mtu, least := uint32(binary.BigEndian.Uint16(p[v.Transport+6:])), uint32(leastMTU4)
		if v.V6 {
			mtu, least = binary.BigEndian.Uint32(p[v.Transport+4:]), leastMTU6
		}
		if mtu < least {
			return drop.BadQuote
		}
		q.MTU = uint16(min(mtu, 0xffff))
	}
	inner := q.parse4
	if v.V6 {
		inner = q.parse6
	}
	t, ok := inner(p[v.Payload:])
	if !ok || len(t) < quotedLen || q.Proto != ProtoUDP && q.Proto != ProtoTCP {
		return drop.BadQuote
	}
	q.SrcPort, q.DstPort = binary.BigEndian.Uint16(t), binary.BigEndian.Uint16(t[2:])
	if q.Proto == ProtoTCP {
		q.Seq = binary.BigEndian.Uint32(t[4:])
	}
	return drop.None
}

// parse4 reads the quoted IPv4 header and returns what follows it.
func (q *Quote) parse4(b []byte) ([]byte, bool) {
	const version4AndLength5, offsetMask = 0x45, 0x1fff
	if len(b) < ip4HeaderLen || b[0] != version4AndLength5 ||
		binary.BigEndian.Uint16(b[6:])&offsetMask != 0 {
		return nil, false
	}
	q.Proto = b[9]
	q.Src, q.Dst = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	return b[ip4HeaderLen:], true
}

// parse6 reads the quoted IPv6 header, and a fragment header behind it, and returns what follows.
func (q *Quote) parse6(b []byte) ([]byte, bool) {
	if len(b) < ip6HeaderLen || b[0]>>4 != 6 {
		return nil, false
	}
	q.Proto = b[6]
	q.Src, q.Dst = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	t := b[ip6HeaderLen:]
	if q.Proto != protoFragment {
		return t, true
	}
	if len(t) < fragmentHeaderLen || binary.BigEndian.Uint16(t[2:])>>3 != 0 {
		return nil, false
	}
	q.Proto = t[0]
	return t[fragmentHeaderLen:], true
}

// ElideError fills c with what q says. Slot, Announce, Target and Port are left zero, as they are
// the caller's.
func (c *Compact) ElideError(q *Quote) {
	*c = Compact{
		Kind: KindError, V6: q.V6, Error: q.Code, MTU: q.MTU, Seq: q.Seq,
		OfTCP: q.Proto == ProtoTCP,
	}
}

// ErrorProto is the protocol of the flow that an error, of KindError, is about.
func (c *Compact) ErrorProto() uint8 {
	if c.OfTCP {
		return ProtoTCP
	}
	return ProtoUDP
}

// errorLen is the length of what appendError adds.
func (c *Compact) errorLen() int {
	n := 1
	if c.OfTCP {
		n += 4
	}
	if c.Error == ErrorTooBig {
		n += 2
	}
	return n
}

func (c *Compact) appendError(dst []byte) []byte {
	code := uint8(c.Error)
	if c.OfTCP {
		dst = binary.BigEndian.AppendUint32(append(dst, code|errorOfTCP), c.Seq)
	} else {
		dst = append(dst, code)
	}
	if c.Error == ErrorTooBig {
		dst = binary.BigEndian.AppendUint16(dst, c.MTU)
	}
	return dst
}

// decodeError reads what follows the flow from b[n:], which is all there is.
func (c *Compact) decodeError(b []byte, n int) (int, drop.Reason) {
	if len(b) < n+1 {
		return 0, drop.Short
	}
	c.Error, c.OfTCP = ErrorCode(b[n]&^errorOfTCP), b[n]&errorOfTCP != 0
	if c.Error == 0 || c.Error > lastError || c.ECN != 0 {
		return 0, drop.BadContext
	}
	if len(b) < n+c.errorLen() {
		return 0, drop.Short
	}
	n++
	if c.OfTCP {
		c.Seq = binary.BigEndian.Uint32(b[n:])
		n += 4
	}
	if c.Error == ErrorTooBig {
		c.MTU = binary.BigEndian.Uint16(b[n:])
		if n += 2; c.MTU < leastMTU4 || c.V6 && c.MTU < leastMTU6 {
			return 0, drop.BadContext
		}
	}
	return n, drop.None
}

// AppendError adds to dst the ICMP error that c, of KindError, stands for. e are the ends of the
// packets that come from the other side: the error comes from there, and quotes the beginning of
// a packet that went the other way.
func AppendError(dst []byte, c *Compact, e Ends) []byte {
	start := len(dst)
	var room [MaxErrorLen]byte
	outer := &Compact{Kind: KindEcho, V6: c.V6}
	quoted := &Compact{Kind: KindUDP, V6: c.V6}
	head := HeaderLen(outer)
	ip := head - echoHeaderLen
	whole := head + ip + quotedLen
	dst = append(dst, room[:whole]...)
	p := dst[start:]
	PutHeaders(p, outer, e, whole-head)
	q := p[head:]
	PutHeaders(q, quoted, Ends{e.Dst, e.Src, e.DstPort, e.SrcPort}, 0)
	if c.OfTCP {
		q[ipProtoOffset(c.V6)] = ProtoTCP
		binary.BigEndian.PutUint32(q[ip+4:], c.Seq)
		if !c.V6 {
			putIP4Sum(q)
		}
	} else {
		FinishChecksum(q)
	}
	t := p[ip:]
	clear(t[:echoHeaderLen])
	for _, m := range icmpErrors {
		if m.code == c.Error && m.v6 == c.V6 {
			t[0], t[1] = m.typ, m.ofTyp
			break
		}
	}
	binary.BigEndian.PutUint16(t[6:], c.MTU) // on IPv6 the low half of a 32-bit field
	PutEcho(p)
	return dst
}

// ipProtoOffset is where an IP header says which protocol follows.
func ipProtoOffset(v6 bool) int {
	if v6 {
		return 6
	}
	return 9
}
