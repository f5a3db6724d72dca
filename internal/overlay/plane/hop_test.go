// SPDX-License-Identifier: Apache-2.0

package plane

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/session"
	"staex/internal/wire"
)

// hops are the hop MACs of the way from the client to the server: of the first link and the second.
type hops struct{ first, second *session.HopKey }

func newHops() hops {
	a, _ := session.HopKeys([32]byte{1})
	b, _ := session.HopKeys([32]byte{2})
	return hops{a, b}
}

// relay publishes what the relay does with hop MACs.
func (r *rig) relayHop(h *Hop) {
	row, _ := r.relay.tables.Row(0x101)
	row.Hop = h
	r.relay.tables.SetRow(row)
}

// guarded puts hop MACs on both links.
func (r *rig) guarded() (first, second *Guard) {
	h := newHops()
	first, second = NewGuard(h.first), NewGuard(h.second)
	r.client.session.SignPath(h.first)
	r.relayHop(&Hop{Guard: first, Sign: h.second})
	row, _ := r.server.tables.Row(0x202)
	row.Hop = &Hop{Guard: second}
	r.server.tables.SetRow(row)
	return first, second
}

func TestAHopMACCostsFourBytesOnEachLinkAndIsTakenOffAtTheEnd(t *testing.T) {
	r := newRig()
	p := datagram(request(false, 161), "ten bytes!")
	r.send(t, r.client, r.server, bytes.Clone(p))
	bare := r.sealed()
	r.guarded()
	for range 3 {
		marked := r.sealed()
		r.relay.in.Reset()
		r.relay.in.Inbound(r.now, clientAddr, marked, len(marked))
		if len(r.relay.in.Transit) != 1 || len(r.relay.in.Runs) != 0 {
			t.Fatalf("%d sends in place, %d copies", len(r.relay.in.Transit), len(r.relay.in.Runs))
		}
		if x := r.relay.in.Transit[0]; x.Len != len(bare)+4 || len(marked) != len(bare)+4 {
			t.Errorf("%d bytes become %d and %d", len(bare), len(marked), x.Len)
		}
		r.server.in.Reset()
		r.server.in.Inbound(r.now, relayAddr, marked, len(marked))
		if len(r.server.in.Packets) != 1 {
			t.Error("not delivered")
		}
	}
}

func TestASuperPacketWithHopMACsCrossesARelayWhole(t *testing.T) {
	r := newRig()
	r.guarded()
	payload := bytes.Repeat([]byte("0123456789"), 2000)
	p := packet(tcp(false, 0x10), request(false, 80), payload, 1300)
	got := r.send(t, r.client, r.server, p)
	if len(got) != 1 || !bytes.HasSuffix(got[0], payload) {
		t.Fatalf("%d packets", len(got))
	}
}

func TestFramesWithAWrongOrMissingHopMACGoNoFurther(t *testing.T) {
	r := newRig()
	guard, _ := r.guarded()
	in := r.relay.in
	try := func(f []byte, pass bool) {
		t.Helper()
		before := in.C.Drops[drop.HopMac].Load()
		in.Reset()
		in.Inbound(r.now, clientAddr, f, len(f))
		if passed := len(in.Transit)+len(in.Runs) > 0; passed != pass {
			t.Errorf("passed: %v", passed)
		}
		if n := in.C.Drops[drop.HopMac].Load() - before; (n == 0) != pass {
			t.Errorf("%d drops", n)
		}
	}
	bare := func() []byte {
		f := r.sealed()
		wire.SetHopMAC(f, false)
		return f[:len(f)-wire.HopMACSize]
	}
	try(bare(), true) // the neighbour may not know yet
	good := r.sealed()
	for i := range good {
		x := bytes.Clone(good)
		if x[i] ^= 0x10; i > 3 { // another label is another row
			try(x, false)
		}
	}
	try(bare(), true)
	try(bytes.Clone(good), true)
	try(bare(), false) // it has shown that it does
	short := wire.DataHeader{Type: wire.TypeData, Flag: true, Label: 0x101}.Append(nil)
	try(short, false)
	if guard.Junk() == 0 {
		t.Error("the guard counted nothing")
	}
	guard, _ = r.guarded()
	guard.Enforce()
	try(bare(), false)
}

func TestARelayBetweenALinkWithHopMACsAndOneWithoutResizesFrames(t *testing.T) {
	h := newHops()
	for _, c := range []struct {
		signed bool
		hop    *Hop
		grows  int
	}{
		{false, &Hop{Sign: h.second}, 4},
		{true, &Hop{Guard: NewGuard(h.first)}, -4},
		{true, nil, -4},
	} {
		r := newRig()
		if c.signed {
			r.client.session.SignPath(h.first)
		}
		r.relayHop(c.hop)
		for range 3 {
			f := r.sealed()
			two := slices.Concat(f, r.sealed())
			r.relay.in.Reset()
			r.relay.in.Inbound(r.now, clientAddr, two, len(f))
			if len(r.relay.in.Runs) != 1 || r.relay.in.Runs[0].Seg != len(f)+c.grows {
				t.Fatalf("%d bytes leave as %+v", len(f), r.relay.in.Runs)
			}
			x := r.relay.in.Runs[0]
			r.server.in.Reset()
			r.server.in.Inbound(r.now, relayAddr, r.relay.in.Buf[x.Off:x.Off+x.Len], x.Seg)
		}
		if n := r.server.in.C.Opened.Load(); n != 6 {
			t.Errorf("%d of 6 were opened", n)
		}
	}
}

func TestPathHandshakesPassAGuardedLabelOnceASecond(t *testing.T) {
	r := newRig()
	guard, _ := r.guarded()
	guard.Enforce()
	passed := 0
	for range 50 {
		f := wire.PathHandshake{Label: 0x101, Stage: wire.StageConfirm}.Append(nil)
		r.relay.in.Reset()
		r.relay.in.Inbound(r.now, clientAddr, f, len(f))
		passed += len(r.relay.in.Transit)
		r.now += 100 * time.Millisecond
	}
	if passed != 5 {
		t.Errorf("%d passed in 5 s", passed)
	}
	if n := r.relay.in.C.Drops[drop.HopMac].Load(); n != 45 {
		t.Errorf("%d dropped", n)
	}
}

func TestJunkOnALabelIsReportedOnceABatch(t *testing.T) {
	r := newRig()
	var batch []byte
	for range 20 {
		f := r.sealed()
		f[len(f)-1] ^= 1
		wire.SetLabel(f, 0x202)
		batch = append(batch, f...)
	}
	r.server.in.Inbound(r.now, relayAddr, batch, len(batch)/20)
	if n := r.server.in.Notices; len(n) != 1 || n[0].Kind != NoticeJunk || n[0].Count != 20 ||
		n[0].Label != 0x202 || n[0].Link.Addr() != relayAddr {
		t.Errorf("reported %+v", n)
	}
	r.server.in.Reset()
	good := r.sealed()
	wire.SetLabel(good, 0x202)
	for range 2 { // a copy is no junk: it was sealed for this session
		r.server.in.Inbound(r.now, relayAddr, bytes.Clone(good), len(good))
	}
	for _, x := range r.server.in.Notices {
		if x.Kind == NoticeJunk {
			t.Errorf("reported %+v", x)
		}
	}
}

func TestHopMACsAllocateNothingPerPacket(t *testing.T) {
	r := newRig()
	r.guarded()
	payload := bytes.Repeat([]byte("x"), 20*1300)
	p := packet(tcp(false, 0x10), request(false, 80), payload, 1300)
	r.send(t, r.client, r.server, bytes.Clone(p))
	in, wireBuf := make([]byte, len(p)), make([]byte, 65536)
	once := func() {
		copy(in, p)
		r.client.out.Reset()
		r.client.out.Outbound(r.now, in)
		run := r.client.out.Runs[0]
		n := copy(wireBuf, r.client.out.Buf[run.Off:run.Off+run.Len])
		r.relay.in.Reset()
		r.relay.in.Inbound(r.now, clientAddr, wireBuf[:n], run.Seg)
	}
	if n := testing.AllocsPerRun(200, once); n > 0 {
		t.Errorf("%v allocations a packet", n)
	}
	r.relayHop(nil) // and where frames change their length
	if n := testing.AllocsPerRun(200, once); n > 0 {
		t.Errorf("%v allocations a packet that is resized", n)
	}
	junk := bytes.Clone(r.sealed())
	if n := testing.AllocsPerRun(200, func() {
		wire.SetLabel(junk, 0x202)
		r.server.in.Reset()
		r.server.in.Inbound(r.now, relayAddr, junk, len(junk))
	}); n > 0 {
		t.Errorf("%v allocations a frame of junk", n)
	}
}
