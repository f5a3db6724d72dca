// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"staex/internal/overlay/drop"
)

// Bounds of the packets being put together from the host's fragments. A host sends the fragments
// of one datagram behind each other, so few are ever open.
const (
	// MaxFragmented is how many packets may be incomplete at once.
	MaxFragmented = 8
	// MaxFragmentedBytes bounds the bytes of all of them together, and the longest packet.
	MaxFragmentedBytes = 65535
	// MaxFragmentAge is how long the last fragment may follow the first.
	MaxFragmentAge = time.Second

	// maxPieces bounds the fragments of one packet: the longest packet over the smallest MTU of
	// IPv4 that a host still meets, 576 bytes.
	maxPieces = 128
	// fragmentHeaderLen is the length of the IPv6 fragment header (RFC 8200 section 4.5).
	fragmentHeaderLen = 8
	protoFragment     = 44
)

// Cut names the packet that fragments belong to.
type Cut struct {
	Src, Dst netip.Addr
	ID       uint32
	Proto    uint8
}

// A Fragment is one piece of an IP packet. It holds slices of the bytes it was parsed from.
type Fragment struct {
	Cut
	offset int    // of data in what was cut, in bytes
	more   bool   // another piece follows
	header []byte // of IPv4 or IPv6, without the fragment header
	data   []byte
}

// ParseFragment reads p, one IP packet, if it is a fragment. It gives drop.None with ok false for
// every other packet, malformed ones included: those are for View.Parse to name.
func ParseFragment(p []byte) (f Fragment, ok bool, r drop.Reason) {
	const version4NoOptions, version6 = 0x45, 6
	switch {
	case len(p) >= ip4HeaderLen && p[0] == version4NoOptions:
		return parseFragment4(p)
	case len(p) >= ip6HeaderLen+fragmentHeaderLen && p[0]>>4 == version6 && p[6] == protoFragment:
		return parseFragment6(p)
	}
	return f, false, drop.None
}

// parseFragment4 reads RFC 791's fields; fragments with options are left to View.Parse.
func parseFragment4(p []byte) (f Fragment, ok bool, r drop.Reason) {
	const reserved, more, offset = 0x8000, 0x2000, 0x1fff
	bits := binary.BigEndian.Uint16(p[6:])
	if bits&(more|offset) == 0 || bits&reserved != 0 {
		return f, false, drop.None
	}
	if int(binary.BigEndian.Uint16(p[2:])) != len(p) || fold(sum(0, p[:ip4HeaderLen])) != 0xffff {
		return f, true, drop.BadIP
	}
	f = Fragment{
		Cut: Cut{
			Src:   netip.AddrFrom4([4]byte(p[12:16])),
			Dst:   netip.AddrFrom4([4]byte(p[16:20])),
			ID:    uint32(binary.BigEndian.Uint16(p[4:])),
			Proto: p[9],
		},
		offset: int(bits&offset) * 8, more: bits&more != 0,
		header: p[:ip4HeaderLen], data: p[ip4HeaderLen:],
	}
	return f, true, f.check()
}

func parseFragment6(p []byte) (f Fragment, ok bool, r drop.Reason) {
	if ip6HeaderLen+int(binary.BigEndian.Uint16(p[4:])) != len(p) {
		return f, true, drop.BadIP
	}
	const more, offset = 1, 0xfff8
	h := p[ip6HeaderLen:]
	bits := binary.BigEndian.Uint16(h[2:])
	f = Fragment{
		Cut: Cut{
			Src:   netip.AddrFrom16([16]byte(p[8:24])),
			Dst:   netip.AddrFrom16([16]byte(p[24:40])),
			ID:    binary.BigEndian.Uint32(h[4:]),
			Proto: h[0],
		},
		offset: int(bits & offset), more: bits&more != 0,
		header: p[:ip6HeaderLen], data: h[fragmentHeaderLen:],
	}
	return f, true, f.check()
}

// check refuses pieces of which no packet can be made.
func (f *Fragment) check() drop.Reason {
	const unit = 8 // what offsets count
	end := len(f.header) + f.offset + len(f.data)
	if len(f.data) == 0 || f.more && len(f.data)%unit != 0 || end > MaxFragmentedBytes {
		return drop.Fragment
	}
	return drop.None
}

// Fragments puts the pieces of the host's packets together, because a tunnel carries whole
// packets only. The zero value is ready, and small until a fragment comes. It has one user.
type Fragments struct {
	open  []*fragmented // oldest first, at most MaxFragmented
	bytes int           // in all of them
}

// fragmented is one incomplete packet. Its pieces stand in buf in the order they came.
type fragmented struct {
	Cut
	since  time.Duration
	total  int    // bytes of data altogether, 0 until the last piece is here
	header []byte // of the piece at offset 0, nil until it is here
	buf    []byte
	pieces []piece
}

// piece is where bytes from offset to offset+size of the data are in buf.
type piece struct{ offset, start, size int }

// Add takes one fragment at now. When it completes a packet, whole is that packet behind an empty
// offload header, with a right header checksum; it is the caller's. lost is how many fragments
// were given up meanwhile: those that are late, overlap or contradict others (RFC 5722 for both
// families), or had to make room.
func (t *Fragments) Add(now time.Duration, f *Fragment) (whole []byte, lost int) {
	for len(t.open) > 0 && now-t.open[0].since > MaxFragmentAge {
		lost += t.discard(t.open[0])
	}
	d := t.find(f)
	if d == nil {
		if len(t.open) == MaxFragmented {
			lost += t.discard(t.open[0])
		}
		d = &fragmented{Cut: f.Cut, since: now}
		t.open = append(t.open, d)
	}
	if d.contradicts(f) {
		return nil, lost + 1 + t.discard(d)
	}
	for t.bytes+len(f.data) > MaxFragmentedBytes {
		victim := t.open[0]
		lost += t.discard(victim)
		if victim == d {
			return nil, lost + 1
		}
	}
	d.add(f)
	t.bytes += len(f.data)
	if d.total != len(d.buf) || d.header == nil {
		return nil, lost
	}
	t.discard(d)
	return d.whole(), lost
}

func (t *Fragments) find(f *Fragment) *fragmented {
	for _, d := range t.open {
		if d.Cut == f.Cut {
			return d
		}
	}
	return nil
}

// discard forgets a packet and returns how many of its fragments were here.
func (t *Fragments) discard(d *fragmented) int {
	t.open = slices.DeleteFunc(t.open, func(o *fragmented) bool { return o == d })
	t.bytes -= len(d.buf)
	return len(d.pieces)
}

// contradicts reports whether a fragment cannot belong to what is already here.
func (d *fragmented) contradicts(f *Fragment) bool {
	end := f.offset + len(f.data)
	if len(d.pieces) == maxPieces || d.total != 0 && (end > d.total || !f.more) {
		return true
	}
	for _, p := range d.pieces {
		if f.offset < p.offset+p.size && p.offset < end || !f.more && p.offset >= end {
			return true
		}
	}
	return false
}

func (d *fragmented) add(f *Fragment) {
	d.pieces = append(d.pieces, piece{f.offset, len(d.buf), len(f.data)})
	d.buf = append(d.buf, f.data...)
	if f.offset == 0 {
		d.header = bytes.Clone(f.header)
	}
	if !f.more {
		d.total = f.offset + len(f.data)
	}
}

// whole writes the packet. Its pieces neither overlap nor leave a gap: their sizes add up to the
// end of the last one.
func (d *fragmented) whole() []byte {
	p := make([]byte, OffloadSize, OffloadSize+len(d.header)+d.total)
	p = append(p, d.header...)
	slices.SortFunc(d.pieces, func(a, b piece) int { return cmp.Compare(a.offset, b.offset) })
	for _, x := range d.pieces {
		p = append(p, d.buf[x.start:x.start+x.size]...)
	}
	ip := p[OffloadSize:]
	if ip[0]>>4 == 6 {
		binary.BigEndian.PutUint16(ip[4:], uint16(d.total))
		ip[6] = d.Proto
		return p
	}
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
	clear(ip[6:8])
	putIP4Sum(ip)
	return p
}

// AllowFragments lets routers cut p, an IPv4 packet that PutHeaders has begun, under an
// identification that differs from that of packets before it (RFC 6864 section 4.2). An IPv6
// packet is left alone: no router may cut it.
func AllowFragments(p []byte, id uint16) {
	if p[0]>>4 != 4 {
		return
	}
	binary.BigEndian.PutUint16(p[4:], id)
	clear(p[6:8])
	putIP4Sum(p)
}

// CutIPv6 appends to dst the fragments of p, a whole IPv6 packet with a complete checksum, each of
// at most mtu bytes behind an empty offload header: no router cuts IPv6, only who sends it
// (RFC 8200 section 4.5). The fragments are copies. mtu must be at least 1,280.
func CutIPv6(dst [][]byte, p []byte, mtu int, id uint32) [][]byte {
	const head, unit = ip6HeaderLen + fragmentHeaderLen, 8
	data := p[ip6HeaderLen:]
	step := (mtu - head) / unit * unit
	for o := 0; o < len(data); o += step {
		piece := data[o:min(o+step, len(data))]
		f := make([]byte, OffloadSize, OffloadSize+head+len(piece))
		f = append(f, p[:ip6HeaderLen]...)
		f = append(f, p[6], 0)
		bits := uint16(o)
		if o+step < len(data) {
			bits |= 1
		}
		f = binary.BigEndian.AppendUint16(f, bits)
		f = binary.BigEndian.AppendUint32(f, id)
		binary.BigEndian.PutUint16(f[OffloadSize+4:], uint16(fragmentHeaderLen+len(piece)))
		f[OffloadSize+6] = protoFragment
		dst = append(dst, append(f, piece...))
	}
	return dst
}
