// SPDX-License-Identifier: Apache-2.0

package node

import (
	"slices"
	"time"

	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/plane"
	"staex/internal/overlay/session"
	"staex/internal/wire"
)

const (
	// drainLife is how long a session's earlier label, and an earlier session, still deliver what
	// was on its way when another took over.
	drainLife = 5 * time.Second
	// idleDrain is the same for a path that was given up unused: as long as relays keep its rows,
	// because the other end may give it up a little later.
	idleDrain = rowLife - pathLife
	// maxDraining bounds the earlier labels of one session.
	maxDraining = 4
	// keptLife is how long the keys of a session without a path are kept after its last frame:
	// longer than offerDaily, so that idle nodes compute nothing.
	keptLife = 2*offerDaily + time.Hour
	// maxResting bounds the sessions without a path; the longest unused goes first (4 kB each).
	maxResting = 1024
)

// enroll makes a session known: it delivers from now on, and may be resumed.
func (n *Node) enroll(now clock.Reading, c *conversation, s *liveSession) {
	n.sessions.last++
	s.conv, s.fast.Key = c, n.sessions.last
	n.sessions.byKey[s.fast.Key], n.sessions.byMine[s.mine] = s, s
	n.learnTags(s)
	s.watch = newTimer(func(now clock.Reading, out *Effects) { n.watchSession(now, s, out) })
	n.timers.arm(s.watch, now.Up+sessionSilence)
	s.fast.Peer = n.peerOf(now, c)
	n.tables.SetRow(plane.Row{
		Kind: plane.RowSession, Label: s.mine, In: s.link.live, Session: s.fast,
		Used: n.rows.byLabel[s.mine].used,
	})
}

// learnTags makes the session found by the asks that its other end may send next.
func (n *Node) learnTags(s *liveSession) {
	for _, t := range s.proof.Expect() {
		n.sessions.byTag[t] = s
	}
}

// forgetTags undoes learnTags; it has to come before the tags change.
func (n *Node) forgetTags(s *liveSession) {
	for _, t := range s.proof.Expect() {
		if n.sessions.byTag[t] == s {
			delete(n.sessions.byTag, t)
		}
	}
}

// establish takes a session with fresh keys. Who was called knows that the caller has them, and
// uses them at once; who called keeps the session it had until it hears the other end in the new.
// Where something must be agreed on first, both wait for that.
func (n *Node) establish(now clock.Reading, c *conversation, s *liveSession, out *Effects) {
	n.enroll(now, c, s)
	n.endDial(now, c)
	if !s.held() && (!s.proof.Began() || c.live == nil) {
		n.promote(now, c, s, out)
		return
	}
	for _, x := range []*liveSession{c.next, c.past} {
		if x != nil {
			n.forgetSession(now, x)
		}
	}
	c.next = s
	n.publish(c)
}

// promote makes a session the one that carries the conversation, and sends what waited. The one
// before it delivers for a while.
func (n *Node) promote(now clock.Reading, c *conversation, s *liveSession, out *Effects) {
	for _, x := range []*liveSession{c.next, c.past} {
		if x != nil && x != s {
			n.forgetSession(now, x)
		}
	}
	n.endResume(now, c)
	c.marked(s.mark)
	c.past, c.live, c.next = c.live, s, nil
	if old := c.past; old != nil {
		n.forgetTags(old)
		n.wake(old)
		n.timers.stop(old.again)
		n.timers.arm(old.watch, now.Up+drainLife)
	}
	if c.end != nil {
		c.end.peer.Client.Reset()
		c.end.told = acceptTries // the other end has our answer
	} else if o := n.openOf(c); o != nil {
		o.told = false
	}
	n.publish(c)
	if c.end == nil {
		n.redialEnds(now, c.key.remote, s.mark)
	}
	n.event(Event{Kind: EventSessionUp, Key: c.key.remote})
	n.reached(now, c, out)
}

// redialEnds ends the pauses of the tunnels with a node that a handshake has shown to have
// restarted: it offers them before its clients could know. What was begun with the program before
// this one comes to nothing.
func (n *Node) redialEnds(now clock.Reading, remote ident.NodeID, mark uint8) {
	for _, t := range n.tunnels.List() {
		end := n.ends[t.ID]
		if t.RemoteNode != remote || end == nil || end.conv == nil || end.conv.mark == mark {
			continue
		}
		c := end.conv
		c.marked(mark)
		c.wait = redialFirst
		begun := c.next != nil && c.next.mark != mark
		if begun {
			n.forgetSession(now, c.next)
		}
		if begun || c.redial.index >= 0 {
			n.timers.sooner(c.redial, max(now.Up, c.anewAt()))
		}
	}
}

// publish tells the fast path which sessions deliver for a tunnel.
func (n *Node) publish(c *conversation) {
	var peer *plane.Peer
	if o := n.openOf(c); c.end != nil {
		peer = c.end.peer
	} else if o != nil && o.open {
		peer = o.peer
	} else {
		return
	}
	fast := func(s *liveSession) *plane.Session {
		if s == nil {
			return nil
		}
		return s.fast
	}
	other := c.next
	if other == nil || other.held() {
		other = c.past
	}
	peer.SetOther(fast(other))
	peer.SetSession(fast(c.live))
}

// reached notes that the other end has the session and a path leads there: what waited is sent.
func (n *Node) reached(now clock.Reading, c *conversation, out *Effects) {
	n.timers.stop(c.redial)
	c.wait = redialFirst
	if c.anew != nil {
		c.anew.want = false
	}
	n.takeFast(out)
	x := c.waiting()
	c.waits = nil
	for _, m := range x.messages {
		n.fast.Message(now.Up, c.live.fast, m)
	}
	if o := n.openOf(c); o != nil {
		if !o.open {
			for _, p := range x.packets {
				n.hold(o, p)
			}
			x.packets = nil
		}
		n.met(now, o)
	}
	for _, p := range x.packets {
		n.takeFast(out)
		n.fast.Outbound(now.Up, p)
	}
	n.takeFast(out)
}

// confirmed takes a sign of life in a session that we began: it may carry the conversation.
func (n *Node) confirmed(now clock.Reading, s *liveSession, out *Effects) {
	if s.conv.next == s && !s.held() {
		n.promote(now, s.conv, s, out)
	}
}

// rest takes the path from a session; its keys, slots and window stay. Frames that come over the
// path are delivered for as long as drain says.
func (n *Node) rest(now clock.Reading, s *liveSession, drain time.Duration) {
	n.timers.stop(s.again)
	s.fast.SetPath(nil)
	n.drain(now, s, s.mine, drain)
	s.link, s.mine, s.out, s.asks = nil, 0, 0, 0
	n.timers.arm(s.watch, max(s.lastUse()+keptLife, now.Up))
	n.sessions.resting = append(n.sessions.resting, s)
	if len(n.sessions.resting) > maxResting {
		n.forgetSession(now, n.sessions.resting[0])
	}
}

// wake takes a session out of the list of those that rest.
func (n *Node) wake(s *liveSession) {
	if i := slices.Index(n.sessions.resting, s); i >= 0 {
		n.sessions.resting = slices.Delete(n.sessions.resting, i, i+1)
	}
}

// drain lets a session's label deliver a little longer and then drops it.
func (n *Node) drain(now clock.Reading, s *liveSession, l wire.Label, d time.Duration) {
	delete(n.sessions.byMine, l)
	m := n.rows.byLabel[l]
	if m == nil || s.draining >= maxDraining {
		n.dropLabel(now, l)
		return
	}
	s.draining++
	n.timers.arm(newTimer(func(now clock.Reading, _ *Effects) {
		s.draining--
		if n.rows.byLabel[l] == m {
			n.dropLabel(now, l)
		}
	}), now.Up+d)
}

// way is one end's side of a path: our label, the neighbour's, and how much it carries.
type way struct {
	link *link
	mine wire.Label
	out  wire.Label
	size int
}

// path is the way as the fast path takes it.
func (w way) path() *plane.Path {
	return &plane.Path{
		Link: w.link.live, Label: w.out, Size: int32(max(w.size, wire.MinDatagram)),
	}
}

// move gives a session another path, at once for both directions.
func (n *Node) move(now clock.Reading, s *liveSession, w way, out *Effects) {
	if s.mine != 0 {
		n.drain(now, s, s.mine, drainLife)
	}
	n.wake(s)
	s.link, s.mine, s.out, s.asks = w.link, w.mine, w.out, 0
	n.sessions.byMine[w.mine] = s
	s.fast.Send.Resync()
	s.fast.SetPath(w.path())
	n.timers.arm(s.watch, now.Up+sessionSilence)
	n.event(Event{Kind: EventSessionMoved, Key: s.conv.key.remote})
	n.reached(now, s.conv, out)
}

// forgetSession takes a session and its keys out of every table.
func (n *Node) forgetSession(now clock.Reading, s *liveSession) {
	n.timers.stop(s.watch)
	n.timers.stop(s.again)
	n.endSessionKEM(s)
	s.fast.SetPath(nil)
	n.wake(s)
	n.forgetTags(s)
	delete(n.sessions.byKey, s.fast.Key)
	delete(n.sizes.narrow, s.fast.Key)
	delete(n.sessions.byMine, s.mine)
	n.dropLabel(now, s.mine)
	c := s.conv
	switch s {
	case c.live:
		n.endResume(now, c)
		c.live = nil
	case c.next:
		c.next = nil
	case c.past:
		c.past = nil
	}
	n.publish(c)
}

// endConversation forgets every session of two keys and what is under way between them.
func (n *Node) endConversation(now clock.Reading, c *conversation) {
	for _, s := range []*liveSession{c.live, c.next, c.past} {
		if s != nil {
			n.forgetSession(now, s)
		}
	}
	n.closeWith(c)
}

// newLive makes a session of the keys that a handshake agreed on.
func (n *Node) newLive(k session.Keys, first bool, flags uint8, w way) *liveSession {
	return &liveSession{
		proof: session.NewProver(k, first), link: w.link, mine: w.mine, out: w.out,
		fast: n.newSession(k, flags, w.link, w.out, w.size), mark: flags >> wire.XKFlagsMark,
	}
}
