// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"bytes"
	"testing"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/flow"
)

// offloads is every way in which ParseOffload answers.
var offloads = []struct {
	name, hex string
	want      drop.Reason
	o         flow.Offload
}{
	{"plain", "00 00 0000 0000 0000 0000", drop.None, flow.Offload{}},
	{"verified", "02 00 0000 0000 0000 0000", drop.None, flow.Offload{Flags: flow.DataValid}},
	{"TCP on IPv4", "01 01 3400 a805 1400 1000", drop.None, flow.Offload{
		Flags: flow.NeedsChecksum, GSOType: flow.GSOTCPv4, HdrLen: 52, GSOSize: 1448,
		CsumStart: 20, CsumOffset: 16,
	}},
	{"TCP on IPv6 with CWR", "01 84 4800 a805 2800 1000", drop.None, flow.Offload{
		Flags: flow.NeedsChecksum, GSOType: flow.GSOTCPv6 | flow.GSOECN, HdrLen: 72, GSOSize: 1448,
		CsumStart: 40, CsumOffset: 16,
	}},
	{"UDP", "01 05 1c00 b004 1400 0600", drop.None, flow.Offload{
		Flags: flow.NeedsChecksum, GSOType: flow.GSOUDP, HdrLen: 28, GSOSize: 1200,
		CsumStart: 20, CsumOffset: 6,
	}},
	{"UDP fragments", "01 03 1c00 b004 1400 0600", drop.BadOffload, flow.Offload{}},
	{"UDP with CWR", "01 85 1c00 b004 1400 0600", drop.BadOffload, flow.Offload{}},
	{"segments of nothing", "01 01 3400 0000 1400 1000", drop.BadOffload, flow.Offload{}},
	{"segments with a sum", "00 01 3400 a805 1400 1000", drop.BadOffload, flow.Offload{}},
}

func TestOffloadHeadersAreTheseBytes(t *testing.T) {
	for _, tc := range offloads {
		b := unhex(t, tc.hex)
		o, r := flow.ParseOffload(b)
		if r != tc.want || o != tc.o {
			t.Errorf("%s: %+v, %v", tc.name, o, r)
		}
		if r != drop.None {
			continue
		}
		back := make([]byte, flow.OffloadSize)
		if o.Put(back); !bytes.Equal(back, b) {
			t.Errorf("%s: puts %x, want %x", tc.name, back, b)
		}
	}
	for n := range flow.OffloadSize {
		if _, r := flow.ParseOffload(make([]byte, n)); r != drop.Short {
			t.Errorf("%d bytes: %v", n, r)
		}
	}
}

func TestAnOffloadHeaderMustFitItsPacket(t *testing.T) {
	parse := func(k packet) (v flow.View) {
		v.Parse(k.bytes())
		return v
	}
	tcp6 := tcp4()
	tcp6.v6, tcp6.src, tcp6.dst = true, lease6[0], lease6[1]
	sum := func(start, offset uint16) flow.Offload {
		return flow.Offload{Flags: flow.NeedsChecksum, CsumStart: start, CsumOffset: offset}
	}
	cases := []struct {
		name string
		o    flow.Offload
		v    flow.View
		want drop.Reason
	}{
		{"plain echo", flow.Offload{}, parse(ping4()), drop.None},
		{"UDP sum", sum(20, 6), parse(udp4()), drop.None},
		{"TCP sum", sum(40, 16), parse(tcp6), drop.None},
		{"TCP segments", offloads[2].o, parse(tcp4()), drop.None},
		{"TCP segments with CWR", offloads[3].o, parse(tcp6), drop.None},
		{"UDP segments", offloads[4].o, parse(udp4()), drop.None},
		{"sum elsewhere", sum(40, 6), parse(udp4()), drop.BadOffload},
		{"sum of another protocol", sum(20, 16), parse(udp4()), drop.BadOffload},
		{"sum of an echo", sum(20, 2), parse(ping4()), drop.BadOffload},
		{"segments of another protocol", offloads[4].o, parse(tcp4()), drop.BadOffload},
		{"segments of another family", offloads[2].o, parse(tcp6), drop.BadOffload},
		{"segments of an echo", offloads[2].o, parse(ping4()), drop.BadOffload},
	}
	for _, tc := range cases {
		if got := tc.o.Check(&tc.v); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestOnlyASuperPacketHasSegments(t *testing.T) {
	super := flow.Offload{GSOType: flow.GSOUDP, GSOSize: 100}
	for _, tc := range []struct {
		o          flow.Offload
		size, want int
	}{
		{flow.Offload{GSOSize: 100}, 500, 500},
		{super, 500, 100},
		{super, 100, 100},
		{super, 7, 7},
	} {
		if got := tc.o.SegmentSize(tc.size); got != tc.want {
			t.Errorf("%+v of %d bytes: %d, want %d", tc.o, tc.size, got, tc.want)
		}
	}
}

func TestARebuiltPacketLeavesItsChecksumToTheDevice(t *testing.T) {
	for _, tc := range []struct {
		name string
		c    flow.Compact
		segs int
		want flow.Offload
	}{
		{"echo", flow.Compact{Kind: flow.KindEcho}, 1, flow.Offload{}},
		{"one UDP packet", flow.Compact{Kind: flow.KindUDP}, 1, flow.Offload{
			Flags: flow.NeedsChecksum, CsumStart: 20, CsumOffset: 6,
		}},
		{
			"one TCP packet with CWR",
			flow.Compact{Kind: flow.KindFull, V6: true, Flags: flow.FlagCWR},
			1,
			flow.Offload{Flags: flow.NeedsChecksum, CsumStart: 40, CsumOffset: 16},
		},
		{
			"many with CWR",
			flow.Compact{Kind: flow.KindTCP, V6: true, Flags: flow.FlagCWR},
			3,
			flow.Offload{
				Flags: flow.NeedsChecksum, GSOType: flow.GSOTCPv6 | flow.GSOECN, HdrLen: 60,
				GSOSize: 100, CsumStart: 40, CsumOffset: 16,
			},
		},
		{"many UDP packets", flow.Compact{Kind: flow.KindUDP, V6: true}, 3, flow.Offload{
			Flags: flow.NeedsChecksum, GSOType: flow.GSOUDP, HdrLen: 48, GSOSize: 100,
			CsumStart: 40, CsumOffset: 6,
		}},
	} {
		if got := flow.RebuildOffload(&tc.c, 100*tc.segs, 100, tc.segs); got != tc.want {
			t.Errorf("%s: %+v, want %+v", tc.name, got, tc.want)
		}
	}
}

func FuzzParseOffload(f *testing.F) {
	for _, tc := range offloads {
		f.Add(unhex(f, tc.hex))
		f.Add(unhex(f, tc.hex)[:flow.OffloadSize-1])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		o, r := flow.ParseOffload(b)
		if r != drop.None {
			return
		}
		back := make([]byte, flow.OffloadSize)
		if o.Put(back); !bytes.Equal(back, b[:flow.OffloadSize]) {
			t.Fatalf("%x puts %x", b, back)
		}
		if o.SegmentSize(3000) < 1 {
			t.Fatalf("%+v has empty segments", o)
		}
	})
}
