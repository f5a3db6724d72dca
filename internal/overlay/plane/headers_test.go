// SPDX-License-Identifier: Apache-2.0

package plane

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/flow"
	"staex/internal/wire"
)

// caller is a host's TCP at one end of a rig, as far as headers go.
type caller struct {
	seq, ack     uint32
	clock, echo  uint32
	window       uint16
	from         *end
	to           *end
	ends, appear flow.Ends // as the sender writes it, and as it must arrive
}

func callers(r *rig) (client, server *caller) {
	client = &caller{seq: 1, clock: 7e8, window: 502, from: r.client, to: r.server}
	server = &caller{seq: 1 << 31, clock: 9, window: 509, from: r.server, to: r.client}
	client.ends, server.ends = request(false, 80), answer(false, 80)
	client.appear = flow.Ends{
		Src: clientLease[0], Dst: serverInner[0], SrcPort: 40000, DstPort: 80,
	}
	server.appear = flow.Ends{
		Src: serverLease[0], Dst: clientInner[0], SrcPort: 80, DstPort: 40000,
	}
	return client, server
}

// next is the packet that the host sends now, and how it must arrive.
func (c *caller) next(now time.Duration, payload, seg int) (sent, want []byte) {
	h := flow.Compact{
		Kind: flow.KindTCP, Seq: c.seq, Ack: c.ack, Window: c.window, Flags: flow.FlagACK,
		OptLen: 12,
	}
	if payload > 0 {
		h.Flags |= flow.FlagPSH
	}
	copy(h.Options[:], []byte{1, 1, 8, 10})
	binary.BigEndian.PutUint32(h.Options[4:], c.clock+uint32(now/time.Millisecond))
	binary.BigEndian.PutUint32(h.Options[8:], c.echo)
	data := bytes.Repeat([]byte("publish!"), payload/8+1)[:payload]
	c.seq += uint32(payload)
	return packet(h, c.ends, data, seg), packet(h, c.appear, data, seg)
}

// hear is what the other host's TCP makes of a packet of c.
func (c *caller) hear(p []byte) {
	var v flow.View
	if v.Parse(p[flow.OffloadSize:]) != drop.None {
		return
	}
	c.ack = v.Seq + uint32(len(p)-flow.OffloadSize-v.Payload)
	c.echo = binary.BigEndian.Uint32(p[flow.OffloadSize+v.Transport+24:])
}

// say sends a packet and demands that it arrives whole. It returns its size in the underlay, as
// IPv4 packets.
func (r *rig) say(t *testing.T, from, to *caller, payload, seg int) (size int) {
	t.Helper()
	sent, want := from.next(r.now, payload, seg)
	got := r.send(t, from.from, from.to, sent)
	if len(got) != 1 || !bytes.Equal(got[0], want) {
		t.Fatalf("%d packets arrived, first\n%x, want\n%x", len(got), first(got), want[:62])
	}
	to.hear(got[0])
	for _, run := range from.from.out.Runs {
		size += run.Len + (run.Len+run.Seg-1)/run.Seg*28
	}
	return size
}

func first(ps [][]byte) []byte {
	if len(ps) == 0 {
		return nil
	}
	return ps[0][:min(len(ps[0]), 62)]
}

func TestAPublishOfTwentyBytesAndItsAcknowledgementCostAtMost140Bytes(t *testing.T) {
	r := newRig()
	client, server := callers(r)
	for range 40 { // until counters are short
		r.say(t, client, server, 20, 0)
		r.say(t, server, client, 0, 0)
		r.now += time.Second
	}
	total := 0
	const n = 100
	for range n {
		total += r.say(t, client, server, 20, 0)
		r.now += 40 * time.Millisecond
		total += r.say(t, server, client, 0, 0)
		r.now += 30 * time.Second
	}
	t.Logf("%.1f bytes", float64(total)/n)
	if total > 140*n {
		t.Errorf("a publish and its acknowledgement cost %.1f bytes", float64(total)/n)
	}
}

func TestSuperPacketsWithShortHeadersArriveWhole(t *testing.T) {
	r := newRig()
	client, server := callers(r)
	r.say(t, client, server, 80, 0)
	for i := range 50 {
		payload := 1300*(i%45) + i
		size := r.say(t, server, client, payload, 1300)
		segments := max((payload+1299)/1300, 1)
		if most := payload + segments*(20+8+24+10+1); i > 2 && size > most {
			t.Errorf("%d bytes in %d segments cost %d bytes", payload, segments, size)
		}
		r.say(t, client, server, 0, 0)
		r.now += 3 * time.Millisecond
	}
}

// TestShortHeadersOutliveLoss loses every third packet of either side, and every fifth segment.
func TestShortHeadersOutliveLoss(t *testing.T) {
	r := newRig()
	client, server := callers(r)
	r.say(t, client, server, 80, 0)
	arrived := 0
	for i := range 600 {
		from, to := client, server
		if i%2 == 1 {
			from, to = server, client
		}
		sent, _ := from.next(r.now, i%7*1000, 1300)
		from.from.out.Reset()
		from.from.out.Outbound(r.now, sent)
		if i%3 == 0 {
			from.from.out.Runs = nil
		}
		for _, p := range r.carry(t, from.from, from.to, from.from.out) {
			var v flow.View
			if why := v.Parse(p[flow.OffloadSize:]); why != drop.None ||
				v.Src != from.appear.Src {
				t.Fatalf("packet %d is %v: %x", i, why, first([][]byte{p}))
			}
			to.hear(p)
			arrived++
		}
		r.now += 7 * time.Millisecond
	}
	if arrived != 400 {
		t.Errorf("%d packets arrived", arrived)
	}
	for _, e := range []*end{r.client, r.server} {
		if n := e.in.C.Drops[drop.NoReference].Load(); n != 0 {
			t.Errorf("%d frames dropped", n)
		}
	}
}

// TestAnEndThatHasForgottenIsToldWholeHeadersAgain takes away what the server's end holds.
func TestAnEndThatHasForgottenIsToldWholeHeadersAgain(t *testing.T) {
	r := newRig()
	client, server := callers(r)
	for range 5 {
		r.say(t, client, server, 20, 0)
		r.say(t, server, client, 0, 0)
		r.now += time.Second
	}
	other := flow.Flow{Proto: flow.ProtoTCP, Port: 9}
	r.server.session.headers().Begin(0, other, r.client.session.Send.Used())
	sent, _ := client.next(r.now, 20, 0)
	client.seq -= 20 // TCP will repeat it
	if got := r.send(t, r.client, r.server, sent); len(got) != 0 {
		t.Fatal("rebuilt from nothing")
	}
	if n := r.server.in.C.Drops[drop.NoReference].Load(); n != 1 {
		t.Errorf("%d frames dropped as no-reference", n)
	}
	for range 3 {
		r.now += time.Second
		r.say(t, client, server, 20, 0)
		r.say(t, server, client, 0, 0)
	}
	if size := r.say(t, client, server, 20, 0); size > 50+20+10 {
		t.Errorf("headers stay long: %d bytes", size)
	}
}

func TestADifferenceInPartsIsRefused(t *testing.T) {
	r := newRig()
	r.say(t, &caller{
		from: r.client, to: r.server, ends: request(false, 80),
		appear: flow.Ends{
			Src: clientLease[0], Dst: serverInner[0], SrcPort: 40000, DstPort: 80,
		},
	}, &caller{}, 20, 0)
	r.client.out.Reset()
	h := flow.Compact{Kind: flow.KindDiff, Diff: flow.Diff{
		Base: flow.NoRef, Held: flow.NoRef, Mark: flow.NoRef,
	}, Flags: flow.FlagACK}
	whole := append(h.Append(nil), make([]byte, 3000)...)
	r.client.out.Message(r.now, r.client.session, whole)
	if got := r.carry(t, r.client, r.server, r.client.out); len(got) != 0 {
		t.Error("delivered")
	}
	if n := r.server.in.C.Drops[drop.BadContext].Load(); n != 1 {
		t.Errorf("%d dropped as bad-context", n)
	}
}

func TestAMalformedRefsLostChangesNothing(t *testing.T) {
	r := newRig()
	for _, body := range [][]byte{nil, {255, 0, 0, 0, 0, 0, 0, 0, 1}, {1, 2}} {
		b := append(wire.AppendSession(nil, wire.SessionRefsLost), body...)
		r.client.out.Message(r.now, r.client.session, b)
	}
	if got := r.carry(t, r.client, r.server, r.client.out); len(got) != 0 {
		t.Error("delivered")
	}
}

func TestShortHeadersAllocateNothing(t *testing.T) {
	r := newRig()
	client, server := callers(r)
	r.say(t, client, server, 20, 0)
	in, x := make([]byte, 1<<16), make([]byte, 1<<17)
	turn := func(c *caller, payload []byte) {
		n := copy(in, payload)
		c.from.out.Reset()
		c.from.out.Outbound(r.now, in[:n])
		for _, run := range c.from.out.Runs {
			n := copy(x, c.from.out.Buf[run.Off:run.Off+run.Len])
			from := c.from.addr
			r.relay.in.Reset()
			r.relay.in.Inbound(r.now, from, x[:n], run.Seg)
			for _, tr := range r.relay.in.Transit {
				c.to.in.Reset()
				c.to.in.Inbound(r.now, relayAddr, x[tr.Off:tr.Off+tr.Len], tr.Seg)
			}
		}
	}
	data, _ := server.next(r.now, 40*1300, 1300)
	ack, _ := client.next(r.now, 0, 0)
	allocs := testing.AllocsPerRun(300, func() {
		turn(server, data)
		turn(client, ack)
		r.now += time.Millisecond
	})
	if allocs > 0 {
		t.Errorf("%v allocations an exchange", allocs)
	}
}
