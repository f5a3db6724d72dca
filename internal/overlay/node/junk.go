// SPDX-License-Identifier: Apache-2.0

package node

import (
	"time"

	"staex/internal/clock"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/plane"
	"staex/internal/overlay/session"
	"staex/internal/wire"
)

const (
	// junkFrames is how many frames of one label may fail to open in junkSpan: damage and the end
	// of old keys make a few.
	junkFrames = 16
	junkSpan   = time.Minute
	// maxJunk bounds the labels of which that is counted.
	maxJunk = 256
	// hopLife is how long frames carry hop MACs after they were asked for.
	hopLife = 10 * time.Minute
	// hopMargin is how much sooner the asker stops to insist: the other end begins later.
	hopMargin = 10 * time.Second
	// hopAgain is the least time between two requests for one label that a neighbour is heard on;
	// each may travel to the other end of the path.
	hopAgain = time.Second
	// maxHopRows bounds the labels with hop MACs, which cost the fast path a hash for each frame.
	maxHopRows = 1024
)

// junkBook is what this node knows about frames that nobody sealed for their session.
type junkBook struct {
	counts map[wire.Label]junkCount
	hops   int // rows with hop MACs
}

// junkCount is how many such frames came under a label since a moment.
type junkCount struct {
	since time.Duration
	count int
}

func (b *junkBook) init() { b.counts = map[wire.Label]junkCount{} }

// hop is the hop MACs of one label: those that what comes in must have, and those that what goes
// on gets.
//
//	           junk here, or told of junk by the next hop
//	(none) --------------------------------------------------> guarded, signing if told
//	   ^                                                         |   |
//	   +------------- hopLife, and few frames were stopped ------+   | more: asks again
//	                                                             ^---+
type hop struct {
	guard  *plane.Guard
	key    *session.HopKey // for what goes on
	seen   uint64          // frames that the guard had stopped when it was last looked at
	told   time.Duration   // when the next hop last reported junk; 0: it never did
	lift   *timer          // end of the guard
	unsign *timer          // end of the signing
}

// junkCame counts frames that did not open. When they are many, the neighbour is asked to mark its
// own, so that what others send under its address can be told from them.
func (n *Node) junkCame(now clock.Reading, x plane.Notice) {
	m, l := n.rows.byLabel[x.Label], n.links.byLive(x.Link)
	if m == nil || l == nil || m.in != l {
		return
	}
	c := n.junk.counts[x.Label]
	if c.since == 0 || now.Up-c.since >= junkSpan {
		if len(n.junk.counts) >= maxJunk {
			clear(n.junk.counts)
		}
		c = junkCount{since: now.Up}
	}
	c.count += x.Count
	n.junk.counts[x.Label] = c
	if c.count > junkFrames && (m.hop == nil || m.hop.guard == nil) {
		n.guard(now, m)
	}
}

// hopOf returns the hop MACs of a row, beginning with none; nil when there are too many.
func (n *Node) hopOf(m *rowMeta) *hop {
	if m.hop == nil {
		if n.junk.hops >= maxHopRows {
			n.count(drop.Quota)
			return nil
		}
		n.junk.hops++
		m.hop = &hop{}
		m.hop.lift = newTimer(func(now clock.Reading, _ *Effects) { n.guardDue(now, m) })
		m.hop.unsign = newTimer(func(clock.Reading, *Effects) { n.sign(m, nil) })
	}
	return m.hop
}

// guard asks the neighbour whose label it is for hop MACs, or to go on with them.
func (n *Node) guard(now clock.Reading, m *rowMeta) {
	h := n.hopOf(m)
	if h == nil || m.in.kem != nil || n.links.byID[m.in.id] != m.in {
		return
	}
	if h.guard == nil {
		_, come := hopKeys(m.in)
		h.guard, h.seen = plane.NewGuard(come), 0
		n.publishHop(m)
	}
	n.tell(m.in, wire.ControlJunk, wire.Junk{Label: m.label}.Append(nil))
	n.timers.arm(h.lift, now.Up+hopLife-hopMargin)
}

// guardDue ends a guard that had little to do, and goes on with one that is needed.
func (n *Node) guardDue(now clock.Reading, m *rowMeta) {
	h := m.hop
	stopped := h.guard.Junk() - h.seen
	if h.seen += stopped; stopped > junkFrames {
		n.guard(now, m)
		return
	}
	h.guard = nil
	n.publishHop(m)
	n.settleHop(m)
}

// fromJunk takes a neighbour's word that there is junk among what comes from us under a label: our
// frames get hop MACs, and a relay asks for them in turn.
func (n *Node) fromJunk(now clock.Reading, l *link, b []byte) error {
	j, err := wire.ParseJunk(b)
	if err != nil {
		return err
	}
	m := n.rows.byOut[outKey{l.id, j.Label}]
	if s := n.sessions.byPath(l, j.Label); s != nil {
		m = n.rows.byLabel[s.mine]
	}
	if m == nil {
		return nil
	}
	h := n.hopOf(m)
	if h == nil {
		return nil
	}
	if h.told != 0 && now.Up-h.told < hopAgain {
		n.count(drop.Quota)
		return nil
	}
	h.told = now.Up
	goes, _ := hopKeys(l)
	n.sign(m, goes)
	n.timers.arm(h.unsign, now.Up+hopLife)
	n.tell(l, wire.ControlJunkOK, wire.JunkOK(j).Append(nil))
	if m.to != nil {
		n.guard(now, m)
	}
	return nil
}

// fromJunkOK takes a neighbour's word that its frames under a label carry hop MACs.
func (n *Node) fromJunkOK(l *link, b []byte) error {
	j, err := wire.ParseJunkOK(b)
	if err != nil {
		return err
	}
	m := n.rows.byLabel[j.Label]
	if m == nil || m.in != l || m.hop == nil || m.hop.guard == nil {
		n.count(drop.Stranger)
		return nil
	}
	m.hop.guard.Enforce()
	return nil
}

// sign puts hop MACs on what leaves by a row, or on what its session sends; nil: no more.
func (n *Node) sign(m *rowMeta, key *session.HopKey) {
	m.hop.key = key
	if m.to != nil {
		n.publishHop(m)
	} else if s := n.sessions.byMine[m.label]; s != nil && s.fast.Path() != nil {
		s.fast.SignPath(key)
	}
	if key == nil {
		m.hop.told = 0
		n.settleHop(m)
	}
}

// settleHop forgets the hop MACs of a row that has none any more.
func (n *Node) settleHop(m *rowMeta) {
	if m.hop.guard == nil && m.hop.told == 0 {
		n.forgetHop(m)
	}
}

func (n *Node) forgetHop(m *rowMeta) {
	if m.hop != nil {
		n.timers.stop(m.hop.lift)
		n.timers.stop(m.hop.unsign)
		n.junk.hops--
		m.hop = nil
	}
}

// liftHops ends the hop MACs to and from a neighbour whose link gets new keys.
func (n *Node) liftHops(l *link) {
	if n.junk.hops == 0 {
		return
	}
	for _, m := range n.rowsOf(l) {
		if m.hop == nil {
			continue
		}
		if m.in == l {
			m.hop.guard = nil
			n.timers.stop(m.hop.lift)
			n.publishHop(m)
		}
		if m.to == l || m.to == nil {
			n.timers.stop(m.hop.unsign)
			n.sign(m, nil)
			continue
		}
		n.settleHop(m)
	}
}

// publishHop tells the fast path of a row's hop MACs.
func (n *Node) publishHop(m *rowMeta) {
	r, ok := n.tables.Row(m.label)
	if !ok {
		return
	}
	r.Hop = &plane.Hop{Guard: m.hop.guard, Sign: m.hop.key}
	if m.to == nil {
		r.Hop.Sign = nil // what a session sends does not pass its row
	}
	if *r.Hop == (plane.Hop{}) {
		r.Hop = nil
	}
	n.tables.SetRow(r)
}

// hopKeys are the keys for what goes to a neighbour and for what comes from it.
func hopKeys(l *link) (goes, come *session.HopKey) {
	up, down := session.HopKeys(l.digest)
	if l.toward {
		return up, down
	}
	return down, up
}
