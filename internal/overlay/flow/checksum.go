// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"encoding/binary"
	"math/bits"
)

// Offsets of the checksum field in its header.
const (
	ip4CsumOffset  = 10
	udpCsumOffset  = 6
	tcpCsumOffset  = 16
	icmpCsumOffset = 2
)

// ChecksumOK reports whether the IPv4 header checksum and the transport checksum of p, the
// packet v was parsed from, are right (RFC 1071). A UDP checksum of zero means "none" and is
// right on IPv4, wrong on IPv6 (RFC 8200 section 8.1). It must not be asked for a packet whose
// Offload is Partial.
func (v *View) ChecksumOK(p []byte) bool {
	if !v.V6 && fold(sum(0, p[:ip4HeaderLen])) != 0xffff {
		return false
	}
	t := p[v.Transport:]
	if v.Proto == ProtoUDP && binary.BigEndian.Uint16(t[udpCsumOffset:]) == 0 {
		return !v.V6
	}
	return fold(sum(pseudo(p), t)) == 0xffff
}

// FinishChecksum completes the transport checksum of p, an IP packet without options or
// extension headers that PutHeaders has begun, for a device that does not do it. Packets other
// than UDP and TCP are left alone. It serves single packets: a super-packet has a checksum per
// segment.
func FinishChecksum(p []byte) {
	proto, t := transport(p)
	switch proto {
	case ProtoTCP:
		binary.BigEndian.PutUint16(t[tcpCsumOffset:], ^fold(sum(0, t)))
	case ProtoUDP:
		c := ^fold(sum(0, t))
		if c == 0 { // zero would say that there is none
			c = 0xffff
		}
		binary.BigEndian.PutUint16(t[udpCsumOffset:], c)
	}
}

// PutEcho computes the complete ICMP checksum of p, an ICMP echo packet whose headers PutHeaders
// wrote and whose payload stands behind them.
func PutEcho(p []byte) {
	proto, t := transport(p)
	var acc uint64
	if proto == ProtoICMPv6 { // ICMP for IPv4 sums no pseudo-header (RFC 792)
		acc = pseudo(p)
	}
	binary.BigEndian.PutUint16(t[icmpCsumOffset:], 0)
	binary.BigEndian.PutUint16(t[icmpCsumOffset:], ^fold(sum(acc, t)))
}

// putIP4Sum writes the header checksum of the IPv4 packet p anew.
func putIP4Sum(p []byte) {
	binary.BigEndian.PutUint16(p[ip4CsumOffset:], 0)
	binary.BigEndian.PutUint16(p[ip4CsumOffset:], ^fold(sum(0, p[:ip4HeaderLen])))
}

// transport returns the protocol of an IP packet and its bytes from the transport header on.
func transport(p []byte) (proto uint8, t []byte) {
	if p[0]>>4 == 6 {
		return p[6], p[ip6HeaderLen:]
	}
	return p[9], p[ip4HeaderLen:]
}

// pseudo returns the unfolded sum over the pseudo-header of p (RFC 9293 section 3.1, RFC 8200
// section 8.1): nothing for ICMP on IPv4, which has none.
func pseudo(p []byte) uint64 {
	proto, t := transport(p)
	if proto == ProtoICMP {
		return 0
	}
	addrs := p[12:20]
	if p[0]>>4 == 6 {
		addrs = p[8:40]
	}
	return sum(uint64(proto)+uint64(len(t)), addrs)
}

// sum adds b, read as big-endian 16-bit words, to the ones' complement accumulator acc. A last
// odd byte counts as the high half of a word, so only the last piece of a packet may be odd. It
// works on 64 bits at a time: 2^16 is 1 modulo 2^16-1, so wider words fold to the same sum.
func sum(acc uint64, b []byte) uint64 {
	var carry uint64
	for len(b) >= 32 {
		acc, carry = bits.Add64(acc, binary.BigEndian.Uint64(b), 0)
		acc, carry = bits.Add64(acc, binary.BigEndian.Uint64(b[8:]), carry)
		acc, carry = bits.Add64(acc, binary.BigEndian.Uint64(b[16:]), carry)
		acc, carry = bits.Add64(acc, binary.BigEndian.Uint64(b[24:]), carry)
		acc, carry = bits.Add64(acc, 0, carry)
		acc += carry
		b = b[32:]
	}
	for len(b) >= 8 {
		acc, carry = bits.Add64(acc, binary.BigEndian.Uint64(b), 0)
		acc += carry
		b = b[8:]
	}
	if len(b) > 0 {
		var tail [8]byte
		copy(tail[:], b)
		acc, carry = bits.Add64(acc, binary.BigEndian.Uint64(tail[:]), 0)
		acc += carry
	}
	return acc
}

// fold reduces an accumulator of sum to 16 bits.
func fold(acc uint64) uint16 {
	acc = acc>>32 + acc&0xffffffff
	acc = acc>>32 + acc&0xffffffff
	acc = acc>>16 + acc&0xffff
	acc = acc>>16 + acc&0xffff
	return uint16(acc)
}
