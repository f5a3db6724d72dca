// SPDX-License-Identifier: Apache-2.0

package tun

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"syscall"
)

// Values of the flags and the gso type in an offload header (virtio 1.2, section 5.1.6).
const (
	needsChecksum = 1

	gsoNone  = 0
	gsoTCPv4 = 1
	gsoTCPv6 = 4
	gsoUDP   = 5
	gsoECN   = 0x80 // beside a TCP type: CWR is set
)

// Lengths, protocol numbers and offsets of IP, UDP and TCP (RFC 791, 8200, 768, 9293).
const (
	ip4Header, ip6Header = 20, 40
	udpHeader, tcpHeader = 8, 20
	protoUDP, protoTCP   = 17, 6

	ip4Sum, udpSum, tcpSum = 10, 6, 16 // where the checksum stands in its header

	tcpFlags               = 13
	tcpFIN, tcpPSH, tcpCWR = 0x01, 0x08, 0x80
)

// What Linux refuses with the same number.
var (
	errNotIP   = fmt.Errorf("tun: neither an IPv4 nor an IPv6 packet: %w", syscall.EINVAL)
	errOffload = fmt.Errorf("tun: the offload header does not fit its packet: %w", syscall.EINVAL)
)

// Cuts are the packets, in their order, that a packet or super-packet behind an offload header
// stands for: what Linux makes of it for a device without offloads, for systems whose devices take
// nothing but plain packets. The zero value has none.
//
//	IP | TCP seq S          | size | size | rest |    one super-packet
//
//	IP | TCP seq S          | size |                  is three packets
//	IP | TCP seq S + size   | size |
//	IP | TCP seq S + 2 size | rest |
type Cuts struct {
	p    []byte // the super-packet
	left bool   // there is another packet

	// A super-packet.
	udp  bool
	l4   int // where the transport header begins
	head int // bytes of headers, which every packet has; 0: not to be cut
	size int // payload bytes of each packet but the last
	done int // payload bytes of the packets so far
	n    int // packets so far

	// A packet with an unfinished checksum: from where to sum, and where to put it; 0: finished.
	from, sumAt int
}

// Cut prepares for cutting b, a packet behind its offload header, which nobody may change before
// the last [Cuts.Next]. It refuses a header that does not fit its packet, as the kernel does, and
// super-packets with IP options or extension headers, which nothing here makes: the error satisfies
// errors.Is(err, syscall.EINVAL).
func Cut(b []byte) (Cuts, error) {
	if len(b) <= HeaderSize {
		return Cuts{}, errShort
	}
	c := Cuts{p: b[HeaderSize:], left: true}
	switch version := c.p[0] >> 4; {
	case version != 4 && version != 6,
		version == 4 && len(c.p) < ip4Header, version == 6 && len(c.p) < ip6Header:
		return Cuts{}, errNotIP
	case len(b) > MaxPacket:
		return Cuts{}, errOffload
	}
	open, kind := b[0]&needsChecksum != 0, b[1]
	size := int(binary.LittleEndian.Uint16(b[4:]))
	start := int(binary.LittleEndian.Uint16(b[6:]))
	sumAt := start + int(binary.LittleEndian.Uint16(b[8:]))
	switch {
	case kind == gsoNone && !open:
		return c, nil
	case !open, start < ip4Header, sumAt+2 > len(c.p):
		return Cuts{}, errOffload
	case kind == gsoNone:
		c.from, c.sumAt = start, sumAt
		return c, nil
	}
	c.l4, c.size = start, size
	if size == 0 || !c.measure(kind, sumAt-start) {
		return Cuts{}, errOffload
	}
	return c, nil
}

// measure finds the headers of a super-packet, and reports whether its kind and the offset of its
// checksum fit them.
func (c *Cuts) measure(kind uint8, sumOffset int) bool {
	l4, proto, tcp := ip6Header, c.p[6], uint8(gsoTCPv6)
	length := ip6Header + int(binary.BigEndian.Uint16(c.p[4:]))
	if c.p[0]>>4 == 4 {
		l4, proto, tcp = ip4Header, c.p[9], gsoTCPv4
		length = int(binary.BigEndian.Uint16(c.p[2:]))
		if c.p[0] != 0x45 {
			return false
		}
	}
	if c.l4 != l4 || length != len(c.p) {
		return false
	}
	switch {
	case kind == gsoUDP && proto == protoUDP && sumOffset == udpSum:
		c.udp = true
		c.head = l4 + udpHeader
		return c.head <= len(c.p)
	case kind&^gsoECN == tcp && proto == protoTCP && sumOffset == tcpSum:
		if len(c.p) < l4+tcpHeader {
			return false
		}
		c.head = l4 + int(c.p[l4+12]>>4)*4
		return l4+tcpHeader <= c.head && c.head <= len(c.p)
	}
	return false
}

// Next writes the next packet into out and returns its length, or 0 when there is none left. out
// must have MaxPacket-HeaderSize bytes.
func (c *Cuts) Next(out []byte) int {
	switch {
	case !c.left:
		return 0
	case c.head == 0:
		c.left = false
		out = out[:copy(out, c.p)]
		if c.sumAt != 0 {
			// The field holds the sum over the pseudo-header, and so is counted in.
			putNonzero(out[c.sumAt:], sum(0, out[c.from:]))
		}
		return len(out)
	}
	payload := c.p[c.head+c.done:]
	c.left = len(payload) > c.size
	payload = payload[:min(len(payload), c.size)]
	out = out[:c.head+len(payload)]
	copy(out, c.p[:c.head])
	copy(out[c.head:], payload)
	c.putIP(out)
	if c.udp {
		c.putUDP(out)
	} else {
		c.putTCP(out)
	}
	c.done += len(payload)
	c.n++
	return len(out)
}

// putIP writes length, identification and checksum of the next packet.
func (c *Cuts) putIP(p []byte) {
	if p[0]>>4 == 6 {
		binary.BigEndian.PutUint16(p[4:], uint16(len(p)-ip6Header))
		return
	}
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	binary.BigEndian.PutUint16(p[4:], binary.BigEndian.Uint16(c.p[4:])+uint16(c.n))
	binary.BigEndian.PutUint16(p[ip4Sum:], 0)
	binary.BigEndian.PutUint16(p[ip4Sum:], sum(0, p[:ip4Header]))
}

// putUDP writes length and checksum of the next packet.
func (c *Cuts) putUDP(p []byte) {
	t := p[c.l4:]
	binary.BigEndian.PutUint16(t[4:], uint16(len(t)))
	binary.BigEndian.PutUint16(t[udpSum:], 0)
	putNonzero(t[udpSum:], sum(pseudo(p, t, protoUDP), t))
}

// putTCP writes sequence number, flags and checksum of the next packet: CWR belongs to the first,
// FIN and PSH to the last.
func (c *Cuts) putTCP(p []byte) {
	t := p[c.l4:]
	binary.BigEndian.PutUint32(t[4:], binary.BigEndian.Uint32(t[4:])+uint32(c.done))
	if c.n > 0 {
		t[tcpFlags] &^= tcpCWR
	}
	if c.left {
		t[tcpFlags] &^= tcpFIN | tcpPSH
	}
	binary.BigEndian.PutUint16(t[tcpSum:], 0)
	binary.BigEndian.PutUint16(t[tcpSum:], sum(pseudo(p, t, protoTCP), t))
}

// putNonzero writes a checksum that may not be zero, which would say that there is none (RFC 768).
// Both forms of zero are equal to whoever checks it.
func putNonzero(b []byte, s uint16) {
	if s == 0 {
		s = 0xffff
	}
	binary.BigEndian.PutUint16(b, s)
}

// pseudo begins a sum with the pseudo-header of p, whose transport header and payload are t.
func pseudo(p, t []byte, proto uint64) uint64 {
	addrs := p[12:20]
	if p[0]>>4 == 6 {
		addrs = p[8:40]
	}
	return add(proto+uint64(len(t)), addrs)
}

// sum is the Internet checksum (RFC 1071) of b and of what add has summed up before.
func sum(acc uint64, b []byte) uint16 {
	acc = add(acc, b)
	acc = acc>>32 + acc&0xffffffff
	acc = acc>>16 + acc&0xffff // 33 bits before, 18 after
	acc = acc>>16 + acc&0xffff
	acc = acc>>16 + acc&0xffff
	return ^uint16(acc)
}

// add adds b to a ones' complement sum in words of 64 bits, which fold to the same 16. Only the
// last of several pieces may have an odd length.
func add(acc uint64, b []byte) uint64 {
	var carry uint64
	for ; len(b) >= 8; b = b[8:] {
		acc, carry = bits.Add64(acc, binary.BigEndian.Uint64(b), carry)
	}
	var tail [8]byte
	copy(tail[:], b)
	acc, carry = bits.Add64(acc, binary.BigEndian.Uint64(tail[:]), carry)
	return acc + carry // no further carry: the last byte of tail is zero
}
