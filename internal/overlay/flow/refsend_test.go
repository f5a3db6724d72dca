// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"bytes"
	"runtime"
	"testing"
	"time"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/flow"
)

// restore gives a header to an end without looking at what it becomes.
func restore(k *talk, end int, b []byte, at uint64) (flow.Compact, uint64, drop.Reason) {
	var c flow.Compact
	if _, why := c.Decode(b); why != drop.None {
		return c, 0, why
	}
	lost, why := k.ends[end].refs.Restore(k.now, phone, &c, at, 20)
	return c, lost, why
}

func TestAnEndThatHoldsNothingSaysSoAndHearsWholeHeadersARoundTripLater(t *testing.T) {
	k := newTalk(t)
	for range 3 {
		k.exchange(time.Second)
	}
	other := phone
	other.Port++
	k.ends[1].refs.Begin(3, other, 1000) // as if the slot had been another flow's for a moment
	g := k.step(0, 20, time.Second)[0]
	g.at += 2000
	answer := k.deliver(1, g)
	if k.dropped != 1 || len(answer) != 1 || answer[0].upTo != g.at {
		t.Fatalf("%d dropped, answers %+v", k.dropped, answer)
	}
	if again := k.deliver(1, parcel{at: g.at + 1, b: g.b}); again != nil {
		t.Error("it says so twice at once")
	}
	k.deliver(0, answer[0])
	var c flow.Compact
	g = k.step(0, 20, 0)[0]
	if _, why := c.Decode(g.b); why != drop.None || c.Diff.Base != flow.NoRef {
		t.Errorf("the next header is %x, not a whole one", g.b)
	}
}

func TestASlotThatGoesToAnotherFlowLeavesNothingBehind(t *testing.T) {
	k := newTalk(t)
	for range 3 {
		k.exchange(time.Second)
	}
	late := k.step(0, 20, time.Second)[0]
	other := phone
	other.Port++
	k.ends[1].refs.Begin(3, other, late.at+1)
	c, lost, why := restore(k, 1, late.b, late.at)
	if why != drop.NoReference || lost == 0 {
		t.Errorf("a late header of the flow before is %+v, %v, lost %d", c, why, lost)
	}
	for range 3 {
		k.ends[1].refs.Begin(3, other, late.at+2) // announced again: nothing new
	}
}

func TestMarksThatAreAllLostAreReplacedOnRequest(t *testing.T) {
	k := newTalk(t)
	for range 3 {
		k.exchange(time.Second)
	}
	for range 7 {
		k.step(0, 20, 5*time.Second) // all lost
	}
	if k.told != 0 {
		t.Fatal("told too early")
	}
	k.exchange(5 * time.Second)
	if k.told != 1 {
		t.Fatalf("%d messages", k.told)
	}
	k.recovers(3 * time.Second)
	if k.dropped != 0 {
		t.Errorf("%d frames dropped", k.dropped)
	}
}

func TestATimestampDifferenceToAReferenceWithoutTimestampsIsMalformed(t *testing.T) {
	k := newTalk(t)
	k.opts = func(c *flow.Compact) { c.OptLen, c.Options = 0, [40]byte{} }
	for range 3 {
		k.exchange(time.Second)
	}
	g := k.step(0, 20, time.Second)[0]
	if len(g.b) > 5 {
		t.Errorf("a header without timestamps has %d bytes", len(g.b))
	}
	bad := append([]byte{}, g.b...)
	bad[3] = 1 // a difference of the echo
	if _, _, why := restore(k, 1, append(bad, 0x40), g.at); why != drop.BadContext {
		t.Errorf("it is %v", why)
	}
	k.opts = nil
	k.recovers(time.Second) // and back to timestamps
}

func TestOptionsThatDoNotFitBehindTimestampsAreMalformed(t *testing.T) {
	k := newTalk(t)
	for range 3 {
		k.exchange(time.Second)
	}
	k.opts = func(c *flow.Compact) { c.OptLen = 40 }
	g := k.step(0, 20, time.Second)[0]
	k.opts = nil
	n := len(g.b) - 28 - 1
	bad := append(append([]byte{}, g.b[:n]...), 8)
	bad = append(bad, make([]byte, 32)...)
	if _, _, why := restore(k, 1, bad, g.at); why != drop.BadContext {
		t.Errorf("it is %v", why)
	}
	if k.deliver(1, g); k.arrived != 7 {
		t.Error("28 bytes of other options did not arrive")
	}
}

func TestAFlowFromBeginningToEndIsRebuilt(t *testing.T) {
	k := newTalk(t)
	for i, change := range []func(*flow.Compact){
		func(*flow.Compact) {},
		func(c *flow.Compact) { c.Flags |= flow.FlagECE },
		func(c *flow.Compact) { c.Flags |= flow.FlagCWR | flow.FlagPSH },
		func(c *flow.Compact) { c.Window = 0 },
		func(c *flow.Compact) { c.Seq-- }, // a keep-alive of TCP
		func(c *flow.Compact) { c.Seq -= 5_000_000 },
		func(c *flow.Compact) { c.Seq += 1 << 30 },
		func(c *flow.Compact) { c.Ack += 1 << 23 },
		func(c *flow.Compact) { c.Options[4] ^= 0x80 },
		func(c *flow.Compact) { c.ECN, c.DSCP = 3, 10 },
		func(c *flow.Compact) { c.Flags |= flow.FlagNS | 0xe00 },
		func(c *flow.Compact) { c.OptLen, c.Options[13], c.Options[20] = 24, 5, 7 },
		func(c *flow.Compact) { c.Options[0] = 8 }, // timestamps that are not in front
		func(c *flow.Compact) { c.Flags |= flow.FlagFIN },
		func(c *flow.Compact) { c.Flags, c.OptLen, c.Options = flow.FlagRST, 0, [40]byte{} },
	} {
		for _, bytes := range []int{0, 20, 5000} {
			k.exchange(time.Second)
			k.opts = change
			k.carry(1, k.step(0, bytes, time.Second))
			k.carry(0, k.step(1, bytes, time.Second))
			k.opts = nil
		}
		if k.dropped != 0 {
			t.Fatalf("change %d: dropped", i)
		}
	}
}

// FuzzRestore plays a peer that is authenticated and writes nonsense.
// bare in the fuzzed number of exchanges before says that they have no timestamps.
const bare = 0x80

func FuzzRestore(f *testing.F) {
	for _, tc := range headers {
		if b := unhex(f, tc.hex); flow.KindOf(b[0]) == flow.KindDiff {
			f.Add(b, uint64(100), uint8(2))
		}
	}
	f.Add(unhex(f, "04 03 ab 88 20 45144503"), uint64(100), uint8(1))
	f.Add(unhex(f, "04 03 7c 00"), uint64(1), uint8(1))
	f.Add(unhex(f, "04 03 5c 00"), uint64(3), uint8(1))
	for which := range 256 { // every reference named, with differences of every length behind
		for _, lengths := range []byte{0, 0x1f, 0x55, 0xff} {
			b := append([]byte{4, 3, byte(which), lengths}, bytes.Repeat([]byte{0x80}, 60)...)
			f.Add(b, uint64(100), uint8(2))
			f.Add(b, uint64(100), uint8(2|bare))
			b[4] = 0
			f.Add(b, uint64(100), uint8(2|bare))
		}
		// Timestamps and 40 bytes of other options do not fit a header.
		long := append([]byte{4, 3, byte(which), 0, 0xe4, 10}, make([]byte, 40)...)
		f.Add(long, uint64(100), uint8(2))
	}
	f.Fuzz(func(t *testing.T, b []byte, at uint64, before uint8) {
		k := newTalk(t)
		if before&bare != 0 {
			k.opts = func(c *flow.Compact) { c.OptLen, c.Options = 0, options() }
		}
		for range before % 8 {
			k.exchange(time.Second)
		}
		if len(b) == 0 || flow.KindOf(b[0]) != flow.KindDiff {
			return
		}
		c, lost, why := restore(k, 1, b, at)
		switch why {
		case drop.None:
			if c.Kind != flow.KindTCP || flow.HeaderLen(&c) > flow.MaxHeaderLen {
				t.Fatalf("%x becomes %+v", b, c)
			}
			c.Append(nil)
		case drop.NoReference, drop.BadContext, drop.Short:
		default:
			t.Fatalf("%x: %v", b, why)
		}
		if lost > at && lost > uint64(k.ends[0].count) {
			t.Fatalf("lost up to %d", lost)
		}
	})
}

// TestBothDirectionsMayWorkAtOnce is for the race detector: one goroutine sends what another
// receives on the same end.
func TestBothDirectionsMayWorkAtOnce(t *testing.T) {
	k := newTalk(t)
	done := make(chan bool)
	there := k.step(0, 20, time.Second)[0]
	go func() {
		for i := range uint64(1000) {
			var c flow.Compact
			c.Decode(there.b)
			k.ends[1].refs.Restore(time.Second, phone, &c, 1+i, 20)
			k.ends[1].refs.Lost(3, i/2, i)
		}
		close(done)
	}()
	for range 1000 {
		k.step(1, 0, 0)
	}
	<-done
}

func TestReferencesOfAFullSessionFit170Kilobytes(t *testing.T) {
	const sessions, limit = 20, 170_000
	held := make([]flow.Refs, sessions)
	before := inHeap()
	var count counter
	for i := range held {
		for slot := range uint8(flow.MaxSlots) {
			c := flow.Compact{Kind: flow.KindTCP, Slot: slot, Flags: flow.FlagACK}
			f := flow.Flow{Proto: flow.ProtoTCP, Port: uint16(slot)}
			held[i].Shorten(time.Second, f, &c, flow.Portion{Seg: 1, Room: room}, &count)
		}
	}
	each := (inHeap() - before) / sessions
	t.Logf("%d flows cost %d B", flow.MaxSlots, each)
	if each > limit {
		t.Errorf("%d flows cost %d B, at most %d", flow.MaxSlots, each, limit)
	}
	runtime.KeepAlive(held)
}

func inHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
