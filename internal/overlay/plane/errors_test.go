// SPDX-License-Identifier: Apache-2.0

package plane

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/flow"
)

// lanRouter is a real address: nobody beyond the tunnel may learn it.
var lanRouter = [2]netip.Addr{
	netip.MustParseAddr("192.168.1.254"), netip.MustParseAddr("fd00:1::254"),
}

// complain is an ICMP error from a router about a packet that was delivered, behind an offload
// header. It quotes all of the packet.
func complain(code flow.ErrorCode, about []byte, mtu uint16, from [2]netip.Addr) []byte {
	quote := about[flow.OffloadSize:]
	var v flow.View
	v.Parse(quote)
	c := flow.Compact{
		Kind: flow.KindError, V6: v.V6, Error: code, OfTCP: v.Proto == flow.ProtoTCP, MTU: mtu,
		Seq: v.Seq,
	}
	e := flow.Ends{Src: v.Dst, Dst: v.Src, SrcPort: v.DstPort, DstPort: v.SrcPort}
	p := flow.AppendError(make([]byte, flow.OffloadSize), &c, e)
	ip, src := p[flow.OffloadSize:], from[family(v.V6)].AsSlice()
	if v.V6 {
		copy(ip[8:], src)
		flow.PutEcho(ip)
	} else {
		clear(ip[10:12])
		copy(ip[12:], src)
		var sum uint32
		for i := 0; i < 20; i += 2 {
			sum += uint32(ip[i])<<8 | uint32(ip[i+1])
		}
		sum = sum>>16 + sum&0xffff
		ip[10], ip[11] = ^uint8(sum>>8), ^uint8(sum)
	}
	return p
}

// quoteOf reads an error that arrived.
func quoteOf(t *testing.T, p []byte) (flow.View, flow.Quote) {
	t.Helper()
	ip := p[flow.OffloadSize:]
	var v flow.View
	var q flow.Quote
	if r := v.Parse(ip); r != drop.None || !v.IsError() || !v.ChecksumOK(ip) {
		t.Fatalf("%v, an error: %v: %x", r, v.IsError(), p)
	}
	if r := q.Parse(&v, ip); r != drop.None {
		t.Fatal(r)
	}
	return v, q
}

func TestAnErrorAboutAFlowReachesItsEndUnderTheAddressesThere(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		for _, proto := range []uint8{flow.ProtoUDP, flow.ProtoTCP} {
			r := newRig()
			c, port := flow.Compact{Kind: flow.KindUDP, V6: v6}, uint16(161)
			if proto == flow.ProtoTCP {
				c, port = tcp(v6, flow.FlagSYN), 80
			}
			for range 2 { // announced, then by its slot
				arrived := r.send(t, r.client, r.server, packet(c, request(v6, port), nil, 0))
				if len(arrived) != 1 {
					t.Fatalf("%d packets arrived", len(arrived))
				}
				p := complain(flow.ErrorPort, arrived[0], 0, lanRouter)
				got := r.send(t, r.server, r.client, p)
				if len(got) != 1 {
					t.Fatalf("%d errors arrived", len(got))
				}
				for _, secret := range [][2]netip.Addr{lanRouter, serverInner, clientLease} {
					if bytes.Contains(got[0], secret[family(v6)].AsSlice()) {
						t.Errorf("the client learns %v", secret[family(v6)])
					}
				}
				v, q := quoteOf(t, got[0])
				e := request(v6, port)
				want := flow.Quote{
					Code: flow.ErrorPort, V6: v6, Proto: proto, Src: e.Src, Dst: e.Dst,
					SrcPort: e.SrcPort, DstPort: e.DstPort, Seq: c.Seq,
				}
				if q != want || v.Src != e.Dst || v.Dst != e.Src {
					t.Errorf("from %v to %v: %+v\nwant %+v", v.Src, v.Dst, q, want)
				}
			}
		}
	}
}

func TestAClientSaysOfAnAnswerThatNobodyWaitsForIt(t *testing.T) {
	r := newRig()
	r.send(t, r.client, r.server, datagram(request(false, 161), "?"))
	late := r.send(t, r.server, r.client, datagram(answer(false, 161), "late"))
	got := r.send(t, r.client, r.server, complain(flow.ErrorPort, late[0], 0, clientInner))
	if len(got) != 1 {
		t.Fatalf("%d errors arrived", len(got))
	}
	e := answer(false, 161)
	if _, q := quoteOf(t, got[0]); q.Src != e.Src || q.DstPort != e.DstPort || q.SrcPort != 161 {
		t.Errorf("%+v", q)
	}
}

func TestAClientSaysNothingOfAnAnswerToNoQuestion(t *testing.T) {
	r := newRig()
	e := flow.Ends{Src: serverLease[0], Dst: clientInner[0], SrcPort: 161, DstPort: 9}
	uninvited := packet(flow.Compact{Kind: flow.KindUDP}, e, nil, 0)
	r.client.out.Outbound(r.now, complain(flow.ErrorPort, uninvited, 0, clientInner))
	if len(r.client.out.Runs) != 0 || r.client.out.C.Drops[drop.NoFlow].Load() != 1 {
		t.Error("not dropped as no-flow")
	}
}

func TestWhatFitsBehindTheServerIsToldToTheClient(t *testing.T) {
	r := newRig()
	arrived := r.send(t, r.client, r.server, packet(tcp(false, flow.FlagACK), request(false, 80),
		make([]byte, 1300), 0))
	got := r.send(t, r.server, r.client, complain(flow.ErrorTooBig, arrived[0], 1006, lanRouter))
	if len(got) != 1 {
		t.Fatalf("%d errors arrived", len(got))
	}
	if _, q := quoteOf(t, got[0]); q.Code != flow.ErrorTooBig || q.MTU != 1006 {
		t.Errorf("%+v", q)
	}
}

// Every error that must not cross, and the one reason for it.
func TestErrorsThatBelongToNoFlowAreDroppedForOneNamedReason(t *testing.T) {
	udp := flow.Compact{Kind: flow.KindUDP}
	to := func(port, from uint16) []byte {
		e := flow.Ends{
			Src: clientLease[0], Dst: serverInner[0], SrcPort: from, DstPort: port,
		}
		return packet(udp, e, nil, 0)
	}
	elsewhere := packet(udp, flow.Ends{
		Src: clientLease[0], Dst: lanRouter[0], SrcPort: 50000, DstPort: 161,
	}, nil, 0)
	stranger := packet(udp, flow.Ends{
		Src: netip.MustParseAddr("10.83.5.5"), Dst: serverInner[0], SrcPort: 1, DstPort: 161,
	}, nil, 0)
	opened := to(161, request(false, 161).SrcPort)
	damaged := complain(flow.ErrorPort, opened, 0, lanRouter)
	damaged[len(damaged)-1] ^= 1
	another := complain(flow.ErrorPort, opened, 0, lanRouter)
	copy(another[flow.OffloadSize+20+8+12:], netip.MustParseAddr("10.83.5.5").AsSlice())
	flow.PutEcho(another[flow.OffloadSize:])
	short := complain(flow.ErrorPort, opened, 0, lanRouter)
	short[flow.OffloadSize+20+8] = 0x46 // the quoted packet has options
	for _, c := range []struct {
		name string
		p    []byte
		want drop.Reason
	}{
		{"another port", complain(flow.ErrorPort, to(162, 50000), 0, lanRouter), drop.NoPort},
		{"another client", complain(flow.ErrorPort, to(161, 9), 0, lanRouter), drop.NoFlow},
		{"not to us", complain(flow.ErrorPort, elsewhere, 0, lanRouter), drop.NoTunnel},
		{"from a stranger", complain(flow.ErrorPort, stranger, 0, lanRouter), drop.NoTunnel},
		{"to one about another", another, drop.NoTunnel},
		{"damaged", damaged, drop.BadChecksum},
		{"options", short, drop.BadQuote},
	} {
		r := newRig()
		r.send(t, r.client, r.server, datagram(request(false, 161), "x"))
		r.server.out.Reset()
		r.server.out.Outbound(r.now, c.p)
		if len(r.server.out.Runs) != 0 || r.server.out.C.Drops[c.want].Load() != 1 {
			t.Errorf("%s: not dropped as %v", c.name, c.want)
		}
	}
}

// A peer, or whoever took it over, can not make up errors about flows that are not there.
func TestAPeerCannotComplainAboutWhatWasNeverSent(t *testing.T) {
	r := newRig()
	said := func(from *end, c flow.Compact, more ...byte) [][]byte {
		from.out.Reset()
		from.out.Message(r.now, from.session, append(c.Append(nil), more...))
		to := r.client
		if from == r.client {
			to = r.server
		}
		return r.carry(t, from, to, from.out)
	}
	announced := flow.Compact{
		Kind: flow.KindError, Error: flow.ErrorPort, Announce: true, Slot: flow.NoSlot, Target: 1,
		Port: request(false, 161).SrcPort,
	}
	slot := flow.Compact{Kind: flow.KindError, Error: flow.ErrorPort}
	for _, c := range []flow.Compact{announced, slot} {
		for _, from := range []*end{r.server, r.client} {
			if len(said(from, c)) != 0 {
				t.Errorf("%+v arrives without a flow", c)
			}
		}
	}
	if n := r.client.in.C.Drops[drop.NoFlow].Load(); n != 2 {
		t.Errorf("the client counts %d no-flow, want 2", n)
	}
	r.send(t, r.client, r.server, datagram(request(false, 161), "x"))
	for _, c := range []flow.Compact{announced, slot} {
		for _, from := range []*end{r.server, r.client} {
			if len(said(from, c)) != 1 {
				t.Errorf("%+v does not arrive", c)
			}
		}
	}
	got := said(r.server, announced, 'x')
	if len(got) != 0 || r.client.in.C.Drops[drop.BadContext].Load() != 1 {
		t.Error("bytes behind an error pass")
	}
	pol := *r.client.peer.Policy()
	pol.On = false
	r.client.peer.SetPolicy(&pol)
	if len(said(r.server, announced)) != 0 ||
		r.client.in.C.Drops[drop.TunnelDisabled].Load() != 1 {
		t.Error("an error passes a tunnel that is off")
	}
}

func TestErrorsAreFewAtBothEnds(t *testing.T) {
	r := newRig()
	arrived := r.send(t, r.client, r.server, datagram(request(false, 161), "x"))
	p := complain(flow.ErrorPort, arrived[0], 0, lanRouter)
	came := 0
	flood := func() {
		for range 100 {
			came += len(r.send(t, r.server, r.client, p))
		}
	}
	flood()
	if lost := r.server.out.C.Drops[drop.ErrorRate].Load(); came != errorBurst ||
		lost != 100-errorBurst {
		t.Errorf("%d of 100 came, %d dropped, want %d", came, lost, errorBurst)
	}
	r.now += 2 * errorEvery
	if flood(); came != errorBurst+2 {
		t.Errorf("%d came after two periods, want %d", came, errorBurst+2)
	}
	r.now += time.Minute
	r.server.peer.errorsOut = pace{} // a peer that does not keep to it
	came = 0
	for range 5 {
		r.server.peer.errorsOut.due.Store(0)
		for range errorBurst {
			came += len(r.send(t, r.server, r.client, p))
		}
	}
	if lost := r.client.in.C.Drops[drop.ErrorRate].Load(); came != errorBurst || lost == 0 {
		t.Errorf("%d came from a peer that sends too many, want %d", came, errorBurst)
	}
}

func TestTheHostIsToldWhatFitsWhereItMayBeAndNothingIsLost(t *testing.T) {
	const room = 1400 - 24 // of the path, less a data frame's header and tag
	for _, c := range []struct {
		name string
		p    []byte
		mtu  uint16 // 0: not told
	}{
		{"IPv4", packet(flow.Compact{Kind: flow.KindUDP}, request(false, 161),
			make([]byte, 1450), 0), room - 5 + 28},
		{"IPv6", packet(flow.Compact{Kind: flow.KindUDP, V6: true}, request(true, 161),
			make([]byte, 1450), 0), room - 5 + 48},
		{
			"TCP", packet(tcp(false, flow.FlagACK), request(false, 80), make([]byte, 1450), 0),
			room - 17 + 40,
		},
		{"a super-packet", packet(tcp(false, flow.FlagACK), request(false, 80),
			make([]byte, 4000), 1450), 0},
	} {
		r := newRig()
		got := r.send(t, r.client, r.server, c.p)
		if len(got) != 1 || len(got[0]) != len(c.p) {
			t.Errorf("%s: did not arrive whole", c.name)
		}
		told := r.client.out.Packets
		if c.mtu == 0 {
			if len(told) != 0 {
				t.Errorf("%s: the host is told", c.name)
			}
			continue
		}
		if len(told) != 1 {
			t.Fatalf("%s: the host is told %d times", c.name, len(told))
		}
		v, q := quoteOf(t, told[0])
		if q.Code != flow.ErrorTooBig || q.MTU != c.mtu || v.Src != q.Dst || v.Dst != q.Src {
			t.Errorf("%s: %+v, want %d", c.name, q, c.mtu)
		}
	}
}

func TestAHostThatCutThePacketItselfIsNotTold(t *testing.T) {
	r := newRig()
	k := packet(flow.Compact{Kind: flow.KindUDP, V6: true}, request(true, 161),
		make([]byte, 1450), 0)
	flow.FinishChecksum(k[flow.OffloadSize:])
	var whole []byte
	for _, f := range flow.CutIPv6(nil, k[flow.OffloadSize:], 1280, 7) {
		whole = r.client.out.Whole(r.now, f)
	}
	if got := r.send(t, r.client, r.server, whole); len(got) != 1 {
		t.Errorf("%d packets arrive", len(got))
	}
	if len(r.client.out.Packets) != 0 {
		t.Error("the host is told")
	}
	r.client.out.Whole(r.now, k)
	if r.send(t, r.client, r.server, k); len(r.client.out.Packets) != 1 {
		t.Error("the host is not told of a packet that it did not cut")
	}
}

func TestTheHostIsNotToldLessThanEveryPathCarries(t *testing.T) {
	r := newRig()
	small := *r.client.session.Path()
	small.Size = 1200
	r.client.session.SetPath(&small)
	udp := flow.Compact{Kind: flow.KindUDP}
	fits := packet(udp, request(false, 161), make([]byte, 1280-28), 0)
	mayBeCut := packet(udp, request(false, 161), make([]byte, 1300), 0)
	flow.AllowFragments(mayBeCut[flow.OffloadSize:], 1)
	for _, p := range [][]byte{fits, mayBeCut} {
		if r.send(t, r.client, r.server, p); len(r.client.out.Packets) != 0 {
			t.Errorf("%d bytes: the host is told", len(p)-flow.OffloadSize)
		}
	}
	for range 10 {
		r.send(t, r.client, r.server, packet(udp, request(false, 161), make([]byte, 1300), 0))
	}
	if r.client.peer.large.allow(r.now, largeEvery, largeBurst) {
		t.Error("the host may be told without end")
	}
	r.now += largeEvery
	r.send(t, r.client, r.server, packet(udp, request(false, 161), make([]byte, 1300), 0))
	if len(r.client.out.Packets) != 1 {
		t.Fatal("the host is not told again")
	}
	if _, q := quoteOf(t, r.client.out.Packets[0]); q.MTU != leastTold {
		t.Errorf("the host is told %d", q.MTU)
	}
}
