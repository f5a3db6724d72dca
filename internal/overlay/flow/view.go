// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"encoding/binary"
	"net/netip"

	"staex/internal/overlay/drop"
)

// View is what the headers of one inner packet say. Fields that the packet's protocol does not
// have are zero. A View holds offsets, not the packet: it is valid for the packet it was parsed
// from.
type View struct {
	V6    bool
	Proto uint8 // ProtoICMP, ProtoTCP, ProtoUDP or ProtoICMPv6
	ECN   uint8 // RFC 3168 codepoint, 0 to 3
	DSCP  uint8 // RFC 2474 codepoint, 0 to 63

	Src, Dst         netip.Addr
	SrcPort, DstPort uint16 // UDP and TCP
	Transport        int    // offset of the transport header
	Payload          int    // offset of what follows the transport header

	Seq, Ack       uint32 // TCP
	Flags          uint16 // TCP, the twelve bits from FIN to the reserved ones
	Window, Urgent uint16 // TCP

	ICMPType, ICMPCode uint8
	EchoID, EchoSeq    uint16 // ICMP echo request and reply
}

// Parse reads the headers of p, a whole IPv4 or IPv6 packet or super-packet without anything
// before or after it. It accepts UDP, TCP with options, and ICMP; everything else has its own
// reason. After any reason but drop.None the View must not be used; drop.Protocol alone leaves what
// the IP header says, with Payload behind it.
func (v *View) Parse(p []byte) drop.Reason {
	*v = View{}
	if len(p) == 0 {
		return drop.Short
	}
	var r drop.Reason
	switch p[0] >> 4 {
	case 4:
		r = v.parse4(p)
	case 6:
		r = v.parse6(p)
	default:
		return drop.BadIP
	}
	if r != drop.None {
		return r
	}
	switch {
	case v.Proto == ProtoUDP:
		return v.parseUDP(p)
	case v.Proto == ProtoTCP:
		return v.parseTCP(p)
	default:
		return v.parseICMP(p)
	}
}

// parse4 reads an IPv4 header (RFC 791) of exactly 20 bytes.
func (v *View) parse4(p []byte) drop.Reason {
	if len(p) < ip4HeaderLen {
		return drop.Short
	}
	header := int(p[0]&15) * 4
	if header < ip4HeaderLen || header > len(p) || int(binary.BigEndian.Uint16(p[2:])) != len(p) {
		return drop.BadIP
	}
	const reserved, moreAndOffset = 0x8000, 0x3fff
	frag := binary.BigEndian.Uint16(p[6:])
	switch {
	case header > ip4HeaderLen:
		return drop.IPOptions
	case frag&reserved != 0:
		return drop.BadIP
	case frag&moreAndOffset != 0:
		return drop.Fragment
	}
	v.DSCP, v.ECN = p[1]>>2, p[1]&3
	v.Src = netip.AddrFrom4([4]byte(p[12:16]))
	v.Dst = netip.AddrFrom4([4]byte(p[16:20]))
	if r := checkAddrs(v.Src, v.Dst); r != drop.None {
		return r
	}
	v.Proto, v.Transport = p[9], ip4HeaderLen
	switch v.Proto {
	case ProtoUDP, ProtoTCP, ProtoICMP:
		return drop.None
	}
	v.Payload = v.Transport
	return drop.Protocol
}

// parse6 reads an IPv6 header (RFC 8200) that a transport header follows directly.
func (v *View) parse6(p []byte) drop.Reason {
	if len(p) < ip6HeaderLen {
		return drop.Short
	}
	if ip6HeaderLen+int(binary.BigEndian.Uint16(p[4:])) != len(p) {
		return drop.BadIP
	}
	class := uint8(binary.BigEndian.Uint16(p) >> 4)
	v.V6, v.DSCP, v.ECN = true, class>>2, class&3
	v.Src = netip.AddrFrom16([16]byte(p[8:24]))
	v.Dst = netip.AddrFrom16([16]byte(p[24:40]))
	if r := checkAddrs(v.Src, v.Dst); r != drop.None {
		return r
	}
	v.Proto, v.Transport = p[6], ip6HeaderLen
	switch v.Proto {
	case ProtoUDP, ProtoTCP, ProtoICMPv6:
		return drop.None
	case 44:
		return drop.Fragment
	case 0, 43, 51, 60, 135, 139, 140, 253, 254: // IANA's list of extension header types, less ESP
		return drop.ExtensionHeader
	}
	v.Payload = v.Transport
	return drop.Protocol
}

// checkAddrs refuses addresses that no tunnel can have at either end.
func checkAddrs(src, dst netip.Addr) drop.Reason {
	switch {
	case dst.IsMulticast():
		return drop.Multicast
	case isBroadcast(dst):
		return drop.Broadcast
	case dst.IsUnspecified(), dst.IsLoopback(), dst.Is4In6(),
		src.IsUnspecified(), src.IsLoopback(), src.Is4In6(), src.IsMulticast(), isBroadcast(src):
		return drop.Martian
	}
	return drop.None
}

func isBroadcast(a netip.Addr) bool {
	return a.Is4() && a == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

func (v *View) parseUDP(p []byte) drop.Reason {
	t := p[v.Transport:]
	if len(t) < udpHeaderLen || int(binary.BigEndian.Uint16(t[4:])) != len(t) {
		return drop.BadTransport
	}
	v.SrcPort, v.DstPort = binary.BigEndian.Uint16(t), binary.BigEndian.Uint16(t[2:])
	v.Payload = v.Transport + udpHeaderLen
	return drop.None
}

func (v *View) parseTCP(p []byte) drop.Reason {
	t := p[v.Transport:]
	if len(t) < tcpHeaderLen {
		return drop.BadTransport
	}
	header := int(t[12]>>4) * 4
	if header < tcpHeaderLen || header > len(t) {
		return drop.BadTransport
	}
	v.SrcPort, v.DstPort = binary.BigEndian.Uint16(t), binary.BigEndian.Uint16(t[2:])
	v.Seq, v.Ack = binary.BigEndian.Uint32(t[4:]), binary.BigEndian.Uint32(t[8:])
	v.Flags = binary.BigEndian.Uint16(t[12:]) & flagMask
	v.Window, v.Urgent = binary.BigEndian.Uint16(t[14:]), binary.BigEndian.Uint16(t[18:])
	v.Payload = v.Transport + header
	return drop.None
}

func (v *View) parseICMP(p []byte) drop.Reason {
	t := p[v.Transport:]
	if len(t) < echoHeaderLen {
		return drop.BadTransport
	}
	v.ICMPType, v.ICMPCode = t[0], t[1]
	v.Payload = v.Transport + echoHeaderLen
	if v.IsEcho() {
		v.EchoID, v.EchoSeq = binary.BigEndian.Uint16(t[4:]), binary.BigEndian.Uint16(t[6:])
	}
	return drop.None
}

// IsEcho reports whether the packet is an ICMP echo request or reply.
func (v *View) IsEcho() bool {
	return v.IsEchoReply() || v.ICMPCode == 0 &&
		(v.Proto == ProtoICMP && v.ICMPType == echoRequest4 ||
			v.Proto == ProtoICMPv6 && v.ICMPType == echoRequest6)
}

// IsEchoReply reports whether the packet is an ICMP echo reply.
func (v *View) IsEchoReply() bool {
	return v.ICMPCode == 0 && (v.Proto == ProtoICMP && v.ICMPType == echoReply4 ||
		v.Proto == ProtoICMPv6 && v.ICMPType == echoReply6)
}
