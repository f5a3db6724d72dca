// SPDX-License-Identifier: Apache-2.0

package tun_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"testing"

	"staex/internal/host/tun"
)

const (
	needsChecksum = 1 // VIRTIO_NET_HDR_F_NEEDS_CSUM
	gsoNone       = 0
	gsoTCPv4      = 1    // VIRTIO_NET_HDR_GSO_TCPV4
	gsoTCPv6      = 4    // VIRTIO_NET_HDR_GSO_TCPV6
	gsoUDP        = 5    // VIRTIO_NET_HDR_GSO_UDP_L4
	gsoECN        = 0x80 // VIRTIO_NET_HDR_GSO_ECN

	fin, psh, ack, cwr = 0x01, 0x08, 0x10, 0x80
)

// A super is the recipe of a super-packet.
type super struct {
	from, to netip.AddrPort
	udp      bool
	payload  int
	size     int    // of the segments; 0: one packet with an unfinished checksum
	flags    byte   // of TCP
	options  []byte // of TCP
}

// packet makes the super-packet behind its offload header, as the overlay writes it.
func (s super) packet() []byte {
	b := make([]byte, tun.HeaderSize)
	l4, v6, proto := 20, s.from.Addr().Is6(), byte(6)
	if v6 {
		l4 = 40
	}
	kind, sumAt, head := byte(gsoTCPv4), 16, 20+len(s.options)
	switch {
	case s.udp:
		kind, sumAt, head, proto = gsoUDP, 6, 8, 17
	case v6:
		kind = gsoTCPv6
	}
	if s.flags&cwr != 0 {
		kind |= gsoECN
	}
	if s.size == 0 {
		kind = gsoNone
	}
	b[0], b[1] = needsChecksum, kind
	binary.LittleEndian.PutUint16(b[2:], uint16(l4+head))
	binary.LittleEndian.PutUint16(b[4:], uint16(s.size))
	binary.LittleEndian.PutUint16(b[6:], uint16(l4))
	binary.LittleEndian.PutUint16(b[8:], uint16(sumAt))

	length := head + s.payload
	ip, t := make([]byte, l4), make([]byte, head)
	if v6 {
		ip[0], ip[6], ip[7] = 0x60, proto, 64
		binary.BigEndian.PutUint16(ip[4:], uint16(length))
		copy(ip[8:], s.from.Addr().AsSlice())
		copy(ip[24:], s.to.Addr().AsSlice())
	} else {
		ip[0], ip[8], ip[9] = 0x45, 64, proto
		binary.BigEndian.PutUint16(ip[2:], uint16(l4+length))
		binary.BigEndian.PutUint16(ip[4:], 0xfffe) // the count of the packets goes over the end
		copy(ip[12:], s.from.Addr().AsSlice())
		copy(ip[16:], s.to.Addr().AsSlice())
		binary.BigEndian.PutUint16(ip[10:], ^naive(ip))
	}
	binary.BigEndian.PutUint16(t, s.from.Port())
	binary.BigEndian.PutUint16(t[2:], s.to.Port())
	if s.udp {
		binary.BigEndian.PutUint16(t[4:], uint16(length))
	} else {
		binary.BigEndian.PutUint32(t[4:], 0xffffff00) // and so do the sequence numbers
		binary.BigEndian.PutUint32(t[8:], 77)
		t[12], t[13] = byte(head/4)<<4, ack|s.flags
		binary.BigEndian.PutUint16(t[14:], 512)
		copy(t[20:], s.options)
	}
	binary.BigEndian.PutUint16(t[sumAt:], naive(pseudo(ip, proto, length)))
	b = append(append(b, ip...), t...)
	for i := range s.payload {
		b = append(b, byte(i*7+i>>8))
	}
	return b
}

// supers are recipes of every kind between two addresses of one family.
func supers(from, to netip.AddrPort) []super {
	stamps := []byte{1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8}
	var all []super
	for _, size := range []int{0, 1, 499, 500, 1200} {
		for _, payload := range []int{0, 1, 500, 501, 1000, 1001} {
			if size == 1 && payload > 1 {
				payload = 20
			}
			s := super{from: from, to: to, payload: payload, size: size}
			all = append(all, s)
			s.flags, s.options = psh|fin, stamps
			all = append(all, s)
			s.flags = psh | cwr
			all = append(all, s)
			s.udp, s.flags, s.options = true, 0, nil
			all = append(all, s)
		}
	}
	return append(all, super{from: from, to: to, payload: 65_000, size: 1360, options: stamps})
}

func (s super) String() string {
	return fmt.Sprintf("%v, UDP %v, %d bytes in pieces of %d, flags %#x, %d bytes of options",
		s.from.Addr(), s.udp, s.payload, s.size, s.flags, len(s.options))
}

var (
	four  = netip.MustParseAddrPort("10.9.0.2:4000")
	four2 = netip.MustParseAddrPort("10.8.0.2:5000")
	six   = netip.MustParseAddrPort("[fd00:9::2]:4000")
	six2  = netip.MustParseAddrPort("[fd00:8::2]:5000")
)

func TestASuperPacketIsCutIntoTheRightPackets(t *testing.T) {
	for _, s := range append(supers(four, four2), supers(six, six2)...) {
		b := s.packet()
		want := 1
		if s.size > 0 {
			want = max(1, (s.payload+s.size-1)/s.size)
		}
		cut, err := cutAll(b)
		if err != nil || len(cut) != want {
			t.Errorf("%v: %d packets, %v; want %d", s, len(cut), err, want)
			continue
		}
		if err := checkCut(b, cut); err != nil {
			t.Errorf("%v: %v", s, err)
		}
	}
}

func TestAPlainPacketIsLeftAlone(t *testing.T) {
	b := super{from: four, to: four2, payload: 10}.packet()
	clear(b[:tun.HeaderSize])
	b[0] = 2 // VIRTIO_NET_HDR_F_DATA_VALID
	cut, err := cutAll(b)
	if err != nil || len(cut) != 1 || !bytes.Equal(cut[0], b[tun.HeaderSize:]) {
		t.Errorf("got % x, %v", cut, err)
	}
}

func TestWhatContradictsItselfIsNotCut(t *testing.T) {
	tcp := super{from: four, to: four2, payload: 1000, size: 100}
	tcp6, udp := tcp, tcp
	tcp6.from, tcp6.to = six, six2
	udp.udp = true
	const p = tun.HeaderSize
	for name, c := range map[string]struct {
		super
		at   int
		byte byte
	}{
		"a checksum that is finished":             {tcp, 0, 0},
		"an unknown kind":                         {tcp, 1, 2},
		"a kind of the other family":              {tcp, 1, gsoTCPv6},
		"a kind of the other family, IPv6":        {tcp6, 1, gsoTCPv4},
		"a kind of the other protocol":            {tcp, 1, gsoUDP},
		"TCP in a run of datagrams":               {udp, 1, gsoTCPv4},
		"congestion told by UDP":                  {udp, 1, gsoUDP | gsoECN},
		"segments of nothing":                     {tcp, 4, 0},
		"a sum that begins elsewhere":             {tcp, 6, 24},
		"a sum that begins in the address":        {tcp, 6, 12},
		"a sum that begins behind the packet":     {tcp, 7, 0xff},
		"a checksum field elsewhere":              {tcp, 8, 6},
		"a checksum field elsewhere, UDP":         {udp, 8, 16},
		"neither IPv4 nor IPv6":                   {tcp, p, 0x55},
		"options of IPv4":                         {tcp, p, 0x46},
		"IPv6 that says IPv4":                     {tcp6, p, 0x45},
		"a length that is not the packet's":       {tcp, p + 3, 1},
		"a length that is not the packet's, IPv6": {tcp6, p + 5, 1},
		"another protocol":                        {tcp, p + 9, 17},
		"an extension header":                     {tcp6, p + 6, 0},
		"a TCP header of 16 bytes":                {tcp, p + 20 + 12, 0x40},
	} {
		b := c.packet()
		b[c.at] = c.byte
		if cut, err := cutAll(b); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%s: %v, cut into %d packets", name, err, len(cut))
		}
	}
	whole := tcp
	whole.payload = 0
	for n, b := 0, whole.packet(); n < len(b); n++ {
		if cut, err := cutAll(b[:n]); err == nil {
			t.Errorf("the first %d bytes: cut into %d packets", n, len(cut))
		}
	}
	for name, c := range map[string]struct{ start, offset byte }{
		"a checksum half behind the end of its packet": {20, 29},
		"a checksum in the addresses":                  {12, 6},
	} {
		open := super{from: four, to: four2, payload: 10}.packet()
		open[6], open[8] = c.start, c.offset
		if _, err := tun.Cut(open); err == nil {
			t.Errorf("%s was finished", name)
		}
	}
	if _, err := tun.Cut(append(tcp.packet(), make([]byte, tun.MaxPacket)...)); err == nil {
		t.Error("a packet longer than IP's was cut")
	}
}

func TestAUDPChecksumThatSumsUpToZeroIsNotWrittenAsNone(t *testing.T) {
	for _, s := range []super{
		{from: four, to: four2, udp: true, payload: 4},
		{from: six, to: six2, udp: true, payload: 4, size: 2},
	} {
		b := s.packet()
		cut, err := cutAll(b)
		if err != nil {
			t.Fatal(err)
		}
		// What the checksum still lacks to zero goes into the first bytes of the payload.
		at := len(b) - s.payload
		sum := at - tun.HeaderSize - 2
		lack := append(bytes.Clone(b[at:at+2]), cut[0][sum:sum+2]...)
		binary.BigEndian.PutUint16(b[at:], naive(lack))
		if cut, err = cutAll(b); err != nil {
			t.Fatal(err)
		}
		if got := binary.BigEndian.Uint16(cut[0][sum:]); got != 0xffff {
			t.Errorf("%v: checksum %#x, want 0xffff", s, got)
		}
	}
}

func TestCuttingDoesNotAllocate(t *testing.T) {
	b := super{from: four, to: four2, payload: 60_000, size: 1360}.packet()
	out := make([]byte, tun.MaxPacket)
	if n := testing.AllocsPerRun(10, func() {
		cuts, err := tun.Cut(b)
		if err != nil {
			t.Fatal(err)
		}
		for cuts.Next(out) > 0 {
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzCut(f *testing.F) {
	for _, s := range append(supers(four, four2), supers(six, six2)...) {
		f.Add(s.packet())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		cut, err := cutAll(b)
		if err != nil {
			return
		}
		if err := checkCut(b, cut); err != nil {
			t.Error(err)
		}
	})
}

func BenchmarkCut(b *testing.B) {
	p := super{from: four, to: four2, payload: 60_000, size: 1360}.packet()
	out := make([]byte, tun.MaxPacket)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		cuts, err := tun.Cut(p)
		if err != nil {
			b.Fatal(err)
		}
		for cuts.Next(out) > 0 {
		}
	}
}

// cutAll returns all packets that b stands for.
func cutAll(b []byte) (all [][]byte, err error) {
	cuts, err := tun.Cut(b)
	if err != nil {
		return nil, err
	}
	out := make([]byte, tun.MaxPacket-tun.HeaderSize)
	for n := cuts.Next(out); n > 0; n = cuts.Next(out) {
		all = append(all, bytes.Clone(out[:n]))
	}
	return all, nil
}
