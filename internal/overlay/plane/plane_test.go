// SPDX-License-Identifier: Apache-2.0

package plane

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"staex/internal/ident"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/flow"
	"staex/internal/overlay/session"
	"staex/internal/wire"
)

// rig is a client, a relay and a server with the tables of one tunnel between them.
//
//	client 10.83.0.1 ──label 0x101──▶ relay ──label 0x202──▶ server 10.83.0.2
//	                 ◀──label 0x303──       ◀──label 0x404──
type rig struct {
	client, relay, server *end
	now                   time.Duration
}

type end struct {
	addr    netip.AddrPort
	tables  *Tables
	out, in *Worker
	peer    *Peer
	session *Session
}

var (
	clientAddr  = netip.MustParseAddrPort("192.0.2.1:9376")
	relayAddr   = netip.MustParseAddrPort("192.0.2.2:9376")
	serverAddr  = netip.MustParseAddrPort("192.0.2.3:9376")
	clientInner = [2]netip.Addr{netip.MustParseAddr("10.83.0.1"), netip.MustParseAddr("200::1")}
	serverLease = [2]netip.Addr{netip.MustParseAddr("10.83.0.9"), netip.MustParseAddr("200::9")}
	serverInner = [2]netip.Addr{netip.MustParseAddr("10.83.0.2"), netip.MustParseAddr("200::2")}
	clientLease = [2]netip.Addr{netip.MustParseAddr("10.83.0.7"), netip.MustParseAddr("200::7")}
	web         = ident.Target{Proto: ident.ProtoTCP, Port: 80}
	meter       = ident.Target{Proto: ident.ProtoUDP, Port: 161}
)

func newEnd(addr netip.AddrPort, self [2]netip.Addr) *end {
	t := NewTables(10)
	if self[0].IsValid() {
		t.SetSelf(self[0], self[1])
	}
	e := &end{addr: addr, tables: t, out: NewWorker(t), in: NewWorker(t)}
	e.out.Segmented, e.in.Segmented = true, true
	return e
}

func newRig() *rig {
	r := &rig{
		client: newEnd(clientAddr, clientInner), relay: newEnd(relayAddr, [2]netip.Addr{}),
		server: newEnd(serverAddr, serverInner), now: time.Second,
	}
	toClient, toServer := NewLink(clientAddr), NewLink(serverAddr)
	r.relay.tables.SetRow(Row{
		Kind: RowTransit, Label: 0x101, In: toClient, To: toServer, Out: 0x202,
	})
	r.relay.tables.SetRow(Row{
		Kind: RowTransit, Label: 0x404, In: toServer, To: toClient, Out: 0x303,
	})
	there, back := [32]byte{1}, [32]byte{2}
	r.client.join(SideClient, clientInner, serverLease, there, back, 0x303, 0x101)
	r.server.join(SideServer, serverInner, clientLease, back, there, 0x202, 0x404)
	return r
}

func (e *end) join(side Side, local, remote [2]netip.Addr, send, recv [32]byte,
	mine, theirs wire.Label,
) {
	e.peer = &Peer{Key: 1}
	e.peer.SetPolicy(&Policy{
		On: true, Side: side, Targets: []ident.Target{web, meter},
		Local4: local[0], Local6: local[1], Remote4: remote[0], Remote6: remote[1],
	})
	parent := NewLink(relayAddr)
	e.session = &Session{
		Send: session.NewSender(send, session.AESGCM), Peer: e.peer,
		Recv: session.NewReceiver(recv, session.AESGCM, session.WindowSession),
	}
	e.session.SetPath(&Path{Link: parent, Label: theirs, Size: 1400})
	e.peer.SetSession(e.session)
	for _, a := range remote {
		e.tables.SetPeer(a, e.peer)
	}
	e.tables.SetRow(Row{Kind: RowSession, Label: mine, In: parent, Session: e.session})
}

// carry takes what a worker wants sent over the relay to the other end, and returns the packets
// that arrive there. Answers made on the way (slot confirmations) travel back.
func (r *rig) carry(t *testing.T, from, to *end, w *Worker) [][]byte {
	t.Helper()
	var got [][]byte
	for _, run := range w.Runs {
		b := bytes.Clone(w.Buf[run.Off : run.Off+run.Len])
		r.relay.in.Reset()
		r.relay.in.Inbound(r.now, from.addr, b, run.Seg)
		for _, x := range r.relay.in.Transit {
			if x.To != to.addr {
				t.Fatalf("the relay sent to %v", x.To)
			}
			to.in.Reset()
			to.in.Inbound(r.now, relayAddr, bytes.Clone(b[x.Off:x.Off+x.Len]), x.Seg)
			for _, p := range to.in.Packets {
				got = append(got, bytes.Clone(p))
			}
			if len(to.in.Runs) > 0 {
				r.carry(t, to, from, to.in)
			}
		}
	}
	return got
}

func (r *rig) send(t *testing.T, from, to *end, p []byte) [][]byte {
	t.Helper()
	from.out.Reset()
	if miss := from.out.Outbound(r.now, bytes.Clone(p)); miss != nil {
		t.Fatal("unexpected miss")
	}
	return r.carry(t, from, to, from.out)
}

// packet is a packet with its offload header: a super-packet when seg is less than the payload.
func packet(c flow.Compact, e flow.Ends, payload []byte, seg int) []byte {
	h := flow.HeaderLen(&c)
	p := append(make([]byte, flow.OffloadSize+h), payload...)
	segs := 1
	if seg > 0 && len(payload) > seg {
		segs = (len(payload) + seg - 1) / seg
	}
	flow.RebuildOffload(&c, len(payload), max(seg, 1), segs).Put(p)
	flow.PutHeaders(p[flow.OffloadSize:], &c, e, len(payload))
	return p
}

func datagram(e flow.Ends, payload string) []byte {
	return packet(flow.Compact{Kind: flow.KindUDP}, e, []byte(payload), 0)
}

func tcp(v6 bool, flags uint16) flow.Compact {
	c := flow.Compact{Kind: flow.KindTCP, V6: v6, Seq: 1000, Ack: 2000, Flags: flags, Window: 500}
	c.OptLen = 12
	copy(c.Options[:], []byte{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2})
	return c
}

func family(v6 bool) int {
	if v6 {
		return 1
	}
	return 0
}

func request(v6 bool, port uint16) flow.Ends {
	i := family(v6)
	return flow.Ends{Src: clientInner[i], Dst: serverLease[i], SrcPort: 40000, DstPort: port}
}

func answer(v6 bool, port uint16) flow.Ends {
	i := family(v6)
	return flow.Ends{Src: serverInner[i], Dst: clientLease[i], SrcPort: port, DstPort: 40000}
}

func TestASuperPacketCrossesARelayWhole(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		r := newRig()
		payload := bytes.Repeat([]byte("segments of a page. "), 3000)
		c := tcp(v6, flow.FlagACK|flow.FlagPSH)
		got := r.send(t, r.client, r.server, packet(c, request(v6, 80), payload, 1300))
		if len(got) != 1 {
			t.Fatalf("%d packets arrived", len(got))
		}
		i := family(v6)
		want := packet(c, flow.Ends{
			Src: clientLease[i], Dst: serverInner[i], SrcPort: 40000, DstPort: 80,
		}, payload, 1300)
		if !bytes.Equal(got[0], want) {
			t.Errorf("the packet differs: %x and %x", got[0][:90], want[:90])
		}
		back := r.send(t, r.server, r.client, packet(c, answer(v6, 80), payload, 1300))
		if len(back) != 1 || len(back[0]) != len(want) {
			t.Error("the answer did not arrive whole")
		}
	}
}

func TestDatagramsLargerThanThePathComeInPartsAndArriveWhole(t *testing.T) {
	r := newRig()
	payload := []byte(strings.Repeat("0123456789", 400))
	got := r.send(t, r.client, r.server, datagram(request(false, 161), string(payload)))
	if len(got) != 1 || !bytes.HasSuffix(got[0], payload) {
		t.Fatalf("%d packets arrived", len(got))
	}
}

func TestAnEchoLargerThanThePathIsAnsweredWhole(t *testing.T) {
	for _, size := range []int{0, 56, 1400, 4000} {
		r := newRig()
		payload := bytes.Repeat([]byte("x"), size)
		p := packet(flow.Compact{Kind: flow.KindEcho, EchoID: 1, EchoSeq: 2}, request(false, 0),
			payload, 0)
		flow.PutEcho(p[flow.OffloadSize:])
		r.client.out.Reset()
		r.client.out.Outbound(r.now, p)
		r.carry(t, r.client, r.server, r.client.out)
		got := r.client.in.Packets
		if len(got) != 1 || !bytes.HasSuffix(got[0], payload) ||
			len(got[0]) != flow.OffloadSize+28+size {
			t.Errorf("%d bytes: %d answers", size, len(got))
		}
	}
}

func TestBatchesThatComeTogetherShareASendAtTheRelay(t *testing.T) {
	r := newRig()
	relay, buf := r.relay.in, []byte{}
	relay.Reset()
	batch := func(payload, seg int) {
		r.client.out.Reset()
		p := packet(tcp(false, flow.FlagACK), request(false, 80), make([]byte, payload), seg)
		r.client.out.Outbound(r.now, p)
		run, start := r.client.out.Runs[0], len(buf)
		buf = append(buf, r.client.out.Buf[run.Off:run.Off+run.Len]...)
		relay.InboundAt(r.now, clientAddr, buf, start, run.Seg)
	}
	const small = 100
	for range 7 {
		batch(10*small, small)
	}
	seg := len(buf) / 70
	batch(10*small+50, small) // its last frame is shorter, and ends the send
	batch(10*small, small)
	whole := len(buf)
	batch(10*2*small, 2*small)
	var got [][3]int
	for _, x := range relay.Transit {
		got = append(got, [3]int{x.Off, x.Len, x.Seg})
	}
	first := MaxSegments * seg
	second := whole - 10*seg - first
	want := [][3]int{
		{0, first, seg},
		{first, second, seg},
		{first + second, 10 * seg, seg},
		{whole, len(buf) - whole, seg + small},
	}
	if !slices.Equal(got, want) {
		t.Errorf("sends (offset, length, segment) %v, want %v", got, want)
	}
}

func TestAsManyBatchesAreTakenTogetherAsSurelyFit(t *testing.T) {
	for _, size := range []int{0, 100, 900} { // bytes of each packet, of which no two are joined
		r := newRig()
		in, buf, sent := r.server.in, []byte{}, 0
		in.Reset()
		for batches := 0; in.RoomForBatch(); batches++ {
			start, seg := len(buf), 0
			for i := range MaxSegments {
				e := request(false, 80)
				e.SrcPort += uint16(i % 2)
				r.client.out.Reset()
				p := packet(tcp(false, flow.FlagACK), e, make([]byte, size), 0)
				r.client.out.Outbound(r.now, p)
				run := r.client.out.Runs[0]
				if seg != 0 && run.Len != seg {
					continue // the first frames of a flow are longer
				}
				seg, buf = run.Len, append(buf, r.client.out.Buf[run.Off:run.Off+run.Len]...)
				sent++
			}
			r.relay.in.Reset()
			r.relay.in.InboundAt(r.now, clientAddr, buf, start, seg) // exchanges the labels
			in.InboundAt(r.now, relayAddr, buf, start, seg)
			if batches == 100 {
				t.Fatal("there is room for everything")
			}
		}
		if n := in.C.Drops[drop.QueueFull].Load(); n != 0 || len(in.Packets) < sent/2 {
			t.Errorf("%d bytes: of %d packets %d came and %d had no room", size, sent,
				len(in.Packets), n)
		}
	}
}

func TestALostSegmentSplitsTheSuperPacketAndHarmsNoOther(t *testing.T) {
	r := newRig()
	payload := bytes.Repeat([]byte("x"), 10*1000)
	r.client.out.Reset()
	p := packet(tcp(false, flow.FlagACK), request(false, 80), payload, 1000)
	r.client.out.Outbound(r.now, p)
	run := r.client.out.Runs[0]
	frames := r.client.out.Buf[run.Off : run.Off+run.Len]
	lossy := append(bytes.Clone(frames[:3*run.Seg]), frames[4*run.Seg:]...)
	r.relay.in.Reset()
	r.relay.in.Inbound(r.now, clientAddr, lossy, run.Seg)
	x := r.relay.in.Transit[0]
	r.server.in.Inbound(r.now, relayAddr, lossy[x.Off:x.Off+x.Len], x.Seg)
	sizes := 0
	for _, p := range r.server.in.Packets {
		sizes += bytes.Count(p, []byte("x"))
	}
	if len(r.server.in.Packets) != 2 || sizes < 9000 {
		t.Errorf("%d packets with %d bytes", len(r.server.in.Packets), sizes)
	}
}

// TestShortPacketsInOneBatchAllArriveRight holds packets that are shorter than a compact header:
// one is opened over the place where the headers of the one before belong.
func TestShortPacketsInOneBatchAllArriveRight(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		r := newRig()
		r.send(t, r.client, r.server, packet(tcp(v6, flow.FlagACK), request(v6, 80), nil, 0))
		r.client.out.Reset()
		var want [][]byte
		for i := range 20 {
			c := tcp(v6, flow.FlagACK)
			c.Ack += uint32(i)
			payload := bytes.Repeat([]byte{byte(i)}, i%4)
			if i%3 == 0 { // a selective acknowledgement: other options, another length
				c.OptLen = 24
				copy(c.Options[12:], []byte{1, 1, 5, 10, 0, 0, 1, byte(i), 0, 0, 2, byte(i)})
			}
			r.client.out.Outbound(r.now, packet(c, request(v6, 80), payload, 0))
			want = append(want, packet(c, flow.Ends{
				Src: clientLease[family(v6)], Dst: serverInner[family(v6)],
				SrcPort: 40000, DstPort: 80,
			}, payload, 0))
		}
		got := r.carry(t, r.client, r.server, r.client.out)
		if len(got) != len(want) {
			t.Fatalf("%d of %d packets arrived", len(got), len(want))
		}
		for i := range want {
			if !bytes.Equal(got[i], want[i]) {
				t.Errorf("packet %d:\n%x, want\n%x", i, got[i], want[i])
			}
		}
	}
}

func TestWhatMayNotPassIsDroppedForOneNamedReason(t *testing.T) {
	udp := flow.Compact{Kind: flow.KindUDP}
	spoofed := request(false, 161)
	spoofed.Src = netip.MustParseAddr("10.83.5.5")
	elsewhere := request(false, 161)
	elsewhere.Dst = netip.MustParseAddr("10.83.5.5")
	wrong := packet(udp, request(false, 161), []byte("x"), 0)
	wrong[0] = 0 // no NEEDS_CSUM: the checksum field must be right, and is not
	for _, c := range []struct {
		name string
		p    []byte
		want drop.Reason
	}{
		{"another port", packet(udp, request(false, 162), []byte("x"), 0), drop.NoPort},
		{"another protocol", packet(tcp(false, 2), request(false, 161), nil, 0), drop.NoPort},
		{"spoofed source", packet(udp, spoofed, []byte("x"), 0), drop.NoTunnel},
		{"no tunnel", packet(udp, elsewhere, []byte("x"), 0), drop.NoTunnel},
		{"bad checksum", wrong, drop.BadChecksum},
		{"short", []byte{1, 2, 3}, drop.Short},
	} {
		r := newRig()
		r.client.out.Outbound(r.now, c.p)
		if len(r.client.out.Runs) != 0 || r.client.out.C.Drops[c.want].Load() != 1 {
			t.Errorf("%s: not dropped as %v", c.name, c.want)
		}
	}
}

func TestTheServerMayOnlyAnswerFlowsThatTheClientOpened(t *testing.T) {
	r := newRig()
	p := datagram(answer(false, 161), "uninvited")
	if got := r.send(t, r.server, r.client, p); len(got) != 0 {
		t.Error("the client received a packet it did not ask for")
	}
	if r.server.out.C.Drops[drop.NoFlow].Load() != 1 {
		t.Error("not dropped as no-flow")
	}
	r.send(t, r.client, r.server, datagram(request(false, 161), "?"))
	if got := r.send(t, r.server, r.client, p); len(got) != 1 {
		t.Error("the answer did not arrive")
	}
}

func TestReplayedForgedAndMisdirectedFramesDeliverNothing(t *testing.T) {
	r := newRig()
	r.client.out.Outbound(r.now, datagram(request(false, 161), "x"))
	f := bytes.Clone(r.client.out.Buf[:r.client.out.Runs[0].Len])
	wire.SetLabel(f, 0x202)
	feed := func(from netip.AddrPort, b []byte) int {
		r.server.in.Reset()
		r.server.in.Inbound(r.now, from, bytes.Clone(b), len(b))
		return len(r.server.in.Packets)
	}
	for bit := range len(f) * 8 {
		b := bytes.Clone(f)
		b[bit/8] ^= 1 << (bit % 8)
		if feed(relayAddr, b) != 0 {
			t.Fatalf("a frame with bit %d flipped was delivered", bit)
		}
	}
	for n := range f {
		if feed(relayAddr, f[:n]) != 0 {
			t.Fatalf("a frame cut to %d bytes was delivered", n)
		}
	}
	if feed(clientAddr, f) != 0 || r.server.in.C.Drops[drop.WrongSource].Load() == 0 {
		t.Error("a frame from a wrong address was delivered, or not dropped as wrong-source")
	}
	if feed(relayAddr, f) != 1 {
		t.Fatal("the genuine frame was not delivered")
	}
	before := r.server.in.C.Drops[drop.Replay].Load()
	if feed(relayAddr, f) != 0 || r.server.in.C.Drops[drop.Replay].Load() != before+1 {
		t.Error("a replay was delivered, or not dropped as replay")
	}
}

func TestDataRightBehindTheLastHandshakeMessageIsLeftToTheSlowPath(t *testing.T) {
	r := newRig()
	row, _ := r.server.tables.Row(0x202)
	row.Session = nil // message 3 is read, but not yet by the slow path
	r.server.tables.SetRow(row)
	if got := r.send(t, r.client, r.server, datagram(request(false, 161), "x")); len(got) != 0 {
		t.Error("delivered without a session")
	}
	if c := r.server.in.Control; len(c) != 1 || c[0].Link != 0 || c[0].From != relayAddr ||
		wire.PeekType(c[0].B) != wire.TypeData {
		t.Errorf("the slow path got %v", c)
	}
}

func TestThePlaneAllocatesNothingPerPacket(t *testing.T) {
	r := newRig()
	payload := bytes.Repeat([]byte("x"), 20*1300)
	p := packet(tcp(false, flow.FlagACK), request(false, 80), payload, 1300)
	r.send(t, r.client, r.server, p)
	in, wireBuf := make([]byte, len(p)), make([]byte, 65536)
	allocs := testing.AllocsPerRun(200, func() {
		copy(in, p)
		r.client.out.Reset()
		r.client.out.Outbound(r.now, in)
		run := r.client.out.Runs[0]
		n := copy(wireBuf, r.client.out.Buf[run.Off:run.Off+run.Len])
		r.relay.in.Reset()
		r.relay.in.Inbound(r.now, clientAddr, wireBuf[:n], run.Seg)
		x := r.relay.in.Transit[0]
		r.server.in.Reset()
		r.server.in.Inbound(r.now, relayAddr, wireBuf[x.Off:x.Off+x.Len], x.Seg)
		if len(r.server.in.Packets) != 1 {
			t.Fatal("not delivered")
		}
	})
	if allocs > 0 {
		t.Errorf("%v allocations a packet", allocs)
	}
}

func FuzzInboundNeverPanicsAndNeverDelivers(f *testing.F) {
	r := newRig()
	r.client.out.Outbound(r.now, datagram(request(false, 161), "x"))
	good := bytes.Clone(r.client.out.Buf[:r.client.out.Runs[0].Len])
	f.Add(good, 22)
	f.Add(append(good, good...), len(good))
	f.Add([]byte{0x20, 0, 0, 1}, 4)
	f.Add([]byte{0x70, 0, 2, 2, 3}, 5)
	f.Fuzz(func(t *testing.T, b []byte, seg int) {
		r.server.in.Reset()
		r.server.in.Inbound(r.now, relayAddr, bytes.Clone(b), seg)
		if len(r.server.in.Packets) != 0 && !bytes.Contains(b, good[4:]) {
			t.Error("delivered")
		}
	})
}
