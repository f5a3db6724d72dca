// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"encoding/binary"
	"testing"
	"time"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/flow"
)

// counter gives out counters as a session does.
type counter uint64

func (c *counter) Reserve(n int) uint64 {
	*c += counter(n)
	return uint64(*c) - uint64(n) + 1
}

// party is one end of a session with one TCP flow, and what its host's TCP says next.
type party struct {
	refs  flow.Refs
	count counter
	seq   uint32
	clock uint32 // of the timestamps
	heard *parcel
}

// parcel is one frame on its way, with what it must become again.
type parcel struct {
	at      uint64
	b       []byte
	payload int
	truth   flow.Compact
	upTo    uint64 // a RefsLost, if not zero
}

// talk is two parties and the virtual time. Whatever is sent is checked when it arrives.
type talk struct {
	t    *testing.T
	ends [2]*party
	now  time.Duration
	opts func(*flow.Compact)

	arrived, dropped, told int
}

const room = 1376

var phone = flow.Flow{Proto: flow.ProtoTCP, Port: 40000}

func newTalk(t *testing.T) *talk {
	return &talk{t: t, now: time.Second, ends: [2]*party{
		{seq: 0xfffffff0, clock: 0xffffff00}, {seq: 700, clock: 3_000_000_000},
	}}
}

// step lets the end send a packet of so many bytes now, after a pause.
func (k *talk) step(end, payload int, pause time.Duration) []parcel {
	k.now += pause
	p := k.ends[end]
	ms := uint32(k.now / time.Millisecond)
	c := flow.Compact{
		Kind: flow.KindTCP, Slot: 3, Port: phone.Port, Seq: p.seq, Window: 501,
		Flags: flow.FlagACK, OptLen: 12, Options: options(1, 1, 8, 10),
	}
	if payload > 0 {
		c.Flags |= flow.FlagPSH
	}
	binary.BigEndian.PutUint32(c.Options[4:], p.clock+ms)
	if h := p.heard; h != nil {
		c.Ack = h.truth.Seq + uint32(h.payload)
		copy(c.Options[8:12], h.truth.Options[4:8])
	}
	if k.opts != nil {
		k.opts(&c)
	}
	p.seq += uint32(payload)
	return k.send(end, c, flow.Portion{Total: payload, Seg: max(min(payload, 1300), 1), Room: room})
}

// send shortens a header as the plane does, one parcel a piece.
func (k *talk) send(end int, c flow.Compact, cut flow.Portion) (sent []parcel) {
	p, short := k.ends[end], c
	at := p.refs.Shorten(k.now, phone, &short, cut, &p.count)
	hl := short.Len()
	size, n := cut.Pieces(hl)
	truth, pieces := c.Pieces(n, size), short.Pieces(n, size)
	for i := range n {
		truth.Put(&c, i)
		pieces.Put(&short, i)
		b := short.Append(nil)
		if len(b) != hl {
			k.t.Fatalf("piece %d has a header of %d bytes, not %d", i, len(b), hl)
		}
		sent = append(sent, parcel{
			at: at + uint64(i), b: b, payload: min(size, cut.Total-i*size), truth: c,
		})
	}
	return sent
}

// deliver gives a parcel to the end it is for, and returns what that end answers on its own.
func (k *talk) deliver(end int, g parcel) (answer []parcel) {
	p := k.ends[end]
	if g.upTo != 0 {
		p.refs.Lost(3, g.upTo, g.at)
		return nil
	}
	var c flow.Compact
	if _, why := c.Decode(g.b); why != drop.None {
		k.t.Fatalf("%x does not decode: %v", g.b, why)
	}
	lost, why := p.refs.Restore(k.now, phone, &c, g.at, g.payload)
	if lost != 0 {
		k.told++
		answer = append(answer, parcel{at: p.count.Reserve(1), upTo: lost})
	}
	if why == drop.NoReference {
		k.dropped++
		return answer
	}
	c.Port = phone.Port
	if why != drop.None || c != g.truth {
		k.t.Fatalf("%x is rebuilt (%v) as\n%+v, and was\n%+v", g.b, why, c, g.truth)
	}
	k.arrived++
	if p.heard == nil || int32(g.truth.Seq-p.heard.truth.Seq) >= 0 {
		p.heard = &g
	}
	return answer
}

// carry delivers all at once, and the answers, too.
func (k *talk) carry(end int, gs []parcel) {
	for _, g := range gs {
		for _, a := range k.deliver(end, g) {
			k.deliver(1-end, a)
		}
	}
}

// exchange is a publish of 20 bytes and its acknowledgement, without loss. It returns the bytes
// of both headers.
func (k *talk) exchange(pause time.Duration) int {
	data := k.step(0, 20, pause)
	k.carry(1, data)
	ack := k.step(1, 0, 40*time.Millisecond)
	k.carry(0, ack)
	return len(data[0].b) + len(ack[0].b)
}

// recovers demands that the flow is soon where it was before any loss: nothing is dropped any more
// and headers are short.
func (k *talk) recovers(within time.Duration) {
	k.t.Helper()
	for range 3 {
		k.exchange(within / 3)
	}
	dropped := k.dropped
	for range 2 {
		if n := k.exchange(10 * time.Second); n > 2*10 {
			k.t.Fatalf("a publish and its acknowledgement have %d bytes of headers", n)
		}
	}
	if k.dropped != dropped {
		k.t.Fatal("frames are still dropped")
	}
}

func TestADataSegmentAndItsAcknowledgementNeedAtMostTenBytesEach(t *testing.T) {
	for _, pause := range []time.Duration{
		50 * time.Millisecond, time.Second, 30 * time.Second, 5 * time.Minute, 3 * time.Hour,
	} {
		k := newTalk(t)
		for range 4 {
			k.exchange(pause)
		}
		total := 0
		for range 100 {
			total += k.exchange(pause)
		}
		t.Logf("one every %v: %.2f bytes a header", pause, float64(total)/200)
		if total > 200*10 {
			t.Errorf("one every %v: %.2f bytes a header", pause, float64(total)/200)
		}
	}
}

// TestABulkTransferNeedsAtMostTenBytesAHeader lets one end send a stream that the other
// acknowledges every second segment, half a round trip away.
func TestABulkTransferNeedsAtMostTenBytesAHeader(t *testing.T) {
	for _, tc := range []struct {
		name          string
		every         time.Duration // between two segments
		rtt, segments int
		whole         int // segments in a super-packet
	}{
		{"1 Mbit/s over 200 ms", 10 * time.Millisecond, 20, 4000, 1},
		{"100 Mbit/s over 20 ms", 100 * time.Microsecond, 200, 20000, 1},
		{"1 Gbit/s over 40 ms", 400 * time.Microsecond, 100, 4000, 40},
	} {
		k := newTalk(t)
		type flight struct {
			due, end int
			gs       []parcel
		}
		var air []flight
		bytes, headers := 0, 0
		send := func(i, end int, gs []parcel) {
			air = append(air, flight{i + tc.rtt/2, 1 - end, gs})
			if i > 3*tc.rtt {
				headers += len(gs)
				bytes += len(gs) * len(gs[0].b)
			}
		}
		for i := range tc.segments {
			k.opts = nil
			gs := k.step(1, 1300*tc.whole, tc.every)
			send(i, 1, gs)
			for len(air) > 0 && air[0].due <= i {
				f := air[0]
				air = air[1:]
				for _, g := range f.gs {
					k.deliver(f.end, g)
				}
				if f.end == 0 && f.due%2 == 0 {
					k.opts = func(c *flow.Compact) { c.Window = uint16(500 + i/64%8) }
					send(i, 0, k.step(0, 0, 0))
					k.opts = nil
				}
			}
		}
		average := float64(bytes) / float64(headers)
		t.Logf("%s: %.2f bytes a header, %d headers", tc.name, average, headers)
		if average > 10 || k.dropped > 0 {
			t.Errorf("%s: %.2f bytes a header, %d dropped", tc.name, average, k.dropped)
		}
	}
}
