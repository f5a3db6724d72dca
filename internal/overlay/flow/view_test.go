// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/flow"
)

func udp4() packet {
	return packet{
		proto: flow.ProtoUDP, src: lease4[0], dst: lease4[1], hops: 9,
		srcPort: 1, dstPort: 2, payload: []byte("hello"),
	}
}

func udp6() packet {
	k := udp4()
	k.v6, k.src, k.dst = true, lease6[0], lease6[1]
	return k
}

func tcp4() packet {
	k := udp4()
	k.proto, k.options = flow.ProtoTCP, make([]byte, 8)
	return k
}

func ping4() packet {
	k := udp4()
	k.proto, k.icmpType = flow.ProtoICMP, 8
	return k
}

func ping6() packet {
	k := udp6()
	k.proto, k.icmpType = flow.ProtoICMPv6, 128
	return k
}

func withDst(k packet, addr string) packet {
	k.dst = netip.MustParseAddr(addr)
	return k
}

func withSrc(k packet, addr string) packet {
	k.src = netip.MustParseAddr(addr)
	return k
}

// edit returns the packet's bytes after a change that no honest host would make.
func edit(k packet, change func(p []byte)) []byte {
	p := k.bytes()
	change(p)
	return p
}

// put returns the change of one byte.
func put(at int, to uint8) func([]byte) { return func(p []byte) { p[at] = to } }

// views is every way in which Parse answers.
var views = []struct {
	name string
	p    []byte
	want drop.Reason
}{
	{"nothing", nil, drop.Short},
	{"UDP on IPv4", udp4().bytes(), drop.None},
	{"UDP on IPv6", udp6().bytes(), drop.None},
	{"TCP", tcp4().bytes(), drop.None},
	{"echo on IPv4", ping4().bytes(), drop.None},
	{"echo on IPv6", ping6().bytes(), drop.None},
	{"version 5", edit(udp4(), put(0, 0x55)), drop.BadIP},
	{"IPv4 of 19 bytes", udp4().bytes()[:19], drop.Short},
	{"IPv6 of 39 bytes", udp6().bytes()[:39], drop.Short},
	{"header of 16 bytes", edit(udp4(), put(0, 0x44)), drop.BadIP},
	{"header longer than the packet", edit(udp4(), put(0, 0x4f)), drop.BadIP},
	{"options", edit(tcp4(), put(0, 0x46)), drop.IPOptions},
	{"IPv4 with a byte behind it", append(udp4().bytes(), 0), drop.BadIP},
	{"IPv6 with a byte behind it", append(udp6().bytes(), 0), drop.BadIP},
	{"IPv4 that lost a byte", udp4().bytes()[:32], drop.BadIP},
	{"IPv6 that lost a byte", udp6().bytes()[:52], drop.BadIP},
	{"reserved flag", edit(udp4(), put(6, 0x80)), drop.BadIP},
	{"first fragment", edit(udp4(), put(6, 0x20)), drop.Fragment},
	{"last fragment", edit(udp4(), put(7, 0x01)), drop.Fragment},
	{"fragment of IPv6", edit(udp6(), put(6, 44)), drop.Fragment},
	{"hop-by-hop options", edit(udp6(), put(6, 0)), drop.ExtensionHeader},
	{"routing header", edit(udp6(), put(6, 43)), drop.ExtensionHeader},
	{"destination options", edit(udp6(), put(6, 60)), drop.ExtensionHeader},
	{"no next header", edit(udp6(), put(6, 59)), drop.Protocol},
	{"ICMP on IPv6", edit(udp6(), put(6, 1)), drop.Protocol},
	{"ICMPv6 on IPv4", edit(udp4(), put(9, 58)), drop.Protocol},
	{"GRE", edit(udp4(), put(9, 47)), drop.Protocol},
	{"multicast", withDst(udp4(), "224.0.0.251").bytes(), drop.Multicast},
	{"multicast on IPv6", withDst(udp6(), "ff02::2").bytes(), drop.Multicast},
	{"MLD", edit(withDst(udp6(), "ff02::16"), put(6, 0)), drop.Multicast},
	{"broadcast", withDst(udp4(), "255.255.255.255").bytes(), drop.Broadcast},
	{"DHCP", withSrc(withDst(udp4(), "255.255.255.255"), "0.0.0.0").bytes(), drop.Broadcast},
	{"to nobody", withDst(udp4(), "0.0.0.0").bytes(), drop.Martian},
	{"to itself", withDst(udp4(), "127.0.0.1").bytes(), drop.Martian},
	{"to IPv4 inside IPv6", withDst(udp6(), "::ffff:10.0.0.1").bytes(), drop.Martian},
	{"from nobody", withSrc(udp6(), "::").bytes(), drop.Martian},
	{"from itself", withSrc(udp6(), "::1").bytes(), drop.Martian},
	{"from IPv4 inside IPv6", withSrc(udp6(), "::ffff:10.0.0.1").bytes(), drop.Martian},
	{"from a group", withSrc(udp4(), "239.1.1.1").bytes(), drop.Martian},
	{"from everybody", withSrc(udp4(), "255.255.255.255").bytes(), drop.Martian},
	{"UDP length too large", edit(udp4(), put(25, 99)), drop.BadTransport},
	{"UDP length too small", edit(udp4(), put(25, 9)), drop.BadTransport},
	{"UDP of 5 bytes", resize(udp4(), 25), drop.BadTransport},
	{"TCP of 19 bytes", resize(tcp4(), 39), drop.BadTransport},
	{"TCP header of 16 bytes", edit(tcp4(), put(32, 0x40)), drop.BadTransport},
	{"TCP header longer than the packet", edit(tcp4(), put(32, 0xf0)), drop.BadTransport},
	{"ICMP of 7 bytes", resize(ping4(), 27), drop.BadTransport},
	{"ICMPv6 of 7 bytes", resize(ping6(), 47), drop.BadTransport},
}

// resize cuts the packet to n bytes and makes the IP header agree.
func resize(k packet, n int) []byte {
	p := k.bytes()[:n]
	if k.v6 {
		binary.BigEndian.PutUint16(p[4:], uint16(n-40))
	} else {
		binary.BigEndian.PutUint16(p[2:], uint16(n))
	}
	return p
}

func TestEveryBadPacketHasItsReason(t *testing.T) {
	for _, tc := range views {
		var v flow.View
		if got := v.Parse(tc.p); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestAViewSaysWhatThePacketSays(t *testing.T) {
	r := dice(10)
	for range 2000 {
		k := randomPacket(r, 60)
		p := k.bytes()
		var v flow.View
		if why := v.Parse(p); why != drop.None {
			t.Fatalf("parse %x: %v", p, why)
		}
		want := flow.View{
			V6: k.v6, Proto: k.proto, ECN: k.class & 3, DSCP: k.class >> 2, Src: k.src, Dst: k.dst,
			Transport: 20, Payload: len(p) - len(k.payload),
		}
		if k.v6 {
			want.Transport = 40
		}
		switch k.proto {
		case flow.ProtoICMP, flow.ProtoICMPv6:
			want.ICMPType, want.EchoID, want.EchoSeq = k.icmpType, k.echoID, k.echoSeq
		case flow.ProtoTCP:
			want.Seq, want.Ack, want.Flags = k.seq, k.ack, k.flags
			want.Window, want.Urgent = k.window, k.urgent
			fallthrough
		default:
			want.SrcPort, want.DstPort = k.srcPort, k.dstPort
		}
		if v != want {
			t.Fatalf("view %+v\nwant %+v", v, want)
		}
	}
}

func TestOnlyEchoIsElidedOfICMP(t *testing.T) {
	unreachable, odd, six := ping4(), ping4(), ping6()
	unreachable.icmpType, odd.icmpCode, six.icmpType = 3, 1, 135
	for _, k := range []packet{unreachable, odd, six} {
		p := k.bytes()
		var v flow.View
		var c flow.Compact
		r := v.Parse(p)
		if r != drop.None || v.ICMPType != k.icmpType || v.ICMPCode != k.icmpCode {
			t.Errorf("ICMP %d/%d: %v, %+v", k.icmpType, k.icmpCode, r, v)
		}
		if r := c.Elide(&v, p); r != drop.ICMPType {
			t.Errorf("ICMP %d/%d is elided: %v", k.icmpType, k.icmpCode, r)
		}
	}
}

func TestATruncatedPacketIsRefusedAtEveryLength(t *testing.T) {
	for _, k := range []packet{udp4(), udp6(), tcp4(), ping4(), ping6()} {
		p := k.bytes()
		for n := range p {
			var v flow.View
			if v.Parse(p[:n]) == drop.None {
				t.Errorf("%d of %d bytes pass", n, len(p))
			}
		}
	}
}

// Whatever passes Parse can be elided, decoded and rebuilt into a packet that parses the same.
func FuzzViewParse(f *testing.F) {
	for _, tc := range views {
		f.Add(tc.p)
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		var v, w flow.View
		if v.Parse(p) != drop.None {
			return
		}
		v.ChecksumOK(p)
		flow.ClampMSS(p, &v, 1000, false)
		var c, d flow.Compact
		if c.Elide(&v, p) != drop.None {
			return
		}
		frame := append(c.Append(nil), p[v.Payload:]...)
		n, r := d.Decode(frame)
		if r != drop.None || d != c || n != c.Len() {
			t.Fatalf("%+v decodes to %+v: %v", c, d, r)
		}
		q := make([]byte, flow.HeaderLen(&d))
		flow.PutHeaders(q, &d, flow.Ends{v.Src, v.Dst, v.SrcPort, v.DstPort}, len(frame)-n)
		q = append(q, frame[n:]...)
		if r := w.Parse(q); r != drop.None || w != v {
			t.Fatalf("rebuilt %+v: %v, want %+v", w, r, v)
		}
	})
}
