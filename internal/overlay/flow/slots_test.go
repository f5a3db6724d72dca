// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"staex/internal/overlay/flow"
)

func flowNo(n int) flow.Flow {
	return flow.Flow{Proto: flow.ProtoUDP, Port: uint16(n), Target: uint8(n >> 16)}
}

func TestAFlowIsAnnouncedUntilItsSlotIsConfirmed(t *testing.T) {
	var s flow.ClientSlots
	a, b := flowNo(1), flowNo(2)
	check := func(what string, f flow.Flow, slot uint8, announce bool) {
		t.Helper()
		if gotSlot, gotAnnounce := s.Get(0, f); gotSlot != slot || gotAnnounce != announce {
			t.Errorf("%s: slot %d, announce %v", what, gotSlot, gotAnnounce)
		}
	}
	check("new", a, 0, true)
	check("again", a, 0, true)
	check("another", b, 1, true)
	s.Confirm(0)
	s.Confirm(77)
	s.Unknown(77)
	check("confirmed", a, 0, false)
	check("not confirmed", b, 1, true)
	s.Unknown(0)
	check("forgotten by the server", a, 0, true)
	s.Confirm(0)
	s.Reset()
	check("in a new session", a, 0, true)
}

func TestASlotIsReboundOnlyAfterTwoQuietMinutes(t *testing.T) {
	var s flow.ClientSlots
	for i := range flow.MaxSlots {
		s.Get(time.Duration(i), flowNo(i))
		s.Confirm(uint8(i))
	}
	late := flow.SlotQuiet - 1
	if slot, announce := s.Get(late, flowNo(1000)); slot != flow.NoSlot || !announce {
		t.Errorf("a flow too many: slot %d, announce %v", slot, announce)
	}
	s.Lookup(late, 0, flow.ProtoUDP, false) // hearing keeps slot 0, so slot 1 is the oldest
	if slot, _ := s.Get(flow.SlotQuiet, flowNo(1000)); slot != flow.NoSlot {
		t.Errorf("slot %d was given away although it was heard", slot)
	}
	if slot, announce := s.Get(flow.SlotQuiet+1, flowNo(1000)); slot != 1 || !announce {
		t.Errorf("after two minutes: slot %d, announce %v", slot, announce)
	}
	if slot, announce := s.Get(flow.SlotQuiet+2, flowNo(1)); slot != 2 || !announce {
		t.Errorf("the flow that lost its slot: slot %d, announce %v", slot, announce)
	}
}

func TestAClientKnowsOnlyTheFlowsItOpened(t *testing.T) {
	var s flow.ClientSlots
	for i := range flow.MaxSlots + 1 {
		s.Get(0, flowNo(i))
	}
	for _, tc := range []struct {
		f    flow.Flow
		want bool
	}{
		{flowNo(0), true},
		{flowNo(flow.MaxSlots), true}, // has no slot
		{flowNo(flow.MaxSlots + 1), false},
		{flow.Flow{Proto: flow.ProtoTCP}, false},
		{flow.Flow{Proto: flow.ProtoUDP, V6: true}, false},
	} {
		if got := s.Has(tc.f); got != tc.want {
			t.Errorf("%+v: %v", tc.f, got)
		}
	}
	if f, ok := s.Lookup(0, 9, flow.ProtoUDP, false); !ok || f != flowNo(9) {
		t.Errorf("slot 9: %+v, %v", f, ok)
	}
	if _, ok := s.Lookup(0, 9, flow.ProtoTCP, false); ok {
		t.Error("a TCP frame takes a UDP slot")
	}
	if _, ok := s.Lookup(0, 9, flow.ProtoUDP, true); ok {
		t.Error("an IPv6 frame takes an IPv4 slot")
	}
	if _, ok := s.Lookup(0, flow.NoSlot, flow.ProtoUDP, false); ok {
		t.Error("NoSlot stands for a flow")
	}
}

func TestAServerConfirmsASlotFiveTimesASecond(t *testing.T) {
	var s flow.ServerSlots
	confirmed := 0
	for ms := range 1000 {
		if s.Announce(time.Duration(ms)*time.Millisecond, 4, flowNo(1)) {
			confirmed++
		}
	}
	if confirmed != 5 {
		t.Errorf("%d confirmations", confirmed)
	}
	if s.Announce(time.Minute, flow.NoSlot, flowNo(2)) {
		t.Error("NoSlot is confirmed")
	}
}

func TestAServerKnowsOnlyWhatWasAnnounced(t *testing.T) {
	var s flow.ServerSlots
	if _, ok := s.Lookup(0, 4, flow.ProtoUDP, false); ok {
		t.Error("a slot is known before it was announced")
	}
	if _, _, ok := s.Reverse(0, flowNo(1)); ok {
		t.Error("a flow is known before it was announced")
	}
	s.Announce(0, 4, flowNo(1))
	if f, ok := s.Lookup(0, 4, flow.ProtoUDP, false); !ok || f != flowNo(1) {
		t.Errorf("slot 4: %+v, %v", f, ok)
	}
	if _, ok := s.Lookup(0, 4, flow.ProtoTCP, false); ok {
		t.Error("a TCP frame takes a UDP slot")
	}
	if _, ok := s.Lookup(0, 3, flow.ProtoUDP, false); ok {
		t.Error("slot 3 was never announced")
	}
}

func TestAnswersUseTheClientsSlotWhileItIsSure(t *testing.T) {
	var s flow.ServerSlots
	s.Announce(0, 4, flowNo(1))
	s.Announce(0, flow.NoSlot, flowNo(2))
	check := func(what string, now time.Duration, f flow.Flow, slot uint8, announce bool) {
		t.Helper()
		gotSlot, gotAnnounce, ok := s.Reverse(now, f)
		if gotSlot != slot || gotAnnounce != announce || !ok {
			t.Errorf("%s: slot %d, announce %v, ok %v", what, gotSlot, gotAnnounce, ok)
		}
	}
	check("fresh", flow.SlotSure-1, flowNo(1), 4, false)
	check("quiet for a minute", flow.SlotSure, flowNo(1), 4, true)
	check("without a slot", 0, flowNo(2), flow.NoSlot, true)
	s.Lookup(flow.SlotSure, 4, flow.ProtoUDP, false)
	check("heard again", flow.SlotSure+1, flowNo(1), 4, false)
	s.Announce(flow.SlotSure, 4, flowNo(3))
	check("rebound", flow.SlotSure, flowNo(3), 4, false)
	check("that lost its slot", flow.SlotSure, flowNo(1), flow.NoSlot, true)
	s.Announce(flow.SlotSure, flow.NoSlot, flowNo(3))
	check("without its slot now", flow.SlotSure, flowNo(3), flow.NoSlot, true)
	if _, ok := s.Lookup(0, 4, flow.ProtoUDP, false); ok {
		t.Error("the slot that was taken back still stands for something")
	}
}

func TestFlowsWithoutASlotAreBounded(t *testing.T) {
	var s flow.ServerSlots
	const many = flow.MaxFlows - flow.MaxSlots
	for i := range many {
		s.Announce(0, flow.NoSlot, flowNo(i))
	}
	s.Reverse(0, flowNo(0)) // used: flow 1 is the oldest now
	s.Announce(0, flow.NoSlot, flowNo(many))
	for i, want := range map[int]bool{0: true, 1: false, 2: true, many: true} {
		if _, _, ok := s.Reverse(0, flowNo(i)); ok != want {
			t.Errorf("flow %d is known: %v", i, ok)
		}
	}
}

func TestOnlyUDPAndTCPHaveFlows(t *testing.T) {
	want := [8]uint8{flow.KindUDP: 17, flow.KindTCP: 6, flow.KindFull: 6}
	for k, proto := range want {
		if got := flow.ProtoOf(flow.Kind(k)); got != proto {
			t.Errorf("kind %d: protocol %d, want %d", k, got, proto)
		}
	}
}

// naiveClient is the twin of ClientSlots: slices searched from the front.
type naiveClient struct {
	slots []naiveSlot
	loose []flow.Flow // oldest first
}

type naiveSlot struct {
	f         flow.Flow
	used      time.Duration
	confirmed bool
	bound     bool          // server only
	confirmAt time.Duration // server only
}

func touch(l []flow.Flow, f flow.Flow) []flow.Flow {
	l = append(forget(l, f), f)
	return l[max(0, len(l)-(flow.MaxFlows-flow.MaxSlots)):]
}

func forget(l []flow.Flow, f flow.Flow) []flow.Flow {
	return slices.DeleteFunc(l, func(g flow.Flow) bool { return f == g })
}

func (c *naiveClient) get(now time.Duration, f flow.Flow) (uint8, bool) {
	for i := range c.slots {
		if c.slots[i].f == f {
			c.slots[i].used = now
			return uint8(i), !c.slots[i].confirmed
		}
	}
	if len(c.slots) < flow.MaxSlots {
		c.slots = append(c.slots, naiveSlot{f: f, used: now})
		c.loose = forget(c.loose, f)
		return uint8(len(c.slots) - 1), true
	}
	best := 0
	for i, s := range c.slots {
		if s.used < c.slots[best].used {
			best = i
		}
	}
	if now-c.slots[best].used < flow.SlotQuiet {
		c.loose = touch(c.loose, f)
		return flow.NoSlot, true
	}
	c.loose = touch(c.loose, c.slots[best].f)
	c.slots[best] = naiveSlot{f: f, used: now}
	c.loose = forget(c.loose, f)
	return uint8(best), true
}

func (c *naiveClient) lookup(now time.Duration, slot, proto uint8, v6 bool) (flow.Flow, bool) {
	if int(slot) >= len(c.slots) || c.slots[slot].f.Proto != proto || c.slots[slot].f.V6 != v6 {
		return flow.Flow{}, false
	}
	c.slots[slot].used = now
	return c.slots[slot].f, true
}

func (c *naiveClient) has(f flow.Flow) bool {
	for i := range c.slots {
		if c.slots[i].f == f {
			return true
		}
	}
	if slices.Contains(c.loose, f) {
		c.loose = touch(c.loose, f)
		return true
	}
	return false
}

func (c *naiveClient) mark(slot uint8, confirmed bool) {
	if int(slot) < len(c.slots) {
		c.slots[slot].confirmed = confirmed
	}
}

// someFlow favours few flows, so that they meet, but knows more than there are slots.
func someFlow(r *rand.Rand) flow.Flow {
	f := flowNo(r.IntN(300))
	if r.IntN(3) == 0 {
		f = flowNo(r.IntN(5000))
	}
	if r.IntN(4) == 0 {
		f.Proto = flow.ProtoTCP
	}
	f.V6 = r.IntN(8) == 0
	return f
}

func TestClientSlotsDoWhatTheirTwinDoes(t *testing.T) {
	for seed := range uint64(2) {
		r := dice(200 + seed)
		var s flow.ClientSlots
		var twin naiveClient
		var now time.Duration
		for i := range 8000 {
			now += time.Duration(r.IntN(300)) * time.Millisecond
			f, slot := someFlow(r), uint8(r.Uint32())
			switch r.IntN(8) {
			case 0:
				s.Confirm(slot)
				twin.mark(slot, true)
			case 1:
				s.Unknown(slot)
				twin.mark(slot, false)
			case 2:
				a, aok := s.Lookup(now, slot, f.Proto, f.V6)
				b, bok := twin.lookup(now, slot, f.Proto, f.V6)
				if a != b || aok != bok {
					t.Fatalf("seed %d, step %d: lookup %v %v, twin %v %v", seed, i, a, aok, b, bok)
				}
			case 3:
				if a, b := s.Has(f), twin.has(f); a != b {
					t.Fatalf("seed %d, step %d: has %v, twin %v", seed, i, a, b)
				}
			default:
				a, aa := s.Get(now, f)
				b, ba := twin.get(now, f)
				if a != b || aa != ba {
					t.Fatalf("seed %d, step %d: get %d %v, twin %d %v", seed, i, a, aa, b, ba)
				}
			}
		}
	}
}

// naiveServer is the twin of ServerSlots.
type naiveServer struct {
	slots [flow.MaxSlots]naiveSlot
	loose []flow.Flow
}

func (n *naiveServer) slotOf(f flow.Flow) int {
	return slices.IndexFunc(n.slots[:], func(s naiveSlot) bool { return s.bound && s.f == f })
}

func (n *naiveServer) announce(now time.Duration, slot uint8, f flow.Flow) bool {
	if i := n.slotOf(f); i >= 0 && i != int(slot) {
		n.slots[i].bound = false
	}
	if slot == flow.NoSlot {
		n.loose = touch(n.loose, f)
		return false
	}
	s := &n.slots[slot]
	if s.bound && s.f != f {
		n.loose = touch(n.loose, s.f)
	}
	n.loose = forget(n.loose, f)
	s.f, s.bound, s.used = f, true, now
	if s.confirmed && now-s.confirmAt < flow.ConfirmPeriod {
		return false
	}
	s.confirmed, s.confirmAt = true, now
	return true
}

func (n *naiveServer) lookup(now time.Duration, slot, proto uint8, v6 bool) (flow.Flow, bool) {
	if slot == flow.NoSlot {
		return flow.Flow{}, false
	}
	s := &n.slots[slot]
	if !s.bound || s.f.Proto != proto || s.f.V6 != v6 {
		return flow.Flow{}, false
	}
	s.used = now
	return s.f, true
}

func (n *naiveServer) reverse(now time.Duration, f flow.Flow) (uint8, bool, bool) {
	if i := n.slotOf(f); i >= 0 {
		return uint8(i), now-n.slots[i].used >= flow.SlotSure, true
	}
	if slices.Contains(n.loose, f) {
		n.loose = touch(n.loose, f)
		return flow.NoSlot, true, true
	}
	return flow.NoSlot, true, false
}

func TestServerSlotsDoWhatTheirTwinDoes(t *testing.T) {
	for seed := range uint64(2) {
		r := dice(300 + seed)
		var s flow.ServerSlots
		var twin naiveServer
		var now time.Duration
		for i := range 8000 {
			now += time.Duration(r.IntN(200)) * time.Millisecond
			f, slot := someFlow(r), uint8(r.Uint32())
			if r.IntN(2) == 0 {
				slot = uint8(r.IntN(4))
			}
			switch r.IntN(4) {
			case 0:
				a, aok := s.Lookup(now, slot, f.Proto, f.V6)
				b, bok := twin.lookup(now, slot, f.Proto, f.V6)
				if a != b || aok != bok {
					t.Fatalf("seed %d, step %d: lookup %v %v, twin %v %v", seed, i, a, aok, b, bok)
				}
			case 1:
				a, aa, aok := s.Reverse(now, f)
				b, ba, bok := twin.reverse(now, f)
				if a != b || aa != ba || aok != bok {
					t.Fatalf("seed %d, step %d: reverse %d %v %v, twin %d %v %v", seed, i,
						a, aa, aok, b, ba, bok)
				}
			default:
				if a, b := s.Announce(now, slot, f), twin.announce(now, slot, f); a != b {
					t.Fatalf("seed %d, step %d: announce %v, twin %v", seed, i, a, b)
				}
			}
		}
	}
}

func TestSlotsInUseAreNotAllocated(t *testing.T) {
	var c flow.ClientSlots
	var s flow.ServerSlots
	for i := range 2 * flow.MaxFlows { // full, with and without slots
		slot, _ := c.Get(0, flowNo(i))
		s.Announce(0, slot, flowNo(i))
	}
	i := 0
	if n := testing.AllocsPerRun(2000, func() {
		i += 7
		f := flowNo(i % 3000)
		slot, _ := c.Get(0, f)
		s.Announce(0, slot, f)
		s.Lookup(0, slot, f.Proto, f.V6)
		s.Reverse(0, f)
		c.Has(f)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
