// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"encoding/binary"
	"sync"
	"time"

	"staex/internal/overlay/drop"
)

const (
	// markAgain is how long a sender waits for the confirmation of its first mark before it marks
	// again; each further wait is twice as long. It is about the round trip of a mobile network.
	markAgain = 100 * time.Millisecond
	// stampsLen is the size of the timestamps option as every system pads it in front.
	stampsLen = 12
)

// stamps is what the timestamps option begins with: no-operation twice, kind 8, length 10.
const stamps = 0x0101080a

// Counters gives out the counters of a session's frames: n of them, of which it returns the first.
type Counters interface {
	Reserve(n int) (first uint64)
}

// Refs are the references of a session's TCP flows, in both directions: headers that one end has
// marked and the other end holds, so that the next can be written as differences to them. The zero
// value is ready and small until flows come; a flow that has a slot costs 640 bytes. All
// methods may be called from several goroutines.
//
// A reference is named by a number from 0 to 6, and known by the counter of the frame that marked
// it, which never repeats. docs/adr/0013 argues why what is rebuilt is never wrong.
type Refs struct {
	mu    sync.Mutex // guards everything below
	flows []*refFlow // by slot
}

// refFlow is one flow's references.
type refFlow struct {
	flow Flow
	out  marks
	in   holds
}

// ref is what later headers of a flow are compared with.
type ref struct {
	at       uint64 // counter of the frame that carried it; zero: none
	next     uint32 // sequence number behind its payload
	ack      uint32
	val, ecr uint32 // timestamps, if stamped
	window   uint16
	flags    uint16
	stamped  bool
}

// Shorten turns c, the header of a TCP packet of f that is sent at now, into one that needs as few
// bytes as may be, and takes the counters of its frames from next: as many as k.Pieces says for
// c.Len. c must be of KindTCP, have a slot, announce nothing and not be a SYN.
func (r *Refs) Shorten(now time.Duration, f Flow, c *Compact, k Portion, next Counters) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	x := r.of(c.Slot, f)
	whole := newRef(c, k.Total)
	x.encode(now, c, k)
	_, n := k.Pieces(c.Len())
	if n > 1 {
		whole.flags &^= FlagCWR // which the last piece does not have
	}
	first := next.Reserve(n)
	if c.Diff.Mark != NoRef {
		whole.at = first + uint64(n-1)
		x.out.issue(now, whole)
	}
	return first
}

// Restore turns c, the header of a packet of f with that many bytes of payload, which came in the
// frame with counter at, back into one of KindTCP. A header that refers to what is not held, or
// not any more, is drop.NoReference, and one that no sender writes drop.BadContext. If lost is not
// zero, the other end must be told that nothing marked up to this counter is held here.
func (r *Refs) Restore(now time.Duration, f Flow, c *Compact, at uint64, payload int) (
	lost uint64, why drop.Reason,
) {
	r.mu.Lock()
	defer r.mu.Unlock()
	x := r.of(c.Slot, f)
	x.out.report(c.Diff.Held, at)
	if why, known := x.decode(c, at); why != drop.None {
		if known {
			return 0, why
		}
		x.in.forget(at)
		return x.in.tell(now), why
	}
	if c.Diff.Ask {
		x.in.forget(at)
		lost = x.in.tell(now)
	}
	if c.Diff.Mark != NoRef {
		h := newRef(c, payload)
		h.at = at
		x.in.hold(c.Diff.Mark, h)
	}
	c.Kind, c.Diff = KindTCP, Diff{}
	return lost, drop.None
}

// Begin notes that the other end gives the slot to f, in the frame with counter at. What the flow
// before it left behind, here and on its way, is forgotten.
func (r *Refs) Begin(slot uint8, f Flow, at uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if int(slot) < len(r.flows) && r.flows[slot] != nil && r.flows[slot].flow != f {
		x := r.of(slot, f)
		x.in.forget(at)
		x.out.heard = max(x.out.heard, at)
	}
}

// Lost notes that the other end holds no reference of the slot's flow that was marked up to the
// counter upTo, and never will. It said so in the frame with counter at.
func (r *Refs) Lost(slot uint8, upTo, at uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if int(slot) < len(r.flows) && r.flows[slot] != nil {
		r.flows[slot].out.lost(upTo, at)
	}
}

// of returns the references of the flow that has the slot. Those of a flow that had it before are
// forgotten, and what is still on its way cannot bring them back.
func (r *Refs) of(slot uint8, f Flow) *refFlow {
	for len(r.flows) <= int(slot) {
		r.flows = append(r.flows, nil)
	}
	x := r.flows[slot]
	switch {
	case x == nil:
		x = &refFlow{flow: f}
		x.in.newest = NoRef
		r.flows[slot] = x
	case x.flow != f:
		x.flow = f
		x.in.forget(x.in.floor + 1)
		x.out.dead = x.out.last
	}
	return x
}

// newRef is what the other end will know of a header of KindTCP, or one that decode has rebuilt,
// with that many bytes of payload.
func newRef(c *Compact, payload int) ref {
	h := ref{next: c.Seq + uint32(payload), ack: c.Ack, window: c.Window, flags: c.Flags}
	if c.Flags&FlagFIN != 0 {
		h.next++
	}
	if isStamped(c) {
		h.stamped = true
		h.val = binary.BigEndian.Uint32(c.Options[4:])
		h.ecr = binary.BigEndian.Uint32(c.Options[8:])
	}
	return h
}

// isStamped reports whether the options begin with timestamps in the usual form.
func isStamped(c *Compact) bool {
	return c.OptLen >= stampsLen && binary.BigEndian.Uint32(c.Options[:]) == stamps
}

// expected is the header that base and held, which may be nil, let one expect: sequence number,
// window and flags as base left them, the rest as the answer to held.
func expected(base, held *ref) ref {
	e := *base
	if held != nil {
		e.ack = held.next
		if held.stamped {
			e.ecr = held.val
		}
	}
	return e
}

// encode makes c a KindDiff header, with differences if they are possible.
func (x *refFlow) encode(now time.Duration, c *Compact, k Portion) {
	mark, ask := x.out.want(now)
	whole := Diff{Base: NoRef, Held: x.in.newest, Mark: mark, Ask: ask, More: mark != NoRef}
	c.Kind, c.Diff = KindDiff, whole
	base := x.out.base()
	if base == nil || ask || isStamped(c) != base.stamped {
		return
	}
	e := expected(base, x.in.held())
	c.Diff.Base = uint8(x.out.known % numRefs)
	elided := uint8(0)
	if e.stamped {
		elided = stampsLen
	}
	c.OptLen -= elided
	fits := c.compare(&e, 0)
	if fits && k.Total > min(k.Seg, k.Room-c.Len()) { // it takes several pieces
		fits = c.compare(&e, k.Total)
	}
	if !fits {
		c.Diff = whole
		c.OptLen += elided
		return
	}
	copy(c.Options[:c.OptLen], c.Options[elided:])
}

// compare fills in how c, or each piece of a packet of total bytes, differs from what is expected.
// If timestamps are expected, Options has them, and OptLen does not count them any more. It reports
// false if that cannot be said as a difference.
func (c *Compact) compare(e *ref, total int) bool {
	d := &c.Diff
	d.Seq, d.Ack = int32(c.Seq-e.next), int32(c.Ack-e.ack)
	d.SeqLen, d.AckLen = diffLen(d.Seq), diffLen(d.Ack)
	if total > 0 {
		d.SeqLen = max(d.SeqLen, diffLen(d.Seq+int32(total)))
	}
	if e.stamped {
		d.Val = int32(binary.BigEndian.Uint32(c.Options[4:]) - e.val)
		d.Ecr = int32(binary.BigEndian.Uint32(c.Options[8:]) - e.ecr)
		d.ValLen, d.EcrLen = diffLen(d.Val), diffLen(d.Ecr)
	}
	if max(d.SeqLen, d.AckLen, d.ValLen, d.EcrLen) > biggestDiff {
		return false
	}
	const first, last = FlagCWR, FlagFIN // not all pieces have them
	d.Window = c.Window != e.window
	d.Flags = (c.Flags^e.flags)&^FlagPSH != 0 || total > 0 && c.Flags&(first|last) != 0
	d.Push = !d.Flags && c.Flags&FlagPSH != 0
	d.More = d.Mark != NoRef || d.Window || d.Flags || c.OptLen > 0
	return true
}

// decode rebuilds the TCP fields of c. known says, when it cannot, that this end has what is asked
// for in a newer form, or that the header is malformed: nothing is lost then.
func (x *refFlow) decode(c *Compact, at uint64) (why drop.Reason, known bool) {
	d := &c.Diff
	if d.Base == NoRef {
		return drop.None, true
	}
	base := &x.in.refs[d.Base]
	if base.at == 0 || base.at >= at {
		return drop.NoReference, base.at != 0
	}
	var held *ref
	if d.Held != NoRef {
		m := &x.out.sent[d.Held]
		if m.at == 0 || m.heard >= at {
			x.out.forget = m.at == 0
			return drop.NoReference, m.at != 0
		}
		held = &m.ref
	}
	e := expected(base, held)
	c.Seq, c.Ack = e.next+uint32(d.Seq), e.ack+uint32(d.Ack)
	if !d.Window {
		c.Window = e.window
	}
	if !d.Flags {
		c.Flags = e.flags &^ FlagPSH
		if d.Push {
			c.Flags |= FlagPSH
		}
	}
	if !e.stamped {
		if d.ValLen|d.EcrLen != 0 {
			return drop.BadContext, true
		}
		return drop.None, true
	}
	if c.OptLen > maxOptions-stampsLen {
		return drop.BadContext, true
	}
	copy(c.Options[stampsLen:], c.Options[:c.OptLen])
	binary.BigEndian.PutUint32(c.Options[:], stamps)
	binary.BigEndian.PutUint32(c.Options[4:], e.val+uint32(d.Val))
	binary.BigEndian.PutUint32(c.Options[8:], e.ecr+uint32(d.Ecr))
	c.OptLen += stampsLen
	return drop.None, true
}
