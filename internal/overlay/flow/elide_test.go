// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/flow"
)

// elide parses p and returns its header and payload as a frame would carry them.
func elide(t *testing.T, p []byte, mark func(*flow.Compact)) []byte {
	t.Helper()
	var v flow.View
	if r := v.Parse(p); r != drop.None {
		t.Fatalf("parse %x: %v", p, r)
	}
	if !v.ChecksumOK(p) {
		t.Fatalf("checksum of %x is said to be wrong", p)
	}
	var c flow.Compact
	if r := c.Elide(&v, p); r != drop.None {
		t.Fatalf("elide %x: %v", p, r)
	}
	if c.Kind != flow.KindEcho {
		mark(&c)
	}
	return append(c.Append(nil), p[v.Payload:]...)
}

// rebuild makes a whole packet of a plaintext, checksums completed in software.
func rebuild(t *testing.T, plain []byte, e flow.Ends) []byte {
	t.Helper()
	var c flow.Compact
	n, r := c.Decode(plain)
	if r != drop.None {
		t.Fatalf("decode %x: %v", plain, r)
	}
	payload := plain[n:]
	p := bytes.Repeat([]byte{0xee}, flow.HeaderLen(&c)) // old bytes must not shine through
	flow.PutHeaders(p, &c, e, len(payload))
	p = append(p, payload...)
	if c.Kind == flow.KindEcho {
		flow.PutEcho(p)
	} else {
		flow.FinishChecksum(p)
	}
	return p
}

func TestARebuiltPacketIsTheOneThatWasElided(t *testing.T) {
	r := dice(1)
	for range 5000 {
		k := randomPacket(r, 200)
		src, dst := lease4[1], lease4[0]
		if k.v6 {
			src, dst = lease6[1], lease6[0]
		}
		slot := uint8(r.Uint32())
		plain := elide(t, k.bytes(), func(c *flow.Compact) {
			c.Slot, c.Announce = slot, slot == flow.NoSlot || r.IntN(2) == 0
			if c.Announce {
				c.Target, c.Port = uint8(r.Uint32()), k.srcPort
			}
			if c.Announce && c.Target == flow.AnyTarget {
				c.Slot, c.Peer = flow.NoSlot, k.dstPort
			}
		})
		got := rebuild(t, plain, flow.Ends{
			Src: src, Dst: dst, SrcPort: k.srcPort, DstPort: k.dstPort,
		})
		if want := k.arrives(src, dst).bytes(); !bytes.Equal(got, want) {
			t.Fatalf("packet %+v\nrebuilt %x\nwant    %x", k, got, want)
		}
	}
}

// segments cuts the super-packet k as a device would, one packet per size bytes of payload.
func segments(k packet, size int) []packet {
	var all []packet
	n := (len(k.payload) + size - 1) / size
	for i := range n {
		s := k
		s.payload = k.payload[i*size : min((i+1)*size, len(k.payload))]
		s.flags = flow.SegmentFlags(k.flags, i, n)
		s.seq += uint32(i * size)
		all = append(all, s)
	}
	return all
}

func TestASuperPacketThatIsCutAndJoinedIsTheSame(t *testing.T) {
	r := dice(2)
	for range 2000 {
		k := randomPacket(r, 3000)
		k.payload = append(k.payload, 1)
		if k.proto != flow.ProtoUDP {
			k.proto = flow.ProtoTCP
		}
		k.flags &^= flow.FlagSYN | flow.FlagRST | flow.FlagURG
		k.urgent, k.noChecksum = 0, false
		size := 100 + r.IntN(900)
		var super flow.Compact
		var payload []byte
		parts := segments(k, size)
		for i, s := range parts {
			plain := elide(t, s.bytes(), func(c *flow.Compact) { c.Slot = 3 })
			var c flow.Compact
			n, _ := c.Decode(plain)
			if i == 0 {
				super = c
			} else if !super.Join(&c, len(payload)) {
				t.Fatalf("segment %d of %+v does not join", i, k)
			}
			payload = append(payload, plain[n:]...)
		}
		o := flow.RebuildOffload(&super, len(payload), size, len(parts))
		if (o.GSOType != flow.GSONone) != (len(parts) > 1) {
			t.Fatalf("%d segments give offload %+v", len(parts), o)
		}
		p := make([]byte, flow.HeaderLen(&super))
		flow.PutHeaders(p, &super, flow.Ends{k.src, k.dst, k.srcPort, k.dstPort}, len(payload))
		p = append(p, payload...)
		checkSuper(t, k, p, o)
	}
}

// checkSuper compares the super-packet p with k, and cuts it again by what its offload header
// says.
func checkSuper(t *testing.T, k packet, p []byte, o flow.Offload) {
	t.Helper()
	var v flow.View
	if r := v.Parse(p); r != drop.None {
		t.Fatalf("parse of rebuilt super-packet: %v", r)
	}
	if r := o.Check(&v); r != drop.None || !o.Partial() || !o.Vouched() {
		t.Fatalf("offload %+v does not fit: %v", o, r)
	}
	if int(o.HdrLen) != v.Payload && o.GSOType != flow.GSONone {
		t.Fatalf("header length %d, want %d", o.HdrLen, v.Payload)
	}
	flow.FinishChecksum(p)
	if want := k.arrives(k.src, k.dst).bytes(); !bytes.Equal(p, want) {
		t.Fatalf("rebuilt %x\nwant    %x", p, want)
	}
}

func TestPacketsOfAnotherKindOrOrderDoNotJoin(t *testing.T) {
	base := flow.Compact{
		Kind: flow.KindTCP, Slot: 1, Seq: 1000, Ack: 5, Window: 9, Flags: flow.FlagACK,
		OptLen: 4, Options: [40]byte{1, 1, 1, 1},
	}
	next := base
	next.Seq = 1100
	cases := []struct {
		name       string
		head, tail func(*flow.Compact)
		joins      bool
	}{
		{"the following segment", nil, nil, true},
		{"one that closes", nil, func(c *flow.Compact) { c.Flags |= flow.FlagPSH }, true},
		{"one after CWR", func(c *flow.Compact) { c.Flags |= flow.FlagCWR }, nil, true},
		{"CWR in the middle", nil, func(c *flow.Compact) { c.Flags |= flow.FlagCWR }, false},
		{"after PSH", func(c *flow.Compact) { c.Flags |= flow.FlagPSH }, nil, false},
		{"after FIN", func(c *flow.Compact) { c.Flags |= flow.FlagFIN }, nil, false},
		{"a SYN", nil, func(c *flow.Compact) { c.Flags |= flow.FlagSYN }, false},
		{"after a SYN", func(c *flow.Compact) { c.Flags |= flow.FlagSYN }, nil, false},
		{"another ECE", nil, func(c *flow.Compact) { c.Flags |= flow.FlagECE }, false},
		{"a gap", nil, func(c *flow.Compact) { c.Seq++ }, false},
		{"another ack", nil, func(c *flow.Compact) { c.Ack++ }, false},
		{"another window", nil, func(c *flow.Compact) { c.Window++ }, false},
		{"another option", nil, func(c *flow.Compact) { c.Options[3]++ }, false},
		{"other option length", nil, func(c *flow.Compact) { c.OptLen = 0 }, false},
		{"one of the flow named otherwise", nil, func(c *flow.Compact) { c.Announce = true }, true},
		{"another ECN", nil, func(c *flow.Compact) { c.ECN++ }, false},
		{"another DSCP", nil, func(c *flow.Compact) { c.DSCP++ }, false},
		{"another family", nil, func(c *flow.Compact) { c.V6 = true }, false},
		{"another kind", nil, func(c *flow.Compact) { c.Kind = flow.KindUDP }, false},
	}
	for _, tc := range cases {
		a, b := base, next
		if tc.head != nil {
			tc.head(&a)
		}
		if tc.tail != nil {
			tc.tail(&b)
		}
		before := a
		if got := a.Join(&b, 100); got != tc.joins {
			t.Errorf("%s: joins = %v", tc.name, got)
		}
		if want := before.Flags | b.Flags; tc.joins && a.Flags != want {
			t.Errorf("%s: flags %x, want %x", tc.name, a.Flags, want)
		} else if !tc.joins && a != before {
			t.Errorf("%s: changed what it did not join", tc.name)
		}
	}
	echo := flow.Compact{Kind: flow.KindEcho}
	if other := echo; echo.Join(&other, 1) {
		t.Error("two echoes join")
	}
}

func TestAnEchoRequestBecomesItsReplyInPlace(t *testing.T) {
	r := dice(3)
	for range 200 {
		k := randomPacket(r, 99)
		k.proto, k.icmpType = flow.ProtoICMP, 8
		if k.v6 {
			k.proto, k.icmpType = flow.ProtoICMPv6, 128
		}
		p := k.arrives(k.src, k.dst).bytes()
		flow.EchoReply(p)
		k.icmpType = map[uint8]uint8{8: 0, 128: 129}[k.icmpType]
		if want := k.arrives(k.dst, k.src).bytes(); !bytes.Equal(p, want) {
			t.Fatalf("reply %x\nwant  %x", p, want)
		}
	}
}

func TestADamagedPacketIsRecognised(t *testing.T) {
	r := dice(4)
	for range 3000 {
		k := randomPacket(r, 40)
		p := k.bytes()
		var v flow.View
		v.Parse(p)
		from := v.Transport
		if !k.v6 && r.IntN(3) == 0 { // identification or hop limit: the IPv4 header's own sum
			from = 4
			p[from+r.IntN(2)] ^= 1 << r.IntN(8)
		} else {
			if k.noChecksum {
				continue
			}
			i := from + r.IntN(len(p)-from)
			p[i] ^= 1 << r.IntN(8)
		}
		before := v
		if v.Parse(p) != drop.None {
			continue // damaged so that it is not even a packet
		}
		if k.proto == flow.ProtoUDP && !k.v6 && binary.BigEndian.Uint16(p[26:]) == 0 {
			continue // damaged into "no checksum"
		}
		if v.ChecksumOK(p) {
			t.Fatalf("damaged packet passes: %x, view before %+v", p, before)
		}
	}
}

func TestAZeroUDPChecksumIsGoodOnIPv4Only(t *testing.T) {
	k := packet{proto: flow.ProtoUDP, noChecksum: true, src: lease4[0], dst: lease4[1]}
	var v flow.View
	if p := k.bytes(); v.Parse(p) != drop.None || !v.ChecksumOK(p) {
		t.Error("refused on IPv4")
	}
	k.v6, k.src, k.dst = true, lease6[0], lease6[1]
	if p := k.bytes(); v.Parse(p) != drop.None || v.ChecksumOK(p) {
		t.Error("accepted on IPv6")
	}
}

// A UDP packet whose sum comes out as zero must carry ffff (RFC 768).
func TestAComputedUDPChecksumIsNeverZero(t *testing.T) {
	k := packet{proto: flow.ProtoUDP, src: lease4[0], dst: lease4[1], payload: []byte{0, 0}}
	plainSum := binary.BigEndian.Uint16(k.bytes()[26:])
	binary.BigEndian.PutUint16(k.payload, plainSum)
	p := k.bytes()
	plain := elide(t, p, func(*flow.Compact) {})
	got := rebuild(t, plain, flow.Ends{Src: k.src, Dst: k.dst})
	if sum := binary.BigEndian.Uint16(got[26:]); sum != 0xffff {
		t.Errorf("checksum %04x, want ffff", sum)
	}
}

func TestNothingIsAllocatedPerPacket(t *testing.T) {
	r := dice(5)
	frame, out := make([]byte, 0, 2048), make([]byte, 2048)
	for range 200 {
		k := randomPacket(r, 500)
		p := k.bytes()
		e := flow.Ends{Src: k.src, Dst: k.dst, SrcPort: k.srcPort, DstPort: k.dstPort}
		if n := testing.AllocsPerRun(20, func() { there(p, frame, out, e) }); n != 0 {
			t.Fatalf("%v allocations for %+v", n, k)
		}
	}
}

// there takes p through every step of both ends.
func there(p, frame, out []byte, e flow.Ends) []byte {
	var v flow.View
	var c, d flow.Compact
	head := out[:flow.OffloadSize]
	flow.Offload{}.Put(head)
	o, _ := flow.ParseOffload(head)
	if v.Parse(p) != drop.None || o.Check(&v) != drop.None || !v.ChecksumOK(p) {
		return nil
	}
	flow.ClampMSS(p, &v, 1200, o.Partial())
	c.Elide(&v, p)
	frame = append(c.Append(frame), p[v.Payload:]...)
	n, _ := d.Decode(frame)
	payload := frame[n:]
	flow.RebuildOffload(&d, len(payload), len(payload), 1).Put(head)
	flow.PutHeaders(out, &d, e, len(payload))
	q := append(out[:flow.HeaderLen(&d)], payload...)
	if d.Kind == flow.KindEcho {
		flow.PutEcho(q)
	} else {
		flow.FinishChecksum(q)
	}
	return q
}

func BenchmarkElideTCP(b *testing.B) {
	k := packet{
		proto: flow.ProtoTCP, src: lease4[0], dst: lease4[1], flags: flow.FlagACK,
		options: make([]byte, 12), payload: make([]byte, 1300),
	}
	p := k.bytes()
	frame := make([]byte, 0, 2048)
	var v flow.View
	var c flow.Compact
	for b.Loop() {
		v.Parse(p)
		c.Elide(&v, p)
		frame = c.Append(frame[:0])
	}
}

func BenchmarkRebuildTCP(b *testing.B) {
	c := flow.Compact{Kind: flow.KindTCP, OptLen: 12, Flags: flow.FlagACK}
	frame := c.Append(nil)
	out := make([]byte, 128)
	e := flow.Ends{Src: lease4[0], Dst: lease4[1]}
	for b.Loop() {
		c.Decode(frame)
		flow.PutHeaders(out, &c, e, 1300)
	}
}

func BenchmarkChecksum1300(b *testing.B) {
	k := packet{
		proto: flow.ProtoTCP, src: lease4[0], dst: lease4[1], payload: make([]byte, 1300),
	}
	p := k.bytes()
	var v flow.View
	v.Parse(p)
	b.SetBytes(1300)
	for b.Loop() {
		v.ChecksumOK(p)
	}
}
