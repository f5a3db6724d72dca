// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"encoding/binary"
	"net/netip"
)

// Ends is what the rebuilding end knows by itself: the local addresses of both sides, of the
// family that Compact.V6 says, and the ports. Src is where the packet comes from.
type Ends struct {
	Src, Dst         netip.Addr
	SrcPort, DstPort uint16
}

// rebuiltHopLimit is the TTL or hop limit of a rebuilt packet: the usual default of a host, as
// the original one says nothing about the network it appears on.
const rebuiltHopLimit = 64

// HeaderLen returns how many bytes of IP and transport header c becomes: at most MaxHeaderLen,
// zero for a kind that is no packet.
func HeaderLen(c *Compact) int {
	ip := ip4HeaderLen
	if c.V6 {
		ip = ip6HeaderLen
	}
	switch c.Kind {
	case KindUDP:
		return ip + udpHeaderLen
	case KindTCP, KindFull:
		return ip + tcpHeaderLen + int(c.OptLen)
	case KindEcho:
		return ip + echoHeaderLen
	case KindWhole:
		return ip
	case KindControl, KindError, KindPart, KindDiff:
	}
	return 0
}

// PutHeaders writes IP and transport headers for payload following bytes into
// dst[:HeaderLen(c)]. Headers and payload together must not exceed 65,535 bytes. The checksum
// field of UDP and TCP gets the pseudo-header sum that NeedsChecksum stands for; FinishChecksum
// completes it where no device does. That of an echo is zero until PutEcho is called with the
// whole packet.
func PutHeaders(dst []byte, c *Compact, e Ends, payload int) {
	n := HeaderLen(c)
	p := dst[:n:n]
	clear(p)
	var acc uint64
	if c.V6 {
		acc = putIP6(p, c, e, payload)
	} else {
		acc = putIP4(p, c, e, payload)
	}
	_, t := transport(p)
	switch c.Kind {
	case KindUDP:
		binary.BigEndian.PutUint16(t, e.SrcPort)
		binary.BigEndian.PutUint16(t[2:], e.DstPort)
		binary.BigEndian.PutUint16(t[4:], uint16(udpHeaderLen+payload))
		binary.BigEndian.PutUint16(t[udpCsumOffset:], fold(acc))
	case KindTCP, KindFull:
		putTCP(t, c, e)
		binary.BigEndian.PutUint16(t[tcpCsumOffset:], fold(acc))
	case KindEcho:
		t[0] = echoType(c)
		binary.BigEndian.PutUint16(t[4:], c.EchoID)
		binary.BigEndian.PutUint16(t[6:], c.EchoSeq)
	case KindControl, KindError, KindWhole, KindPart, KindDiff:
	}
}

// putIP4 writes an IPv4 header and returns the unfolded pseudo-header sum. The identification is
// zero, which is permitted because the packet may not be fragmented (RFC 6864 section 4.1).
func putIP4(p []byte, c *Compact, e Ends, payload int) uint64 {
	const version4AndLength5, dontFragment = 0x45, 0x40
	src, dst := e.Src.As4(), e.Dst.As4()
	p[0], p[1] = version4AndLength5, c.DSCP<<2|c.ECN
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)+payload))
	p[6], p[8], p[9] = dontFragment, rebuiltHopLimit, protocol(c)
	copy(p[12:], src[:])
	copy(p[16:], dst[:])
	putIP4Sum(p)
	return sum(uint64(protocol(c))+uint64(len(p)-ip4HeaderLen+payload), p[12:20])
}

// putIP6 writes an IPv6 header and returns the unfolded pseudo-header sum.
func putIP6(p []byte, c *Compact, e Ends, payload int) uint64 {
	src, dst := e.Src.As16(), e.Dst.As16()
	length := len(p) - ip6HeaderLen + payload
	binary.BigEndian.PutUint16(p, 6<<12|uint16(c.DSCP<<2|c.ECN)<<4)
	binary.BigEndian.PutUint16(p[4:], uint16(length))
	p[6], p[7] = protocol(c), rebuiltHopLimit
	copy(p[8:], src[:])
	copy(p[24:], dst[:])
	return sum(uint64(protocol(c))+uint64(length), p[8:40])
}

func putTCP(t []byte, c *Compact, e Ends) {
	binary.BigEndian.PutUint16(t, e.SrcPort)
	binary.BigEndian.PutUint16(t[2:], e.DstPort)
	binary.BigEndian.PutUint32(t[4:], c.Seq)
	binary.BigEndian.PutUint32(t[8:], c.Ack)
	words := uint16(tcpHeaderLen+c.OptLen) / 4
	binary.BigEndian.PutUint16(t[12:], words<<12|c.Flags&flagMask)
	binary.BigEndian.PutUint16(t[14:], c.Window)
	binary.BigEndian.PutUint16(t[18:], c.Urgent)
	copy(t[tcpHeaderLen:], c.Options[:c.OptLen])
}

// protocol returns the IP protocol number of the packet c describes.
func protocol(c *Compact) uint8 {
	switch c.Kind {
	case KindUDP:
		return ProtoUDP
	case KindTCP, KindFull:
		return ProtoTCP
	case KindWhole:
		return c.Proto
	case KindControl, KindEcho, KindError, KindPart, KindDiff:
	}
	if c.V6 {
		return ProtoICMPv6
	}
	return ProtoICMP
}

func echoType(c *Compact) uint8 {
	switch {
	case c.V6 && c.Reply:
		return echoReply6
	case c.V6:
		return echoRequest6
	case c.Reply:
		return echoReply4
	}
	return echoRequest4
}

// EchoReply turns p, a rebuilt echo request, into its reply in place: addresses exchanged, type
// and checksum those of a reply. The payload stays.
func EchoReply(p []byte) {
	proto, t := transport(p)
	if proto == ProtoICMPv6 {
		src, dst := [16]byte(p[8:24]), [16]byte(p[24:40])
		copy(p[8:], dst[:])
		copy(p[24:], src[:])
		t[0] = echoReply6
	} else {
		src, dst := [4]byte(p[12:16]), [4]byte(p[16:20])
		copy(p[12:], dst[:])
		copy(p[16:], src[:])
		t[0] = echoReply4
	}
	PutEcho(p)
}
