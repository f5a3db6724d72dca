// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"

	"staex/internal/overlay/flow"
)

// packet is an inner packet written field by field, the slow and obvious way.
type packet struct {
	v6               bool
	class            uint8 // DSCP and ECN
	id               uint16
	noDF             bool
	hops             uint8
	label            uint32
	src, dst         netip.Addr
	proto            uint8
	srcPort, dstPort uint16
	noChecksum       bool // UDP checksum of zero
	seq, ack         uint32
	flags            uint16
	window, urgent   uint16
	options          []byte
	icmpType         uint8
	icmpCode         uint8
	echoID, echoSeq  uint16
	payload          []byte
}

// bytes returns the packet with complete checksums.
func (k packet) bytes() []byte {
	t := k.transport()
	var p []byte
	if k.v6 {
		p = binary.BigEndian.AppendUint32(p, 6<<28|uint32(k.class)<<20|k.label)
		p = binary.BigEndian.AppendUint16(p, uint16(len(t)))
		p = append(p, k.proto, k.hops)
	} else {
		p = append(p, 0x45, k.class)
		p = binary.BigEndian.AppendUint16(p, uint16(20+len(t)))
		p = binary.BigEndian.AppendUint16(p, k.id)
		frag := uint16(0x4000)
		if k.noDF {
			frag = 0
		}
		p = binary.BigEndian.AppendUint16(p, frag)
		p = append(p, k.hops, k.proto, 0, 0)
	}
	p = append(p, k.src.AsSlice()...)
	p = append(p, k.dst.AsSlice()...)
	if !k.v6 {
		binary.BigEndian.PutUint16(p[10:], ^naiveSum(p))
	}
	return append(p, t...)
}

func (k packet) transport() []byte {
	var t []byte
	var at int
	switch k.proto {
	case flow.ProtoUDP:
		t = binary.BigEndian.AppendUint16(t, k.srcPort)
		t = binary.BigEndian.AppendUint16(t, k.dstPort)
		t = binary.BigEndian.AppendUint16(t, uint16(8+len(k.payload)))
		t, at = append(t, 0, 0), 6
	case flow.ProtoTCP:
		t = binary.BigEndian.AppendUint16(t, k.srcPort)
		t = binary.BigEndian.AppendUint16(t, k.dstPort)
		t = binary.BigEndian.AppendUint32(t, k.seq)
		t = binary.BigEndian.AppendUint32(t, k.ack)
		t = binary.BigEndian.AppendUint16(t, uint16(5+len(k.options)/4)<<12|k.flags)
		t = binary.BigEndian.AppendUint16(t, k.window)
		t = append(t, 0, 0)
		t, at = binary.BigEndian.AppendUint16(t, k.urgent), 16
		t = append(t, k.options...)
	default:
		t, at = append(t, k.icmpType, k.icmpCode, 0, 0), 2
		t = binary.BigEndian.AppendUint16(t, k.echoID)
		t = binary.BigEndian.AppendUint16(t, k.echoSeq)
	}
	t = append(t, k.payload...)
	sum := ^naiveSum(append(k.pseudo(len(t)), t...))
	if k.proto == flow.ProtoUDP && sum == 0 {
		sum = 0xffff
	}
	if k.noChecksum {
		sum = 0
	}
	binary.BigEndian.PutUint16(t[at:], sum)
	return t
}

// pseudo returns the pseudo-header's bytes, padded to an even number.
func (k packet) pseudo(length int) []byte {
	if k.proto == flow.ProtoICMP {
		return nil
	}
	b := append(k.src.AsSlice(), k.dst.AsSlice()...)
	b = append(b, 0, k.proto)
	return binary.BigEndian.AppendUint16(b, uint16(length))
}

// naiveSum is RFC 1071 word by word.
func naiveSum(b []byte) uint16 {
	var s uint32
	for i := 0; i < len(b); i += 2 {
		w := uint32(b[i]) << 8
		if i+1 < len(b) {
			w |= uint32(b[i+1])
		}
		s += w
		if s > 0xffff {
			s -= 0xffff
		}
	}
	return uint16(s)
}

func dice(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = uint8(r.Uint32())
	}
	return b
}

var (
	lease4 = [2]netip.Addr{netip.MustParseAddr("10.83.1.2"), netip.MustParseAddr("10.83.200.9")}
	lease6 = [2]netip.Addr{netip.MustParseAddr("200::5:1"), netip.MustParseAddr("2ff:ffff::9")}
)

// randomPacket returns any packet that can be carried, with up to max bytes of payload.
func randomPacket(r *rand.Rand, maxPayload int) packet {
	k := packet{
		v6: r.IntN(2) == 0, class: uint8(r.Uint32()), id: uint16(r.Uint32()),
		hops: uint8(r.Uint32()), label: r.Uint32() & 0xfffff, noDF: r.IntN(4) == 0,
		srcPort: uint16(r.Uint32()), dstPort: uint16(r.Uint32()),
		payload: randomBytes(r, r.IntN(maxPayload+1)),
	}
	if r.IntN(2) == 0 {
		k.class &= 3
	}
	k.src, k.dst = lease4[0], lease4[1]
	if k.v6 {
		k.src, k.dst = lease6[0], lease6[1]
	}
	switch r.IntN(4) {
	case 0:
		k.proto, k.noChecksum = flow.ProtoUDP, !k.v6 && r.IntN(4) == 0
	case 1:
		k.proto, k.icmpType = flow.ProtoICMP, uint8(r.IntN(2)*8)
		if k.v6 {
			k.proto, k.icmpType = flow.ProtoICMPv6, uint8(128+r.IntN(2))
		}
		k.echoID, k.echoSeq = uint16(r.Uint32()), uint16(r.Uint32())
	default:
		k.proto, k.seq, k.ack = flow.ProtoTCP, r.Uint32(), r.Uint32()
		k.flags, k.window = uint16(r.Uint32())&0xfff, uint16(r.Uint32())
		k.options = randomBytes(r, r.IntN(11)*4)
		if r.IntN(2) == 0 {
			k.flags &^= flow.FlagURG
		} else {
			k.urgent = uint16(r.Uint32())
		}
	}
	return k
}

// arrives returns what the far end must make of k, whose leases there are src and dst.
func (k packet) arrives(src, dst netip.Addr) packet {
	k.id, k.noDF, k.hops, k.label, k.noChecksum = 0, false, 64, 0, false
	k.src, k.dst = src, dst
	return k
}
