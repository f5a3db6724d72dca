// SPDX-License-Identifier: Apache-2.0

// Package tcp sees the TCP connections of the programs on this machine and makes the kernel repeat
// the last word of one; it opens, closes and carries none.
package tcp

import (
	"encoding/binary"
	"net/netip"
)

// Conn is an established connection of a program on this machine.
type Conn struct{ Local, Remote netip.AddrPort }

const (
	protocol  = 6
	header4   = 20
	header6   = 40
	header    = 20 // of TCP, without options
	hops      = 64
	flagACK   = 0x10
	dataStart = header / 4 << 4
)

// Reminder is an IP packet that seems to come from the other end. It carries no data and numbers
// far out of the window, so that the kernel throws it away and answers with an acknowledgement of
// what it has (RFC 9293, section 3.10.7.4). By that packet everybody on the way, and the other end,
// sees that the connection lives. The chance that the numbers fit is one in thousands, and then
// nothing happens at all.
func (c Conn) Reminder() []byte {
	segment := make([]byte, header)
	binary.BigEndian.PutUint16(segment, c.Remote.Port())
	binary.BigEndian.PutUint16(segment[2:], c.Local.Port())
	segment[12], segment[13] = dataStart, flagACK
	src, dst := c.Remote.Addr(), c.Local.Addr()
	sum := add(add(0, src.AsSlice()), dst.AsSlice()) + protocol + header
	binary.BigEndian.PutUint16(segment[16:], fold(add(sum, segment)))

	var ip []byte
	if src.Is4() {
		ip = make([]byte, header4)
		ip[0] = 0x45
		binary.BigEndian.PutUint16(ip[2:], header4+header)
		ip[8], ip[9] = hops, protocol
		copy(ip[12:], src.AsSlice())
		copy(ip[16:], dst.AsSlice())
		binary.BigEndian.PutUint16(ip[10:], fold(add(0, ip)))
	} else {
		ip = make([]byte, header6)
		ip[0] = 0x60
		binary.BigEndian.PutUint16(ip[4:], header)
		ip[6], ip[7] = protocol, hops
		copy(ip[8:], src.AsSlice())
		copy(ip[24:], dst.AsSlice())
	}
	return append(ip, segment...)
}

// add sums up 16-bit words (RFC 1071); b has an even length.
func add(sum uint32, b []byte) uint32 {
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	return sum
}

func fold(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
