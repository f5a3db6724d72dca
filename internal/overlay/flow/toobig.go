// SPDX-License-Identifier: Apache-2.0

package flow

import "encoding/binary"

// AppendTooBig adds to dst the ICMP error that tells the sender of p, a packet that View.Parse
// accepted, that mtu bytes are all that fits: "fragmentation needed" (RFC 1191) or "packet too
// big" (RFC 8201). It comes from the destination of p and quotes as much of p as an error may,
// 548 bytes on IPv4 and 1,232 on IPv6. p must not be an ICMP error itself.
func AppendTooBig(dst, p []byte, mtu uint16) []byte {
	const (
		maxQuote4, unreachable, fragmentationNeeded = 576 - ip4HeaderLen - echoHeaderLen, 3, 4
		maxQuote6, packetTooBig                     = 1280 - ip6HeaderLen - echoHeaderLen, 2
	)
	start := len(dst)
	var head [ip6HeaderLen + echoHeaderLen]byte
	if p[0]>>4 == 6 {
		quote := p[:min(len(p), maxQuote6)]
		dst = append(append(dst, head[:]...), quote...)
		e := dst[start:]
		e[0] = 6 << 4
		binary.BigEndian.PutUint16(e[4:], uint16(echoHeaderLen+len(quote)))
		e[6], e[7] = ProtoICMPv6, rebuiltHopLimit
		copy(e[8:], p[24:40])
		copy(e[24:], p[8:24])
		e[40] = packetTooBig
		binary.BigEndian.PutUint16(e[46:], mtu) // low half of a 32-bit field
		PutEcho(e)
		return dst
	}
	quote := p[:min(len(p), maxQuote4)]
	dst = append(append(dst, head[:ip4HeaderLen+echoHeaderLen]...), quote...)
	e := dst[start:]
	e[0] = 0x45
	binary.BigEndian.PutUint16(e[2:], uint16(len(e)))
	e[6], e[8], e[9] = 0x40, rebuiltHopLimit, ProtoICMP
	copy(e[12:], p[16:20])
	copy(e[16:], p[12:16])
	putIP4Sum(e)
	e[20], e[21] = unreachable, fragmentationNeeded
	binary.BigEndian.PutUint16(e[26:], mtu)
	PutEcho(e)
	return dst
}
