// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"sync"
	"time"
)

// Bounds and periods of flow slots.
const (
	// MaxSlots is how many slots a session has; the 256th number is NoSlot.
	MaxSlots = 255
	// MaxFlows is how many flows each end of a session remembers, those without a slot included:
	// as many as one busy client has, and small enough for a leaf (about 200 kB when full).
	MaxFlows = 4096
	// SlotQuiet is how long a slot must be unused before its number is given to another flow. It
	// is longer than any frame that still names the old flow can be on its way.
	SlotQuiet = 120 * time.Second
	// SlotSure is how long after hearing from the client on a slot the server still uses it
	// without announcing: half of SlotQuiet, so the client cannot have rebound it in between.
	SlotSure = SlotQuiet / 2
	// ConfirmPeriod is the least time between two confirmations of a slot.
	ConfirmPeriod = 200 * time.Millisecond

	// AskPeriod and AskBurst bound how often a server asks for flows that it does not remember. TCP
	// repeats a packet after 200 ms at the earliest, so that each stream of a busy camera is asked
	// for soon.
	AskPeriod = 12500 * time.Microsecond
	AskBurst  = 16

	maxLoose = MaxFlows - MaxSlots
)

// Flow is one conversation in a tunnel: what the two ends must agree on to leave the ports away.
type Flow struct {
	Proto  uint8 // ProtoTCP or ProtoUDP
	V6     bool
	Target uint8  // index of the server's port in the tunnel's targets
	Port   uint16 // the client's port
}

// key packs a Flow into one word, which a map compares faster than a struct.
func (f Flow) key() uint64 {
	k := uint64(f.Port) | uint64(f.Target)<<16 | uint64(f.Proto)<<24
	if f.V6 {
		k |= 1 << 32
	}
	return k
}

// matches reports whether a frame of this protocol and family may belong to f.
func (f Flow) matches(proto uint8, v6 bool) bool { return f.Proto == proto && f.V6 == v6 }

// ProtoOf returns the Flow.Proto of packets of kind k, zero for a kind that has no flow.
func ProtoOf(k Kind) uint8 {
	switch k {
	case KindUDP:
		return ProtoUDP
	case KindTCP, KindFull, KindDiff:
		return ProtoTCP
	case KindControl, KindEcho, KindError, KindWhole, KindPart:
	}
	return 0
}

// clientSlot is one number and the flow it stands for.
type clientSlot struct {
	flow      Flow
	used      time.Duration // last sent or heard
	confirmed bool
}

// ClientSlots gives slots to the flows of a client's end of a session. The zero value is ready,
// and small until flows come. All methods may be called from several goroutines.
//
//	            Get                    Confirm
//	(free) ────────────▶ announced ───────────────▶ confirmed
//	                      ▲  ▲   │                    │   │
//	                      │  └───┼── Unknown, Reset ──┘   │
//	                      └──────┴─ Get of another flow ──┘
//	                                after SlotQuiet unused
type ClientSlots struct {
	mu     sync.Mutex // guards everything below
	slots  []clientSlot
	byFlow map[uint64]uint8 // flow key to slot
	loose  looseFlows
	retry  time.Duration // while all slots are taken: none is quiet before this moment
}

// Get returns how to mark a packet of f sent at now: the slot, or NoSlot if all are in use, and
// whether target and port must be announced with it.
func (s *ClientSlots) Get(now time.Duration, f Flow) (slot uint8, announce bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := f.key()
	if slot, ok := s.byFlow[key]; ok {
		c := &s.slots[slot]
		c.used = now
		return slot, !c.confirmed
	}
	slot, ok := s.take(now)
	if !ok {
		s.loose.touch(f)
		return NoSlot, true
	}
	s.loose.remove(f)
	s.slots[slot] = clientSlot{flow: f, used: now}
	if s.byFlow == nil {
		s.byFlow = make(map[uint64]uint8)
	}
	s.byFlow[key] = slot
	return slot, true
}

// take finds a slot for a new flow: the next number never used, else the one unused for longest
// if that is long enough.
func (s *ClientSlots) take(now time.Duration) (uint8, bool) {
	if len(s.slots) < MaxSlots {
		s.slots = append(s.slots, clientSlot{})
		return uint8(len(s.slots) - 1), true
	}
	if now < s.retry {
		return 0, false
	}
	oldest := 0
	for i := range s.slots {
		if s.slots[i].used < s.slots[oldest].used {
			oldest = i
		}
	}
	if quiet := s.slots[oldest].used + SlotQuiet; now < quiet {
		s.retry = quiet // uses only move forward, so nothing can be quiet sooner
		return 0, false
	}
	// The flow that had the number may still hear from the server, by announcement.
	delete(s.byFlow, s.slots[oldest].flow.key())
	s.loose.touch(s.slots[oldest].flow)
	return uint8(oldest), true
}

// Confirm notes that the server knows the slot. An unknown slot is ignored.
func (s *ClientSlots) Confirm(slot uint8) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if int(slot) < len(s.slots) {
		s.slots[slot].confirmed = true
	}
}

// Unknown notes that the server does not know the slot: its flow is announced again.
func (s *ClientSlots) Unknown(slot uint8) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if int(slot) < len(s.slots) {
		s.slots[slot].confirmed = false
	}
}

// Reset notes that the server may know no slot at all, as in a new session. Flows keep their
// slots and are announced again.
func (s *ClientSlots) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.slots {
		s.slots[i].confirmed = false
	}
}

// Lookup returns the flow of a frame that came from the server with a slot and no announcement.
// It is false for a slot never given, or given to a flow of another protocol or family.
func (s *ClientSlots) Lookup(now time.Duration, slot, proto uint8, v6 bool) (Flow, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if int(slot) >= len(s.slots) || !s.slots[slot].flow.matches(proto, v6) {
		return Flow{}, false
	}
	s.slots[slot].used = now
	return s.slots[slot].flow, true
}

// Has reports whether f, announced by the server, is a flow that this client opened and still
// remembers; nothing else may come in.
func (s *ClientSlots) Has(f Flow) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.byFlow[f.key()]
	return ok || s.loose.find(f)
}

// Recall returns the slot, or NoSlot, under which f can be announced, if this client opened f and
// still remembers it.
func (s *ClientSlots) Recall(now time.Duration, f Flow) (slot uint8, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slot, ok = s.byFlow[f.key()]; ok {
		s.slots[slot].used = now
		return slot, true
	}
	return NoSlot, s.loose.find(f)
}

// serverSlot is one number as the server knows it.
type serverSlot struct {
	flow      Flow
	bound     bool
	sent      bool          // confirmed holds a moment
	heard     time.Duration // last frame from the client that named the slot
	confirmed time.Duration // last confirmation
}

// ServerSlots is the server's end's memory of what the client announced. The zero value is
// ready, and small until flows come. All methods may be called from several goroutines.
type ServerSlots struct {
	mu     sync.Mutex // guards everything below
	slots  []serverSlot
	byFlow map[uint64]uint8 // flow key to slot
	loose  looseFlows       // flows without a slot
	asked  time.Duration    // questions about flows are paid for until this moment
}

// MayAsk reports whether the client may be asked now about a flow that is not remembered, and
// counts the question: AskBurst of them at once, and one in AskPeriod.
func (s *ServerSlots) MayAsk(now time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	paid := max(s.asked, now)
	if paid-now > (AskBurst-1)*AskPeriod {
		return false
	}
	s.asked = paid + AskPeriod
	return true
}

// Announce notes a frame that announced f, with a slot or with NoSlot, and reports whether the
// slot should be confirmed to the client now. The newest announcement wins.
func (s *ServerSlots) Announce(now time.Duration, slot uint8, f Flow) (confirm bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := f.key()
	if old, ok := s.byFlow[key]; ok && old != slot {
		s.slots[old].bound = false
		delete(s.byFlow, key)
	}
	if slot == NoSlot {
		s.loose.touch(f)
		return false
	}
	for len(s.slots) <= int(slot) {
		s.slots = append(s.slots, serverSlot{})
	}
	c := &s.slots[slot]
	if c.bound && c.flow != f {
		// The flow that had the number may still be answered, with an announcement.
		delete(s.byFlow, c.flow.key())
		s.loose.touch(c.flow)
	}
	s.loose.remove(f)
	if s.byFlow == nil {
		s.byFlow = make(map[uint64]uint8)
	}
	s.byFlow[key] = slot
	c.flow, c.bound, c.heard = f, true, now
	if c.sent && now-c.confirmed < ConfirmPeriod {
		return false
	}
	c.sent, c.confirmed = true, now
	return true
}

// Lookup returns the flow of a frame from the client with a slot and no announcement. It is
// false for a slot that was not announced, or was for another protocol or family: the client
// must be told.
func (s *ServerSlots) Lookup(now time.Duration, slot, proto uint8, v6 bool) (Flow, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if int(slot) >= len(s.slots) {
		return Flow{}, false
	}
	c := &s.slots[slot]
	if !c.bound || !c.flow.matches(proto, v6) {
		return Flow{}, false
	}
	c.heard = now
	return c.flow, true
}

// Reverse returns how to mark an answer to f, a flow the client opened: its slot and whether
// target and port must be announced. ok is false if no such flow is remembered.
func (s *ServerSlots) Reverse(now time.Duration, f Flow) (slot uint8, announce, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slot, ok := s.byFlow[f.key()]; ok {
		// Only hearing from the client proves that the number still means this flow to it.
		return slot, now-s.slots[slot].heard >= SlotSure, true
	}
	return NoSlot, true, s.loose.find(f)
}
