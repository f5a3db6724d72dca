// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/flow"
)

// long is a datagram of some payload bytes that a host would have to cut.
func long(v6 bool, id uint16, payload int) packet {
	k := packet{
		v6: v6, id: id, noDF: true, hops: 64, proto: flow.ProtoUDP, srcPort: 4000, dstPort: 161,
		src: netip.MustParseAddr("10.83.0.1"), dst: netip.MustParseAddr("10.83.0.2"),
		payload: randomBytes(dice(uint64(id)), payload),
	}
	if v6 {
		k.src, k.dst = netip.MustParseAddr("200::1"), netip.MustParseAddr("200::2")
	}
	return k
}

// cut is what a host makes of a packet on a device with an MTU, the slow and obvious way.
func cut(p []byte, id uint32, mtu int) [][]byte {
	header, extra := 20, 0
	if p[0]>>4 == 6 {
		header, extra = 40, 8
	}
	step := (mtu - header - extra) / 8 * 8
	var all [][]byte
	for o := 0; o < len(p)-header; o += step {
		data := p[header+o : min(header+o+step, len(p))]
		more := header+o+step < len(p)
		all = append(all, one(p[:header], id, o, more, data))
	}
	return all
}

// one is a single fragment.
func one(header []byte, id uint32, offset int, more bool, data []byte) []byte {
	f := bytes.Clone(header)
	bit := map[bool]uint16{true: 1}[more]
	if f[0]>>4 == 6 {
		binary.BigEndian.PutUint16(f[4:], uint16(8+len(data)))
		f = append(f, f[6], 0)
		f[6] = 44
		f = binary.BigEndian.AppendUint16(f, uint16(offset)|bit)
		f = binary.BigEndian.AppendUint32(f, id)
		return append(f, data...)
	}
	binary.BigEndian.PutUint16(f[2:], uint16(20+len(data)))
	binary.BigEndian.PutUint16(f[4:], uint16(id))
	binary.BigEndian.PutUint16(f[6:], bit<<13|uint16(offset/8))
	copy(f[10:], []byte{0, 0})
	binary.BigEndian.PutUint16(f[10:], ^naiveSum(f[:20]))
	return append(f, data...)
}

// give feeds a fragment and returns the packet it completed and what it cost.
func give(t *testing.T, all *flow.Fragments, now time.Duration, p []byte) (string, int) {
	t.Helper()
	f, ok, r := flow.ParseFragment(p)
	if !ok || r != drop.None {
		t.Fatalf("%x: a fragment: %v, %v", p[:min(len(p), 40)], ok, r)
	}
	whole, lost := all.Add(now, &f)
	clear(p) // what was kept must be a copy
	if whole == nil {
		return "", lost
	}
	if !bytes.Equal(whole[:flow.OffloadSize], make([]byte, flow.OffloadSize)) {
		t.Errorf("offload header % x", whole[:flow.OffloadSize])
	}
	return string(whole[flow.OffloadSize:]), lost
}

func TestFragmentsBecomeTheirPacketInAnyOrder(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		for _, size := range []int{1300, 2000, 5000, 65400} {
			p := long(v6, 7, size).bytes()
			for order := range 4 {
				pieces := cut(p, 7, 1280)
				switch order {
				case 1:
					slices.Reverse(pieces)
				case 2, 3:
					dice(uint64(order)).Shuffle(len(pieces), func(i, j int) {
						pieces[i], pieces[j] = pieces[j], pieces[i]
					})
				}
				var all flow.Fragments
				for i, f := range pieces {
					got, lost := give(t, &all, 0, f)
					want := ""
					if i == len(pieces)-1 {
						want = string(p)
					}
					if got != want || lost != 0 {
						t.Fatalf("v6 %v, %d bytes, order %d, fragment %d of %d: %d bytes came, "+
							"%d lost", v6, size, order, i, len(pieces), len(got), lost)
					}
				}
			}
		}
	}
}

func TestAPacketOfFragmentsIsReadLikeAnyOther(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		var all flow.Fragments
		var whole string
		for _, f := range cut(long(v6, 9, 3000).bytes(), 9, 1280) {
			whole, _ = give(t, &all, 0, f)
		}
		var v flow.View
		if r := v.Parse([]byte(whole)); r != drop.None || !v.ChecksumOK([]byte(whole)) {
			t.Errorf("v6 %v: %v, or a wrong checksum", v6, r)
		}
	}
}

func TestPacketsThatAreNoFragmentsAreLeftAlone(t *testing.T) {
	options := long(false, 1, 10).bytes()
	options[0] = 0x46
	for name, p := range map[string][]byte{
		"whole v4": long(false, 1, 10).bytes(), "whole v6": long(true, 1, 10).bytes(),
		"options": options, "nothing": {}, "noise": {0x99, 1, 2}, "half a header": {0x45, 0, 0},
	} {
		if _, ok, r := flow.ParseFragment(p); ok || r != drop.None {
			t.Errorf("%s: %v, %v", name, ok, r)
		}
	}
}

func TestImpossibleFragmentsAreRefused(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		head := long(v6, 1, 0).bytes()[:map[bool]int{false: 20, true: 40}[v6]]
		short := one(head, 1, 0, true, make([]byte, 16))
		for name, c := range map[string]struct {
			p    []byte
			want drop.Reason
		}{
			"uneven, and more": {one(head, 1, 0, true, make([]byte, 9)), drop.Fragment},
			"empty":            {one(head, 1, 8, false, nil), drop.Fragment},
			"past the end":     {one(head, 1, 65528, false, make([]byte, 8)), drop.Fragment},
			"wrong length":     {short[:len(short)-1], drop.BadIP},
		} {
			if _, ok, r := flow.ParseFragment(c.p); !ok || r != c.want {
				t.Errorf("v6 %v, %s: %v, %v", v6, name, ok, r)
			}
		}
	}
	wrong := one(long(false, 1, 0).bytes()[:20], 1, 0, true, make([]byte, 16))
	wrong[10] ^= 1
	if _, ok, r := flow.ParseFragment(wrong); !ok || r != drop.BadIP {
		t.Errorf("wrong checksum: %v, %v", ok, r)
	}
}

func TestFragmentsThatOverlapOrContradictCostTheirPacket(t *testing.T) {
	type f struct {
		offset int
		more   bool
		size   int
	}
	for name, c := range map[string][]f{
		"twice the same":           {{0, true, 16}, {0, true, 16}},
		"overlap by one unit":      {{0, true, 16}, {8, true, 16}},
		"inside another":           {{0, true, 32}, {8, true, 8}},
		"around another":           {{8, true, 8}, {0, true, 32}},
		"second last":              {{16, false, 8}, {24, false, 8}},
		"behind the last":          {{16, false, 8}, {24, true, 8}},
		"last before what is here": {{32, true, 8}, {16, false, 8}},
	} {
		var all flow.Fragments
		head := long(false, 1, 0).bytes()[:20]
		for i, x := range c {
			got, lost := give(t, &all, 0, one(head, 1, x.offset, x.more, make([]byte, x.size)))
			if want := i * len(c); got != "" || lost != want {
				t.Errorf("%s: fragment %d gave %d bytes and cost %d, want %d", name, i, len(got),
					lost, want)
			}
		}
		// Nothing is left of it: the same packet may come again, whole.
		give(t, &all, 0, one(head, 1, 0, true, make([]byte, 8)))
		if got, _ := give(t, &all, 0, one(head, 1, 8, false, []byte("x"))); len(got) != 29 {
			t.Errorf("%s: the packet after it has %d bytes", name, len(got))
		}
	}
}

func TestFragmentsOfDifferentPacketsDoNotMix(t *testing.T) {
	other := long(false, 1, 1300)
	other.dst = netip.MustParseAddr("10.83.0.3")
	packets := [][]byte{
		long(false, 1, 1300).bytes(), long(false, 2, 1300).bytes(), other.bytes(),
		long(true, 1, 1300).bytes(),
	}
	var all flow.Fragments
	for i, p := range packets {
		give(t, &all, 0, cut(p, uint32(1+i%2), 1280)[0])
	}
	for i, p := range packets {
		if got, lost := give(t, &all, 0, cut(p, uint32(1+i%2), 1280)[1]); got != string(p) ||
			lost != 0 {
			t.Errorf("packet %d came as %d bytes, want %d; %d lost", i, len(got), len(p), lost)
		}
	}
}

func TestLateFragmentsAreTooLate(t *testing.T) {
	for _, c := range []struct {
		after time.Duration
		ok    bool
		lost  int
	}{{flow.MaxFragmentAge, true, 0}, {flow.MaxFragmentAge + 1, false, 1}} {
		var all flow.Fragments
		pieces := cut(long(false, 3, 1300).bytes(), 3, 1280)
		give(t, &all, time.Hour, pieces[0])
		got, lost := give(t, &all, time.Hour+c.after, pieces[1])
		if (got != "") != c.ok || lost != c.lost {
			t.Errorf("after %v: %d bytes, %d lost", c.after, len(got), lost)
		}
	}
}

func TestTheNinthIncompletePacketCostsTheFirst(t *testing.T) {
	var all flow.Fragments
	for id := range uint32(flow.MaxFragmented + 1) {
		want := int(id) / flow.MaxFragmented
		first := cut(long(false, 1, 1300).bytes(), id, 1280)[0]
		if _, lost := give(t, &all, 0, first); lost != want {
			t.Errorf("packet %d cost %d", id, lost)
		}
	}
	for _, id := range []uint32{1, 0} {
		got, _ := give(t, &all, 0, cut(long(false, 1, 1300).bytes(), id, 1280)[1])
		if (got != "") != (id == 1) {
			t.Errorf("packet %d: %d bytes", id, len(got))
		}
	}
}

func TestFragmentsNeverHoldMoreThanTheirBound(t *testing.T) {
	var all flow.Fragments
	head := long(false, 1, 0).bytes()[:20]
	total := 0
	for i := range 500 {
		id, offset := uint32(i%5), 8*1000*(i/5)%60000
		_, lost := give(t, &all, 0, one(head, id, offset, true, make([]byte, 1000)))
		total += 1 - lost
		if total*1000 > flow.MaxFragmentedBytes || total < 0 {
			t.Fatalf("after %d fragments %d of 1,000 bytes are held", i, total)
		}
	}
}

func TestARouterMayCutAPacketThatWasCutBefore(t *testing.T) {
	k := long(false, 0, 3000)
	k.noDF = false
	p := k.bytes()
	flow.AllowFragments(p, 77)
	k.noDF, k.id = true, 77
	if !bytes.Equal(p, k.bytes()) {
		t.Errorf("header % x, want % x", p[:20], k.bytes()[:20])
	}
	six := long(true, 0, 3000).bytes()
	same := bytes.Clone(six)
	if flow.AllowFragments(six, 77); !bytes.Equal(six, same) {
		t.Error("an IPv6 packet was changed")
	}
}

func TestAPacketIsCutAsAHostCutsIt(t *testing.T) {
	for _, size := range []int{0, 1, 1180, 1185, 1300, 9000, 65400} {
		p := long(true, 3, size).bytes()
		want := cut(p, 99, 1280)
		got := flow.CutIPv6(nil, p, 1280, 99)
		if len(got) != len(want) {
			t.Fatalf("%d bytes: %d fragments, want %d", size, len(got), len(want))
		}
		for i := range want {
			if !bytes.Equal(got[i], append(make([]byte, flow.OffloadSize), want[i]...)) {
				t.Errorf("%d bytes, fragment %d: % x...", size, i, got[i][:60])
			}
		}
	}
}

func FuzzFragments(f *testing.F) {
	for _, v6 := range []bool{false, true} {
		for i, p := range cut(long(v6, 1, 2600).bytes(), 1, 1280) {
			f.Add(p, p, uint16(i))
		}
		two := cut(long(v6, 1, 1300).bytes(), 1, 1280)
		f.Add(two[0], two[1], uint16(1))
		f.Add(two[1], two[0], uint16(2000))
		f.Add(two[0][:len(two[0])-1], two[1], uint16(0))
	}
	f.Add([]byte{}, []byte{0x45}, uint16(0))
	f.Fuzz(func(t *testing.T, a, b []byte, ms uint16) {
		var all flow.Fragments
		for i, p := range [][]byte{a, b} {
			x, ok, r := flow.ParseFragment(p)
			if !ok || r != drop.None {
				continue
			}
			now := time.Duration(i) * time.Duration(ms) * time.Millisecond
			whole, lost := all.Add(now, &x)
			if lost < 0 || lost > 2 || len(whole) > flow.OffloadSize+flow.MaxFragmentedBytes {
				t.Fatalf("%d bytes, %d lost", len(whole), lost)
			}
			if whole == nil {
				continue
			}
			if _, again, _ := flow.ParseFragment(whole[flow.OffloadSize:]); again && p[0]>>4 == 4 {
				t.Fatalf("still a fragment: %x", whole)
			}
		}
	})
}
