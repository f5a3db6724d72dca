// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"encoding/binary"

	"staex/internal/overlay/drop"
)

// OffloadSize is the length of the header that a TUN device with IFF_VNET_HDR puts before a
// packet.
const OffloadSize = 10

// Values of Offload.Flags and Offload.GSOType (virtio 1.2, section 5.1.6).
const (
	NeedsChecksum = 1 // the checksum field holds the pseudo-header sum only
	DataValid     = 2 // the device has verified the checksum

	GSONone  = 0
	GSOTCPv4 = 1
	GSOTCPv6 = 4
	GSOUDP   = 5    // UDP_L4: equal datagrams, not fragments
	GSOECN   = 0x80 // added to a TCP type: CWR is set, on the first segment only
)

// Offload is the virtio_net_hdr of a packet or super-packet. The zero value describes one
// ordinary packet with complete checksums.
//
//	0       1         2       4        6           8            10
//	+-------+---------+-------+--------+-----------+------------+
//	| flags | GSOType |HdrLen |GSOSize | CsumStart | CsumOffset |   little endian
//	+-------+---------+-------+--------+-----------+------------+
type Offload struct {
	Flags      uint8
	GSOType    uint8
	HdrLen     uint16 // bytes of IP and transport header; a hint when the kernel wrote it
	GSOSize    uint16 // payload bytes of each segment but the last
	CsumStart  uint16 // offset in the packet from which the checksum runs
	CsumOffset uint16 // offset of the checksum field from CsumStart
}

// ParseOffload reads the header at the front of b. It gives drop.Short when b has fewer than
// OffloadSize bytes, and drop.BadOffload for a segmentation that was never asked for.
func ParseOffload(b []byte) (Offload, drop.Reason) {
	if len(b) < OffloadSize {
		return Offload{}, drop.Short
	}
	o := Offload{
		Flags:      b[0],
		GSOType:    b[1],
		HdrLen:     binary.LittleEndian.Uint16(b[2:]),
		GSOSize:    binary.LittleEndian.Uint16(b[4:]),
		CsumStart:  binary.LittleEndian.Uint16(b[6:]),
		CsumOffset: binary.LittleEndian.Uint16(b[8:]),
	}
	switch o.GSOType {
	case GSONone:
		return o, drop.None
	case GSOTCPv4, GSOTCPv6, GSOUDP, GSOTCPv4 | GSOECN, GSOTCPv6 | GSOECN:
		// A super-packet whose checksum is not left open cannot be cut into right segments.
		if o.GSOSize == 0 || o.Flags&NeedsChecksum == 0 {
			return Offload{}, drop.BadOffload
		}
		return o, drop.None
	}
	return Offload{}, drop.BadOffload
}

// Put writes the header into b, which must have at least OffloadSize bytes.
func (o Offload) Put(b []byte) {
	_ = b[OffloadSize-1]
	b[0], b[1] = o.Flags, o.GSOType
	binary.LittleEndian.PutUint16(b[2:], o.HdrLen)
	binary.LittleEndian.PutUint16(b[4:], o.GSOSize)
	binary.LittleEndian.PutUint16(b[6:], o.CsumStart)
	binary.LittleEndian.PutUint16(b[8:], o.CsumOffset)
}

// Partial reports whether the packet's checksum field holds only the pseudo-header sum.
func (o Offload) Partial() bool { return o.Flags&NeedsChecksum != 0 }

// Vouched reports whether the device answers for the transport checksum, so that View.ChecksumOK
// need not and, when Partial, must not be asked.
func (o Offload) Vouched() bool { return o.Flags&(NeedsChecksum|DataValid) != 0 }

// Check compares the header with the packet it came with and gives drop.BadOffload if the two
// disagree on the transport protocol or on where the checksum is.
func (o Offload) Check(v *View) drop.Reason {
	want := uint8(GSONone)
	csum := -1
	switch {
	case v.Proto == ProtoUDP:
		want, csum = GSOUDP, udpCsumOffset
	case v.Proto == ProtoTCP && v.V6:
		want, csum = GSOTCPv6, tcpCsumOffset
	case v.Proto == ProtoTCP:
		want, csum = GSOTCPv4, tcpCsumOffset
	}
	if typ := o.GSOType &^ GSOECN; typ != GSONone && typ != want {
		return drop.BadOffload
	}
	if o.Partial() && (int(o.CsumStart) != v.Transport || int(o.CsumOffset) != csum) {
		return drop.BadOffload
	}
	return drop.None
}

// SegmentSize returns how many payload bytes each segment of a packet with this many payload
// bytes carries: GSOSize for a super-packet, everything otherwise.
func (o Offload) SegmentSize(payload int) int {
	if o.GSOType == GSONone || int(o.GSOSize) >= payload {
		return payload
	}
	return int(o.GSOSize)
}

// RebuildOffload describes the packet whose headers PutHeaders writes for c: payload bytes in
// segs segments, each segSize long except that the last may be shorter. The checksum of UDP and
// TCP is left to the device; that of an echo is PutEcho's, that of a Whole its sender's. segs must
// be at least 1.
func RebuildOffload(c *Compact, payload, segSize, segs int) Offload {
	if c.Kind == KindEcho || c.Kind == KindWhole {
		return Offload{}
	}
	start := ip4HeaderLen
	if c.V6 {
		start = ip6HeaderLen
	}
	o := Offload{Flags: NeedsChecksum, CsumStart: uint16(start), CsumOffset: udpCsumOffset}
	if c.Kind != KindUDP {
		o.CsumOffset = tcpCsumOffset
	}
	if segs < 2 || payload <= segSize {
		return o
	}
	o.HdrLen, o.GSOSize = uint16(HeaderLen(c)), uint16(segSize)
	switch {
	case c.Kind == KindUDP:
		o.GSOType = GSOUDP
		return o
	case c.V6:
		o.GSOType = GSOTCPv6
	default:
		o.GSOType = GSOTCPv4
	}
	if c.Flags&FlagCWR != 0 {
		o.GSOType |= GSOECN
	}
	return o
}
