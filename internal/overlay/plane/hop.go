// SPDX-License-Identifier: Apache-2.0

package plane

import (
	"sync/atomic"
	"time"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/session"
	"staex/internal/wire"
)

// askEvery is how often a path handshake may pass a guarded label: one has no hop MAC, and the end
// of a session asks no more often whether the other one is there.
const askEvery = time.Second

// Hop is the hop MACs of one label. It never changes.
type Hop struct {
	Guard *Guard          // holds what comes to it; nil: nothing does
	Sign  *session.HopKey // makes those for the next hop; nil: it wants none
}

// sign is the key for the next hop, or nil.
func (r *Row) sign() *session.HopKey {
	if r.Hop == nil {
		return nil
	}
	return r.Hop.Sign
}

// guard is what holds the row's frames to a hop MAC, or nil.
func (r *Row) guard() *Guard {
	if r.Hop == nil {
		return nil
	}
	return r.Hop.Guard
}

// Guard is what a label's frames are held to once junk came under it. Until the neighbour has
// shown that it makes hop MACs, frames without one pass.
//
//	asked --first good MAC, or Enforce--> enforced
type Guard struct {
	key      *session.HopKey
	enforced atomic.Bool
	junk     atomic.Uint64
	asked    atomic.Int64 // when a path handshake last passed, on the Up clock
}

// NewGuard returns a guard that checks under the key of what comes from the neighbour.
func NewGuard(key *session.HopKey) *Guard { return &Guard{key: key} }

// Enforce says that the neighbour makes hop MACs from now on.
func (g *Guard) Enforce() { g.enforced.Store(true) }

// Junk is how many frames the guard has stopped.
func (g *Guard) Junk() uint64 { return g.junk.Load() }

// passes reports whether a data frame may go on, and counts it if not.
func (g *Guard) passes(f []byte) bool {
	switch {
	case !wire.HasHopMAC(f[0]):
		if !g.enforced.Load() {
			return true
		}
	case g.key.Check(f):
		if !g.enforced.Load() {
			g.enforced.Store(true)
		}
		return true
	}
	g.junk.Add(1)
	return false
}

// passesAsk reports whether a path handshake may go on.
func (g *Guard) passesAsk(now time.Duration) bool {
	if g == nil || !g.enforced.Load() {
		return true
	}
	last := g.asked.Load()
	if now-time.Duration(last) >= askEvery && g.asked.CompareAndSwap(last, int64(now)) {
		return true
	}
	g.junk.Add(1)
	return false
}

// bare checks the hop MAC of a data frame, if its row wants one, and returns how long the frame is
// without it; 0 means that it is already counted as dropped.
func (w *Worker) bare(r *Row, f []byte) int {
	if g := r.guard(); g != nil && !g.passes(f) {
		w.drop(drop.HopMac)
		return 0
	}
	if !wire.HasHopMAC(f[0]) {
		return len(f)
	}
	if len(f) < wire.MinDataSize+wire.HopMACSize {
		w.drop(drop.Short)
		return 0
	}
	return len(f) - wire.HopMACSize
}

// carry sends a data frame on to the next hop: in place if it keeps its length, else as a copy in
// the send buffer.
func (w *Worker) carry(now time.Duration, r *Row, b []byte, o, e, seg int) {
	n := w.bare(r, b[o:e])
	grown := n
	if r.sign() != nil {
		grown += wire.HopMACSize
	}
	switch {
	case n == 0:
	case grown == e-o:
		w.transit(now, r, b, o, e, seg)
	default:
		w.resized(now, r, b[o:o+n], grown)
	}
}

// resized sends a frame on that has no hop MAC on this side or had none on the other.
func (w *Worker) resized(now time.Duration, r *Row, f []byte, size int) {
	if len(w.Buf)-w.n < size {
		w.drop(drop.QueueFull)
		return
	}
	if !w.mayPass(now, r, size) {
		return
	}
	o := w.n
	b := append(w.Buf[o:o], f...)
	wire.SetLabel(b, r.Out)
	key := r.sign()
	if wire.SetHopMAC(b, key != nil); key != nil {
		b = key.Append(b)
	}
	w.n += len(b)
	w.Runs = join(w.Runs, o, len(b), r.To)
}

// unopened counts a frame that did not open, so that the slow path hears of junk on a label.
func (w *Worker) unopened(r *Row) {
	if w.junk.Label != r.Label {
		w.tellJunk()
		w.junk = Notice{Kind: NoticeJunk, Label: r.Label, Link: r.In}
	}
	w.junk.Count++
}

// tellJunk reports the junk of one label in this batch.
func (w *Worker) tellJunk() {
	if w.junk.Count > 0 {
		w.notice(w.junk)
	}
	w.junk = Notice{}
}
