// SPDX-License-Identifier: Apache-2.0

package flow

import "time"

// numRefs is how many numbers references have in each direction of a flow. Six in a row may get
// lost before the sender must ask; that takes it more than six seconds.
const numRefs = NoRef

// marks are the references that one end has issued for a flow. They are counted from 1; the one
// with count n has the number n modulo numRefs.
//
//	1 ... dead                 the other end does not hold them and never will
//	      known                the newest that it says it holds, if known > dead
//	      ... last             issued, nothing heard of them
//
// From known, or behind dead, to last there are at most numRefs, so all numbers differ.
type marks struct {
	sent              [numRefs]mark
	last, known, dead uint64
	heard             uint64        // highest counter of a frame of the other end's that counted
	lastAt            time.Duration // when the last was issued, or the other end asked to forget
	forget            bool          // the other end names what was never issued: ask it to forget
}

// mark is one reference that was issued.
type mark struct {
	ref
	heard uint64 // marks.heard then: a frame up to this counter means an earlier mark
}

// base returns the newest reference that the other end holds, or nil.
func (m *marks) base() *ref {
	if m.known <= m.dead {
		return nil
	}
	return &m.sent[m.known%numRefs].ref
}

// want says what the next header is to be: a mark with a number, or a request to forget, because
// all numbers are taken by marks of which nothing was heard.
func (m *marks) want(now time.Duration) (number uint8, ask bool) {
	if m.forget {
		return NoRef, true
	}
	open := m.last - max(m.known, m.dead)
	if open > 0 && now-m.lastAt < markAgain<<(open-1) {
		return NoRef, false
	}
	if open >= numRefs-1 {
		m.lastAt = now
		return NoRef, true
	}
	return uint8((m.last + 1) % numRefs), false
}

// issue notes that a header went out as the next mark.
func (m *marks) issue(now time.Duration, h ref) {
	m.last++
	m.sent[m.last%numRefs] = mark{h, m.heard}
	m.lastAt = now
}

// report notes the number of the newest mark that the other end holds, as it says in the frame
// with counter at. Only a frame later than all before counts: what is held only grows newer.
func (m *marks) report(number uint8, at uint64) {
	if at <= m.heard {
		return
	}
	m.heard = at
	if number == NoRef {
		m.dead = max(m.dead, m.known) // it held the one that is known, so it has forgotten
		return
	}
	for n := m.last; n > max(m.known, m.dead); n-- {
		if uint8(n%numRefs) == number {
			m.known = n
			return
		}
	}
}

// lost notes that no mark from frames up to the counter upTo is held, nor will be.
func (m *marks) lost(upTo, at uint64) {
	m.heard, m.forget = max(m.heard, at), false
	for n := m.last; n > m.dead && n+numRefs > m.last; n-- {
		if m.sent[n%numRefs].at <= upTo {
			m.dead = n
			return
		}
	}
}

// holds are the references that one end holds of those that the other has issued for a flow.
type holds struct {
	refs   [numRefs]ref
	newest uint8         // or NoRef
	floor  uint64        // counter of the newest, or up to which all is forgotten
	told   time.Duration // when the other end was last told of that
}

// held returns the newest reference, or nil.
func (h *holds) held() *ref {
	if h.newest == NoRef {
		return nil
	}
	return &h.refs[h.newest]
}

// hold keeps a reference if it is newer than all before. One that comes late would never be used.
func (h *holds) hold(number uint8, r ref) {
	if r.at > h.floor {
		h.refs[number], h.newest, h.floor = r, number, r.at
	}
}

// forget drops all references, if none is newer than the frame with counter at, and with them all
// that are still on their way from before it.
func (h *holds) forget(at uint64) {
	if at > h.floor {
		h.refs, h.newest, h.floor = [numRefs]ref{}, NoRef, at
	}
}

// tell returns the counter up to which nothing is held if it is time to tell the other end, else
// zero.
func (h *holds) tell(now time.Duration) uint64 {
	if h.newest != NoRef || h.told != 0 && now-h.told < ConfirmPeriod {
		return 0
	}
	h.told = now
	return h.floor
}
