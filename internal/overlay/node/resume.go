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
	// anewFirst is the least time between two handshakes that "no session" caused; it doubles up
	// to redialCap, because a relay can say so without being asked. After one that showed that the
	// other end has restarted the doubling begins anew, and redialFirst is enough.
	anewFirst = 5 * time.Second
	// anewForget is how long after the last one the doubling begins anew.
	anewForget = 10 * time.Minute
)

// resume is a new path under construction for a session that both ends have.
//
//	resting --need, or a new parent--> asking --answer--> moved
//	                                     |  \--refused--> waits and asks again
//	                                     \--no session--> dials, the keys of old stay until then
type resume struct {
	conv *conversation
	s    *liveSession
	id   [8]byte
	mine wire.Label
}

// anew is the handshake that the other end's "no session" calls for.
type anew struct {
	want  bool
	began time.Duration // the last one
	wait  time.Duration // from then to the next
}

func (a *anew) wanted() bool { return a != nil && a.want }

// begin notes that the handshake begins.
func (a *anew) begin(now clock.Reading) {
	a.began, a.wait = now.Up, min(max(anewFirst, 2*a.wait), redialCap)
}

// marked takes the mark of the other end's program from a handshake. With a new one "no session" is
// the truth, and no relay can make that up.
func (c *conversation) marked(mark uint8) {
	if a := c.anew; a != nil && mark != c.mark {
		a.wait = min(a.wait, redialFirst)
	}
	c.mark = mark
}

// startResume asks the other end of the live session for a new path under the keys of old.
func (n *Node) startResume(now clock.Reading, c *conversation) {
	to, local := n.nextHop(c.key.remote, nil)
	if local || to == nil || c.resume != nil {
		n.dialLater(now, c)
		return
	}
	s := c.live
	mine, ok := n.newRow(now, plane.Row{Kind: plane.RowSession, Session: s.fast}, to, nil)
	if !ok {
		n.dialLater(now, c)
		return
	}
	r := &resume{conv: c, s: s, mine: mine}
	n.random(r.id[:])
	proof, ok := s.proof.Ask(s.fast.Send, r.id)
	c.resume = r
	p := wire.Path{
		Dest: c.key.remote, ID: r.id, Kind: wire.PathResume, Back: mine,
		Body: wire.Resume(proof).Append(nil),
	}
	if !ok || !n.askPath(now, p, r) {
		n.endResume(now, c)
		n.dialLater(now, c)
	}
}

// endResume gives up the path that is asked for. Its label still delivers for a moment: the other
// end may use it already.
func (n *Node) endResume(now clock.Reading, c *conversation) {
	if r := c.resume; r != nil {
		c.resume = nil
		n.drain(now, r.s, r.mine, drainLife)
	}
}

// pathNo is for asker: there is no such path now, or no such session.
func (r *resume) pathNo(n *Node, now clock.Reading, _ *setup, reason uint8) {
	c := r.conv
	if c.resume != r {
		return
	}
	n.endResume(now, c)
	switch {
	case r.s.fast.Path() != nil: // the other end was faster, or the old path still stands
	case reason == wire.PathNoSession:
		n.startAnew(now, c)
	default:
		n.dialLater(now, c)
	}
}

// startAnew begins a handshake because the other end says that it has no session.
func (n *Node) startAnew(now clock.Reading, c *conversation) {
	c.wantAnew(now)
	n.timers.arm(c.redial, max(now.Up, c.anewAt()))
}

// wantAnew has the next handshake wait as one that "no session" called for.
func (c *conversation) wantAnew(now clock.Reading) {
	if a := c.anew; a == nil || now.Up >= a.began+a.wait+anewForget {
		c.anew = &anew{}
	}
	c.anew.want = true
}

// pathOK is for asker: the path stands, if the answer proves that the other end has the session.
func (r *resume) pathOK(n *Node, now clock.Reading, s *setup, ok wire.PathOK, out *Effects) {
	c := r.conv
	if c.resume != r {
		return
	}
	p, err := wire.ParseResume(ok.Body)
	if err != nil {
		n.count(drop.BadFrame)
	} else if err = r.s.proof.CheckAnswer(r.s.fast.Recv, r.id, session.Proof(p)); err != nil {
		n.count(unopened(err))
	}
	if err != nil || n.rows.byLabel[r.mine] == nil {
		n.endResume(now, c)
		n.dialLater(now, c)
		return
	}
	c.resume = nil
	n.move(now, r.s, way{s.to, r.mine, ok.Label, s.size}, out)
}

// answerResume answers an ask to resume a session; it returns why not, or 0. Nothing moves before
// the proof was checked.
func (n *Node) answerResume(now clock.Reading, l *link, p wire.Path, out *Effects) uint8 {
	body, err := wire.ParseResume(p.Body)
	if err != nil {
		n.count(drop.BadFrame)
		return wire.PathRefused
	}
	s := n.sessions.byTag[body.Tag]
	if s == nil || s.conv.key.local != p.Dest {
		n.count(drop.NoSession)
		return wire.PathNoSession
	}
	c := s.conv
	if c.end != nil && !c.end.t.Active(n.moment(c.end.t.Network)) {
		n.count(drop.TunnelDisabled)
		return wire.PathRefused
	}
	n.forgetTags(s)
	err = s.proof.CheckAsk(s.fast.Recv, p.ID, session.Proof(body))
	n.learnTags(s)
	if err != nil {
		n.count(unopened(err))
		if unopened(err) == drop.Replay {
			return wire.PathRefused
		}
		return wire.PathNoSession
	}
	return n.moveTo(now, s, l, p, out)
}

// moveTo moves a session to the path that its other end asked for, and says so.
func (n *Node) moveTo(now clock.Reading, s *liveSession, l *link, p wire.Path,
	out *Effects,
) uint8 {
	c := s.conv
	mine, ok := n.newRow(now, plane.Row{Kind: plane.RowSession, Session: s.fast}, l, l)
	proof, ok2 := s.proof.Answer(s.fast.Send, p.ID)
	if !ok || !ok2 {
		n.dropLabel(now, mine)
		return wire.PathQuota
	}
	n.confirmed(now, s, out)
	if c.key.local.Compare(c.key.remote) > 0 {
		n.endResume(now, c) // both asked; the lower key's path is the one that stays
	}
	size := min(int(p.Size), l.live.Size())
	m := wire.PathOK{
		ID: p.ID, Label: mine, Size: uint16(size), Body: wire.Resume(proof).Append(nil),
	}
	n.tell(l, wire.ControlPathOK, m.Append(nil))
	n.move(now, s, way{l, mine, p.Back, size}, out)
	return 0
}

// resumeSessions moves every session that was in use lately to a new parent, and dials again for
// every conversation that a lost one interrupted.
func (n *Node) resumeSessions(now clock.Reading) {
	for _, c := range n.conversations() {
		s := c.live
		switch {
		case s != nil && s.link != nil && !s.link.toward: // it leads to a child
		case s != nil && now.Up-s.lastUse() < recent && !c.anew.wanted():
			n.endResume(now, c)
			c.wait = redialFirst
			n.startResume(now, c)
		case c.redial.index >= 0:
			c.wait = redialFirst
			n.timers.arm(c.redial, max(now.Up, c.anewAt()))
		}
	}
}

// anewAt is the earliest moment for a handshake that "no session" called for, else zero.
func (c *conversation) anewAt() time.Duration {
	if !c.anew.wanted() {
		return 0
	}
	return c.anew.began + c.anew.wait
}
