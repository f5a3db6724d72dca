// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"
)

// What the program answers, as the kernel's uapi has it.
const (
	leftAlone = 0xffffffff // TCX_NEXT
	sentOn    = 7          // TC_ACT_REDIRECT
)

// labelRow leads from the first host of a chain to the last.
func labelRow() Row {
	return Row{
		Label: 0xe00006, Next: 0xda0103, Hop: netip.MustParseAddr("10.20.1.2"),
		From: netip.MustParseAddrPort("10.20.0.1:9376"),
		At:   netip.MustParseAddrPort("10.20.0.2:9376"),
		Out:  netip.MustParseAddrPort("10.20.1.1:9376"),
		To:   netip.MustParseAddrPort("10.20.1.2:4711"), Index: 1, MaxBytes: 1452,
	}
}

// table is one in the kernel with one row, or the test is skipped aloud.
func table(t testing.TB) *Table {
	t.Helper()
	if err := ready(); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	tab, err := NewTable()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tab.Close() })
	if err := tab.Set(labelRow()); err != nil {
		t.Fatal(err)
	}
	return tab
}

// sum is the Internet checksum of some bytes (RFC 1071), by the book.
func sum(all ...[]byte) uint16 {
	total := uint32(0)
	for _, b := range all {
		for i, c := range b {
			if i%2 == 0 {
				total += uint32(c) << 8
			} else {
				total += uint32(c)
			}
		}
	}
	for total>>16 != 0 {
		total = total>>16 + total&0xffff
	}
	return ^uint16(total)
}

// datagram is a packet with sums made by the book.
func datagram(from, to netip.AddrPort, ttl byte, summed bool, payload []byte) []byte {
	b := make([]byte, atFrame, atFrame+len(payload))
	b[12], b[atIP], b[atTTL], b[atIP+9] = 8, 0x45, ttl, 17
	b = append(b, payload...)
	udp := b[atUDP:]
	binary.BigEndian.PutUint16(b[atIP+2:], uint16(len(b)-atIP))
	copy(b[atFrom:], from.Addr().AsSlice())
	copy(b[atFrom+4:], to.Addr().AsSlice())
	binary.BigEndian.PutUint16(udp, from.Port())
	binary.BigEndian.PutUint16(udp[2:], to.Port())
	binary.BigEndian.PutUint16(udp[4:], uint16(len(udp)))
	binary.BigEndian.PutUint16(b[atIPSum:], sum(b[atIP:atUDP]))
	if summed {
		binary.BigEndian.PutUint16(b[atSum:],
			sum(b[atFrom:atUDP], []byte{0, 17, udp[4], udp[5]}, udp))
	}
	return b
}

// sealed is a data frame of so many bytes with a label.
func sealed(label uint32, size int, fill byte) []byte {
	b := bytes.Repeat([]byte{fill}, size)
	binary.BigEndian.PutUint32(b, 0x1e<<24|label)
	return b
}

// try runs the program on a packet, which stands for datagrams of segment bytes if that is not 0.
func try(t testing.TB, tab *Table, packet []byte, segment int) (answer uint32, after []byte) {
	t.Helper()
	context := make([]byte, 192)
	if segment > 0 {
		binary.NativeEndian.PutUint32(context[164:], uint32((len(packet)-atFrame)/segment))
		binary.NativeEndian.PutUint32(context[ctxSegment:], uint32(segment))
	}
	after = make([]byte, len(packet)+256)
	o := ebpf.RunOptions{Data: packet, DataOut: after, Context: context, Repeat: 1}
	answer, err := tab.program.Run(&o)
	if err != nil {
		t.Fatalf("run %x: %v", packet, err)
	}
	return answer, o.DataOut
}

func TestAFrameLeavesWithTheNextLabelTheNextAddressesAndRightSums(t *testing.T) {
	tab, r := table(t), labelRow()
	for _, size := range []int{frameMin, 23, 64, 1452} {
		for _, summed := range []bool{true, false} {
			packet := datagram(r.From, r.At, 3, summed, sealed(r.Label, size, 0xab))
			answer, got := try(t, tab, packet, 0)
			want := datagram(r.Out, r.To, timeToLive, summed, sealed(r.Next, size, 0xab))
			if answer != sentOn || !bytes.Equal(got, want) {
				t.Errorf("%d bytes, summed %v: answer %d\ngot  %x\nwant %x",
					size, summed, answer, got, want)
			}
		}
	}
}

func TestEveryDatagramOfASuperPacketGetsTheNextLabel(t *testing.T) {
	tab, r := table(t), labelRow()
	for count := 1; count <= segmentsMax; count++ {
		const size, last = 40, 31
		var in, out []byte
		for i := range count {
			in = append(in, sealed(r.Label, size, byte(i))...)
			out = append(out, sealed(r.Next, size, byte(i))...)
		}
		in = append(in[:len(in)-size], sealed(r.Label, last, 9)...)
		out = append(out[:len(out)-size], sealed(r.Next, last, 9)...)
		answer, got := try(t, tab, datagram(r.From, r.At, 64, false, in), size)
		want := datagram(r.Out, r.To, timeToLive, false, out)
		if answer != sentOn || !bytes.Equal(got, want) {
			t.Fatalf("%d datagrams: answer %d\ngot  %x\nwant %x", count, answer, got, want)
		}
	}
}

func TestWhatNeedsMoreThanALabelStaysWithUserSpace(t *testing.T) {
	tab, r := table(t), labelRow()
	good := func() []byte { return datagram(r.From, r.At, 64, true, sealed(r.Label, 100, 1)) }
	changed := func(at int, value ...byte) []byte {
		b := good()
		copy(b[at:], value)
		return b
	}
	with := func(payload []byte) []byte { return datagram(r.From, r.At, 64, false, payload) }
	other := netip.MustParseAddrPort("10.20.0.9:9376")
	frame := sealed(r.Label, 100, 1)
	moved := netip.AddrPortFrom(r.From.Addr(), 9377)
	mixed := append(sealed(r.Label, 50, 1), sealed(r.Label^1, 50, 1)...)
	guarded := append(sealed(r.Label, 50, 1), sealed(r.Label, 50, 1)...)
	guarded[50] |= 1
	short := bytes.Repeat(sealed(r.Label, frameMin-1, 1), 3)
	many := bytes.Repeat(sealed(r.Label, frameMin, 1), segmentsMax+1)
	for _, c := range []struct {
		what    string
		packet  []byte
		segment int
	}{
		{"another label", with(sealed(r.Label^1, 100, 1)), 0},
		{"a label of nobody", with(sealed(0, 100, 1)), 0},
		{"another neighbour's address", datagram(other, r.At, 64, true, frame), 0},
		{"the neighbour's other port", datagram(moved, r.At, 64, true, frame), 0},
		{"to another address", datagram(r.From, other, 64, true, frame), 0},
		{"a hop MAC", changed(atFrame, 0x11), 0},
		{"a link frame", changed(atFrame, 0x20), 0},
		{"a path handshake", changed(atFrame, 0x70), 0},
		{"a probe of the size", changed(atFrame, 0xd0), 0},
		{"IPv6", changed(12, 0x86, 0xdd), 0},
		{"options of IP", changed(atIP, 0x46), 0},
		{"TCP", changed(atIP+9, 6), 0},
		{"the first fragment", changed(atIP+6, 0x20), 0},
		{"a later fragment", changed(atIP+7, 1), 0},
		{"a length of UDP that is not that of IP", changed(atUDP+4, 0, 90), 0},
		{"a length beyond the packet", func() []byte {
			b := changed(atIP+2, 0, 200)
			copy(b[atUDP+4:], []byte{0, 180})
			return b
		}(), 0},
		{"too short", with(sealed(r.Label, frameMin-1, 1)), 0},
		{"to another station of the cable", changed(0, 2), 0},
		{"datagrams too short", with(short), frameMin - 1},
		{"too long for the next link", with(sealed(r.Label, 1453, 1)), 0},
		{"datagrams too long for the next link", with(sealed(r.Label, 3000, 1)), 1453},
		{"a second datagram with another label", with(mixed), 50},
		{"a second datagram with a hop MAC", with(guarded), 50},
		{"a second datagram of three bytes", with(append(frame, 0x1e, 0xe0, 0)), 100},
		{"too many datagrams", with(many), frameMin},
	} {
		answer, got := try(t, tab, c.packet, c.segment)
		if answer != leftAlone || !bytes.Equal(got, c.packet) {
			t.Errorf("%s: answer %d\ngot %x\nof  %x", c.what, answer, got, c.packet)
		}
	}
	if u, err := tab.Uses(); err != nil || u != (Use{}) {
		t.Errorf("counted %+v, %v", u, err)
	}
	if answer, _ := try(t, tab, good(), 0); answer != sentOn {
		t.Errorf("what all these were made of: answer %d", answer)
	}
}

func TestWhatPassesIsCountedByRow(t *testing.T) {
	tab, r := table(t), labelRow()
	second := r
	second.Label++
	if err := tab.Set(second); err != nil {
		t.Fatal(err)
	}
	both := append(sealed(r.Label, 100, 1), sealed(r.Label, 60, 1)...)
	try(t, tab, datagram(r.From, r.At, 64, false, both), 100)
	try(t, tab, datagram(r.From, r.At, 64, false, sealed(r.Label, 30, 1)), 0)
	try(t, tab, datagram(r.From, r.At, 64, false, sealed(second.Label, 40, 1)), 0)
	for label, want := range map[uint32]Use{
		r.Label: {3, 190, 2}, second.Label: {1, 40, 1}, 5: {},
	} {
		if got, err := tab.Use(label); err != nil || got != want {
			t.Errorf("%06x: %+v, %v; want %+v", label, got, err, want)
		}
	}
}

func TestAfterARowIsTakenAwayUserSpaceHasItsFrames(t *testing.T) {
	tab, r := table(t), labelRow()
	if err := tab.Delete(r.Label); err != nil {
		t.Fatal(err)
	}
	packet := datagram(r.From, r.At, 64, true, sealed(r.Label, 100, 1))
	if answer, got := try(t, tab, packet, 0); answer != leftAlone || !bytes.Equal(got, packet) {
		t.Errorf("answer %d, %x", answer, got)
	}
}

func TestARowOfIPv6IsRefused(t *testing.T) {
	tab, r := table(t), labelRow()
	r.To = netip.MustParseAddrPort("[2001:db8::1]:9376")
	if tab.Set(r) == nil {
		t.Error("accepted")
	}
}

// twin says by the book what becomes of one datagram in a packet of Ethernet.
func twin(packet []byte, r Row) (after []byte, taken bool) {
	f, ok := parse(packet)
	if !ok || f.label != r.Label || f.from != r.From || f.to != r.At ||
		len(f.rest)+4 > r.MaxBytes ||
		binary.BigEndian.Uint16(packet[atIP+2:]) != uint16(len(f.rest)+4+atFrame-atIP) ||
		binary.BigEndian.Uint16(packet[atIP+6:])&0x3fff != 0 {
		return packet, false
	}
	after = bytes.Clone(packet)
	binary.BigEndian.PutUint32(after[atFrame:], uint32(packet[atFrame])<<24|r.Next)
	after[atTTL] = timeToLive
	copy(after[atFrom:], r.Out.Addr().AsSlice())
	copy(after[atFrom+4:], r.To.Addr().AsSlice())
	binary.BigEndian.PutUint16(after[atUDP:], r.Out.Port())
	binary.BigEndian.PutUint16(after[atUDP+2:], r.To.Port())
	return after, true
}

func FuzzTheProgramDoesWhatItsTwinDoes(f *testing.F) {
	tab, r := table(f), labelRow()
	f.Add(datagram(r.From, r.At, 64, true, sealed(r.Label, 100, 1)))
	f.Add(datagram(r.From, r.At, 1, false, sealed(r.Label, frameMin, 0)))
	f.Add(append(datagram(r.From, r.At, 64, true, sealed(r.Label, 30, 1)), 0, 0, 0))
	f.Fuzz(func(t *testing.T, packet []byte) {
		if len(packet) < atFrame || len(packet) > 1514 {
			t.Skip("no packet of Ethernet")
		}
		copy(packet, make([]byte, 12)) // to the loopback, which is where it runs
		answer, got := try(t, tab, packet, 0)
		want, taken := twin(packet, r)
		if (answer == sentOn) != taken || len(got) != len(want) {
			t.Fatalf("answer %d, the twin says %v: %x", answer, taken, packet)
		}
		for _, at := range []int{atIPSum, atSum} { // which are mended, not made
			if taken {
				copy(want[at:at+2], got[at:at+2])
			}
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("\ngot  %x\nwant %x", got, want)
		}
	})
}
