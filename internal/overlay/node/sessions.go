// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"

	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/plane"
	"staex/internal/wire"
)

const (
	// maxWaiting bounds the packets that wait for one session, and waitingBytes their size.
	maxWaiting   = 64
	waitingBytes = 128 << 10
	// maxMessages bounds the session messages that wait for one session.
	maxMessages = 16
	// redialFirst is the first wait after a failed set-up; it doubles up to redialCap.
	redialFirst = time.Second
	redialCap   = 60 * time.Second
	// recent is how long after its last packet a session is rebuilt without being asked.
	recent = 5 * time.Minute
	// sessionSilence is how long a session may send without hearing before it asks.
	sessionSilence = 5 * time.Second
	// sessionAsks is how many unanswered questions end a session.
	sessionAsks = 3
	// busySession is how long after its last frame a session is watched closely.
	busySession = 10 * time.Second
	// maxConversations bounds the pairs of keys that talk.
	maxConversations = 8192
)

// pair is the two keys of a conversation.
type pair struct{ local, remote ident.NodeID }

// conversation is two keys that talk: two endpoints of a tunnel, or two nodes. It outlives its
// sessions.
//
//	quiet --packet or message--> dialling --XK done--> live --path lost, busy--> dialling
//	  ^                              |                   |
//	  +--- waits longer each time ---+                   +--- unused for pathLife --> quiet
type conversation struct {
	key      pair
	network  ident.NetworkHash // of the other node, where its certificate said so
	local    *ident.Secret
	end      *tunnelEnd // nil between nodes
	live     *liveSession
	dial     *dial
	redial   *timer
	wait     time.Duration
	packets  [][]byte
	size     int
	messages [][]byte
	answered time.Duration // last answer to a request to confirm
}

// liveSession is a session that both ends have.
type liveSession struct {
	conv  *conversation
	fast  *plane.Session
	link  *link
	mine  wire.Label
	out   wire.Label
	msg3  []byte // initiator: repeated until the other end is heard
	asks  int
	watch *timer
	again *timer
}

// sessionBook finds conversations and sessions.
type sessionBook struct {
	byPair map[pair]*conversation
	byKey  map[uint64]*liveSession // the number the fast path knows it by
	byMine map[wire.Label]*liveSession
	halves map[wire.Label]*halfSession
	last   uint64
}

func (b *sessionBook) init() {
	b.byPair = map[pair]*conversation{}
	b.byKey = map[uint64]*liveSession{}
	b.byMine = map[wire.Label]*liveSession{}
	b.halves = map[wire.Label]*halfSession{}
}

// byPath finds the session whose frames leave to a link under a label.
func (b *sessionBook) byPath(l *link, out wire.Label) *liveSession {
	for _, s := range b.byMine {
		if s.link == l && s.out == out {
			return s
		}
	}
	return nil
}

// conversationWith returns the conversation of two keys, making it when there is none.
func (n *Node) conversationWith(local *ident.Secret, remote ident.NodeID,
	end *tunnelEnd,
) *conversation {
	k := pair{local.ID(), remote}
	c := n.sessions.byPair[k]
	if c == nil {
		if len(n.sessions.byPair) >= maxConversations {
			n.forgetQuiet()
		}
		c = &conversation{key: k, local: local, end: end, wait: redialFirst}
		c.redial = newTimer(func(now clock.Reading, _ *Effects) { n.startDial(now, c) })
		n.sessions.byPair[k] = c
	}
	return c
}

// forgetQuiet makes room by dropping conversations between nodes that have nothing going on.
func (n *Node) forgetQuiet() {
	for _, c := range n.conversations() {
		if c.end == nil && c.live == nil && c.dial == nil && len(c.messages) == 0 {
			n.timers.stop(c.redial)
			delete(n.sessions.byPair, c.key)
		}
	}
}

// conversations lists them in the order of their keys.
func (n *Node) conversations() []*conversation {
	return slices.SortedFunc(maps.Values(n.sessions.byPair), func(a, b *conversation) int {
		if c := a.key.local.Compare(b.key.local); c != 0 {
			return c
		}
		return a.key.remote.Compare(b.key.remote)
	})
}

// liveSessions lists the sessions in the order they came up.
func (n *Node) liveSessions() []*liveSession {
	return slices.SortedFunc(maps.Values(n.sessions.byKey), func(a, b *liveSession) int {
		return cmp.Compare(a.fast.Key, b.fast.Key)
	})
}

// FromHost takes a packet, behind its offload header, that the plane could not place because its
// tunnel has no session or no way yet. It waits, bounded, until there is one.
func (n *Node) FromHost(now clock.Reading, pkt []byte, out *Effects) {
	n.look(now)
	defer n.finish(now, out)
	peer := n.fast.Outbound(now.Up, pkt)
	if peer == nil {
		return
	}
	end := n.endByKey(peer.Key)
	if end == nil || end.conv == nil {
		n.count(drop.NoSession)
		return
	}
	c := end.conv
	if len(c.packets) >= maxWaiting || c.size+len(pkt) > waitingBytes {
		n.count(drop.QueueFull)
		return
	}
	c.packets = append(c.packets, append([]byte(nil), pkt...))
	c.size += len(pkt)
	if c.dial == nil && c.redial.index < 0 {
		n.startDial(now, c)
	}
}

// Send queues a session message and starts a session if there is none.
func (n *Node) sendMessage(now clock.Reading, c *conversation, typ uint8, body []byte) {
	plain := append(wire.AppendSession(nil, typ), body...)
	if c.live != nil && n.fast.Message(now.Up, c.live.fast, plain) {
		n.watchSoon(now, c.live)
		return
	}
	if len(c.messages) >= maxMessages {
		n.count(drop.QueueFull)
		return
	}
	c.messages = append(c.messages, plain)
	if c.dial == nil && c.redial.index < 0 {
		n.startDial(now, c)
	}
}

// establish makes a session the one that carries the conversation, and sends what waited.
func (n *Node) establish(now clock.Reading, c *conversation, s *liveSession, out *Effects) {
	if old := c.live; old != nil {
		n.forgetSession(now, old)
	}
	n.endDial(now, c)
	n.timers.stop(c.redial)
	c.wait = redialFirst
	n.sessions.last++
	s.conv, s.fast.Key, c.live = c, n.sessions.last, s
	n.sessions.byKey[s.fast.Key], n.sessions.byMine[s.mine] = s, s
	s.watch = newTimer(func(now clock.Reading, out *Effects) { n.watchSession(now, s, out) })
	n.timers.arm(s.watch, now.Up+sessionSilence)
	if c.end != nil {
		s.fast.Peer = c.end.peer
		c.end.peer.Client.Reset()
		c.end.peer.SetSession(s.fast)
	}
	n.tables.SetRow(plane.Row{
		Kind: plane.RowSession, Label: s.mine, In: s.link.live, Session: s.fast,
		Used: n.rows.byLabel[s.mine].used,
	})
	n.event(Event{Kind: EventSessionUp, Key: c.key.remote})
	n.takeFast(out)
	for _, m := range c.messages {
		n.fast.Message(now.Up, s.fast, m)
	}
	c.messages = nil
	waiting := c.packets
	c.packets, c.size = nil, 0
	for _, p := range waiting {
		n.takeFast(out)
		n.fast.Outbound(now.Up, p)
	}
	n.takeFast(out)
}

// forgetSession takes a session out of every table.
func (n *Node) forgetSession(now clock.Reading, s *liveSession) {
	n.timers.stop(s.watch)
	n.timers.stop(s.again)
	s.fast.SetPath(nil)
	delete(n.sessions.byKey, s.fast.Key)
	delete(n.sessions.byMine, s.mine)
	n.dropLabel(now, s.mine)
	c := s.conv
	if c.live == s {
		c.live = nil
		if c.end != nil {
			c.end.peer.SetSession(nil)
		}
	}
}

// sessionPathLost ends a session whose way is gone; a busy conversation dials again at once.
func (n *Node) sessionPathLost(now clock.Reading, s *liveSession) {
	c := s.conv
	used := max(s.fast.Heard(), s.fast.Sent())
	n.forgetSession(now, s)
	n.event(Event{Kind: EventSessionDown, Key: c.key.remote, Text: "path lost"})
	if now.Up-used < recent && c.dial == nil {
		c.wait = redialFirst
		n.timers.sooner(c.redial, now.Up)
	}
}

// sessionsLost ends the sessions whose frames leave through a link.
func (n *Node) sessionsLost(now clock.Reading, l *link) {
	for _, s := range n.liveSessions() {
		if s.link == l {
			n.sessionPathLost(now, s)
		}
	}
}

// resumeSessions dials again for every conversation that a lost parent interrupted.
func (n *Node) resumeSessions(now clock.Reading) {
	for _, c := range n.conversations() {
		if c.redial.index >= 0 {
			c.wait = redialFirst
			n.timers.arm(c.redial, now.Up)
		}
	}
}

// watchSoon makes sure that a session which sends is looked at.
func (n *Node) watchSoon(now clock.Reading, s *liveSession) {
	n.timers.sooner(s.watch, now.Up+sessionSilence)
}

// watchSession asks a silent session for a sign of life and ends one that is dead or unused.
func (n *Node) watchSession(now clock.Reading, s *liveSession, out *Effects) {
	used := max(s.fast.Heard(), s.fast.Sent())
	waiting := s.fast.Waiting()
	switch {
	case now.Up-used >= pathLife:
		n.forgetSession(now, s)
		return
	case waiting == 0:
		s.asks = 0
	case now.Up-waiting >= sessionSilence:
		if s.asks++; s.asks > sessionAsks {
			n.sessionPathLost(now, s)
			return
		}
		f := wire.PathHandshake{Label: s.out, Stage: wire.StageConfirm}
		out.send(s.link.live.Addr(), f.Append(nil))
		n.timers.arm(s.watch, now.Up+time.Second)
		return
	}
	if now.Up-used < busySession {
		n.timers.arm(s.watch, now.Up+sessionSilence)
		return
	}
	n.timers.arm(s.watch, used+pathLife)
}

// fromEarly takes a data frame that the fast path met before it knew the session: the first data
// follow message 3 so closely that both are read in one batch.
func (n *Node) fromEarly(now clock.Reading, from netip.AddrPort, b []byte, out *Effects) {
	if mine, ok := wire.PeekLabel(b); !ok || n.sessions.byMine[mine] == nil {
		n.count(drop.NoSession)
		return
	}
	n.takeFast(out)
	n.fast.Inbound(now.Up, from, b, len(b))
	for _, p := range n.fast.Packets {
		out.Deliver = append(out.Deliver, bytes.Clone(p))
	}
	seen := slices.Clone(n.fast.Notices)
	for i := range seen {
		seen[i].Body = bytes.Clone(seen[i].Body)
	}
	n.takeFast(out)
	n.noticed(now, seen, out)
}

// Notice takes what the fast path saw.
func (n *Node) Notice(now clock.Reading, seen []plane.Notice, out *Effects) {
	n.look(now)
	defer n.finish(now, out)
	n.noticed(now, seen, out)
}

func (n *Node) noticed(now clock.Reading, seen []plane.Notice, out *Effects) {
	for _, x := range seen {
		switch x.Kind {
		case plane.NoticeUnknownLabel:
			n.unknownLabel(now, x)
		case plane.NoticeUnknownLink:
			n.unknownLink(now, x, out)
		case plane.NoticeWrongSource:
			n.wrongSource(now, x, out)
		case plane.NoticeBusy:
			if s := n.sessions.byKey[x.Session.Key]; s != nil {
				n.watchSoon(now, s)
			}
		case plane.NoticeSession:
			if s := n.sessions.byKey[x.Session.Key]; s != nil {
				n.fromSession(now, s, x.Body)
			}
		}
	}
}

// fromSession acts on one session message.
func (n *Node) fromSession(now clock.Reading, s *liveSession, plain []byte) {
	m, err := wire.ParseSession(plain)
	if err != nil {
		n.count(drop.BadFrame)
		return
	}
	if m.Type == wire.SessionConfirm {
		return // opening it was the sign of life
	}
	if m.Type == wire.SessionClose {
		n.forgetSession(now, s)
		return
	}
	if s.conv.end != nil {
		n.count(drop.BadType)
		return
	}
	if err := n.fromNode(now, s.conv, m); err != nil {
		n.count(drop.BadFrame)
	}
}
