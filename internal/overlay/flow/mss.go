// SPDX-License-Identifier: Apache-2.0

package flow

import "encoding/binary"

// ClampMSS lowers the maximum segment size that the TCP SYN p announces to at most mss bytes, so
// that no segment need ever be cut. Other packets, smaller values and options that do not parse
// are left alone. partial says whether the checksum field holds only the pseudo-header sum
// (Offload.Partial), which options are no part of; a complete checksum is corrected (RFC 1624).
func ClampMSS(p []byte, v *View, mss uint16, partial bool) {
	if v.Proto != ProtoTCP || v.Flags&FlagSYN == 0 {
		return
	}
	const end, nop, maxSegment, maxSegmentLen = 0, 1, 2, 4
	t := p[v.Transport:v.Payload]
	for i := tcpHeaderLen; i < len(t); {
		kind := t[i]
		if kind == end {
			return
		}
		if kind == nop {
			i++
			continue
		}
		if i+1 >= len(t) || t[i+1] < 2 || i+int(t[i+1]) > len(t) {
			return
		}
		if kind == maxSegment && t[i+1] == maxSegmentLen {
			if old := binary.BigEndian.Uint16(t[i+2:]); old > mss {
				setMSS(t, i+2, mss, partial)
			}
		}
		i += int(t[i+1])
	}
}

// setMSS writes the 16-bit value at t[at:], which may be an odd offset, and repairs the checksum
// over the two or four bytes of the aligned words it touches.
func setMSS(t []byte, at int, mss uint16, partial bool) {
	words := t[at&^1 : (at+3)&^1]
	before := fold(sum(0, words))
	binary.BigEndian.PutUint16(t[at:], mss)
	if partial {
		return
	}
	// HC' = ~(~HC + ~m + m')
	hc := uint64(^binary.BigEndian.Uint16(t[tcpCsumOffset:]))
	hc += uint64(^before) + uint64(fold(sum(0, words)))
	binary.BigEndian.PutUint16(t[tcpCsumOffset:], ^fold(hc))
}
