// SPDX-License-Identifier: Apache-2.0

package tun_test

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"staex/internal/host/tun"
)

// checkCut compares the packets with the super-packet b they were cut from: their checksums are
// right, their headers are those of b but for what has to differ, and their payloads make up that
// of b again. It is slow and follows the RFCs, not the code.
func checkCut(b []byte, cut [][]byte) error {
	p := b[tun.HeaderSize:]
	if b[1] == gsoNone {
		return checkWhole(b, cut)
	}
	l4 := int(binary.LittleEndian.Uint16(b[6:]))
	head := l4 + 8
	if b[1] != gsoUDP {
		head = l4 + int(p[l4+12]>>4)*4
	}
	size := int(binary.LittleEndian.Uint16(b[4:]))
	rest := p[head:]
	for i, got := range cut {
		part := rest[:min(size, len(rest))]
		rest = rest[len(part):]
		if last := i == len(cut)-1; last != (len(rest) == 0) {
			return fmt.Errorf("after packet %d of %d, %d bytes are left", i, len(cut), len(rest))
		}
		want := append(bytes.Clone(p[:head]), part...)
		shape(want, got, l4, b[1], place{i, i * size, len(rest) == 0})
		if !bytes.Equal(got, want) {
			return fmt.Errorf("packet %d:\n% x, want\n% x", i, got, want)
		}
		proto := byte(6)
		if b[1] == gsoUDP {
			proto = 17
		}
		sum := naive(append(pseudo(got[:l4], proto, len(got)-l4), got[l4:]...))
		if l4 == 20 && naive(got[:20]) != 0xffff || sum != 0xffff {
			return fmt.Errorf("packet %d: wrong checksum in % x", i, got)
		}
	}
	return nil
}

// place is where a packet stands among those of a super-packet.
type place struct {
	n, sent int
	last    bool
}

// shape gives want what the headers of a packet have of their own. The checksums are those of got:
// they are summed up later.
func shape(want, got []byte, l4 int, kind byte, at place) {
	t := want[l4:]
	if l4 == 20 {
		binary.BigEndian.PutUint16(want[2:], uint16(len(want)))
		binary.BigEndian.PutUint16(want[4:], binary.BigEndian.Uint16(want[4:])+uint16(at.n))
		copy(want[10:12], got[10:])
	} else {
		binary.BigEndian.PutUint16(want[4:], uint16(len(t)))
	}
	if len(got) < len(want) {
		return
	}
	if kind == gsoUDP {
		binary.BigEndian.PutUint16(t[4:], uint16(len(t)))
		copy(t[6:8], got[l4+6:])
		return
	}
	binary.BigEndian.PutUint32(t[4:], binary.BigEndian.Uint32(t[4:])+uint32(at.sent))
	if at.n > 0 {
		t[13] &^= cwr
	}
	if !at.last {
		t[13] &^= fin | psh
	}
	copy(t[16:18], got[l4+16:])
}

// checkWhole checks a packet that was not cut: nothing but an unfinished checksum may differ.
func checkWhole(b []byte, cut [][]byte) error {
	if len(cut) != 1 {
		return fmt.Errorf("%d packets, want 1", len(cut))
	}
	got, want := cut[0], bytes.Clone(b[tun.HeaderSize:])
	if b[0]&needsChecksum != 0 {
		start := int(binary.LittleEndian.Uint16(b[6:]))
		at := start + int(binary.LittleEndian.Uint16(b[8:]))
		sum := ^naive(want[start:])
		if sum == 0 {
			sum = 0xffff
		}
		binary.BigEndian.PutUint16(want[at:], sum)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("got\n% x, want\n% x", got, want)
	}
	return nil
}

// pseudo returns the pseudo-header of a transport with length bytes below the IP header ip.
func pseudo(ip []byte, proto byte, length int) []byte {
	addrs := ip[12:20]
	if ip[0]>>4 == 6 {
		addrs = ip[8:40]
	}
	return append(bytes.Clone(addrs), 0, proto, byte(length>>8), byte(length))
}

// naive is the sum of RFC 1071, before its complement.
func naive(b []byte) uint16 {
	var sum uint32
	for i, x := range b {
		if i%2 == 0 {
			sum += uint32(x) << 8
		} else {
			sum += uint32(x)
		}
		sum = sum&0xffff + sum>>16
	}
	return uint16(sum)
}
