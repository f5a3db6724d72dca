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
	"staex/internal/overlay/session"
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
//	quiet --packet or message--> dialling --XK done--> live --path lost, unused--> resting
//	  ^                           |  ^  ^               ^                           |   |
//	  +-- waits longer each time -+  |  +-- used up     +--- resumed, busy or needed +   |
//	  ^                              +------ "no session" --------------------------+   |
//	  +------------------------------------- unused for keptLife -----------------------+
type conversation struct {
	key      pair
	network  ident.NetworkHash // of the other node, where its certificate said so
	local    *ident.Secret
	end      *tunnelEnd   // nil between nodes
	live     *liveSession // carries the traffic; while it rests it only receives
	next     *liveSession // begun by us, not confirmed yet
	past     *liveSession // the one before live, for what is on the way
	dial     *dial
	resume   *resume
	anew     *anew // nil unless the other end has said that it has no session
	redial   *timer
	wait     time.Duration
	mark     uint8         // of the other end's program, 0 unless known
	waits    *waits        // nil while nothing does
	answered time.Duration // last answer to a request to confirm
}

// busy reports whether a handshake or a new path is under way.
func (c *conversation) busy() bool { return c.dial != nil || c.resume != nil }

// reachable reports whether there is a session with a path.
func (c *conversation) reachable() bool { return c.live != nil && c.live.link != nil }

// waits is what waits for the other end of a conversation.
type waits struct {
	packets  [][]byte
	size     int // of the packets, in bytes
	messages [][]byte
}

// waiting returns what waits, an empty one if nothing does; it is not for adding to.
func (c *conversation) waiting() waits {
	if c.waits == nil {
		return waits{}
	}
	return *c.waits
}

// queue returns what waits, to add to it.
func (c *conversation) queue() *waits {
	if c.waits == nil {
		c.waits = &waits{}
	}
	return c.waits
}

// liveSession is a session that both ends have, with its path if it has one. There may be many
// thousands, so it is kept small.
type liveSession struct {
	conv     *conversation
	fast     *plane.Session
	proof    session.Prover // by whose tags it is found
	link     *link          // nil while it rests
	mine     wire.Label
	out      wire.Label
	age      age
	asks     uint8
	draining uint8 // earlier labels that still deliver
	mark     uint8 // of the other end's program
	hybrid   bool  // the keys come from the post-quantum exchange
	watch    *timer
	again    *timer      // message 3
	kem      *sessionKEM // nil unless the post-quantum exchange is under way
}

// sessionBook finds conversations and sessions.
type sessionBook struct {
	byPair map[pair]*conversation
	byKey  map[uint64]*liveSession // the number the fast path knows it by
	byMine map[wire.Label]*liveSession
	byTag  map[[session.ProofTagSize]byte]*liveSession
	halves map[wire.Label]*halfSession
	last   uint64
	mark   uint8 // tells our program from the one before a restart; 0: not drawn yet

	resting []*liveSession // without a path, in the order they lost it
}

func (b *sessionBook) init() {
	b.byPair = map[pair]*conversation{}
	b.byKey = map[uint64]*liveSession{}
	b.byMine = map[wire.Label]*liveSession{}
	b.byTag = map[[session.ProofTagSize]byte]*liveSession{}
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
func (n *Node) conversationWith(now clock.Reading, local *ident.Secret, remote ident.NodeID,
	end *tunnelEnd,
) *conversation {
	k := pair{local.ID(), remote}
	c := n.sessions.byPair[k]
	if c == nil {
		if len(n.sessions.byPair) >= maxConversations {
			n.forgetQuiet(now)
		}
		c = &conversation{key: k, local: local, end: end, wait: redialFirst}
		c.redial = newTimer(func(now clock.Reading, _ *Effects) { n.startDial(now, c) })
		n.sessions.byPair[k] = c
	}
	return c
}

// forgetQuiet makes room by dropping conversations between nodes that have nothing going on.
func (n *Node) forgetQuiet(now clock.Reading) {
	for _, c := range n.conversations() {
		quiet := !c.reachable() && !c.busy() && c.next == nil && len(c.waiting().messages) == 0
		if c.end == nil && quiet {
			n.endConversation(now, c)
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
	c, r := n.meantBy(now, peer, pkt)
	if c == nil {
		n.count(r)
		return
	}
	if o := n.openOf(c); o != nil && c.reachable() && !o.open {
		n.hold(o, pkt)
		n.met(now, o)
		return
	}
	x := c.queue()
	if len(x.packets) >= maxWaiting || x.size+len(pkt) > waitingBytes {
		n.count(drop.QueueFull)
		return
	}
	x.packets = append(x.packets, append([]byte(nil), pkt...))
	x.size += len(pkt)
	if !c.busy() && c.redial.index < 0 {
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
	x := c.queue()
	if len(x.messages) >= maxMessages {
		n.count(drop.QueueFull)
		return
	}
	x.messages = append(x.messages, plain)
	if !c.busy() && c.redial.index < 0 {
		n.startDial(now, c)
	}
}

// sessionPathLost takes the path from a session whose way is gone. A busy conversation asks for
// another one at once.
func (n *Node) sessionPathLost(now clock.Reading, s *liveSession) {
	c := s.conv
	used := s.lastUse()
	switch {
	case s == c.past:
		n.forgetSession(now, s)
		return
	case s == c.next:
		n.forgetSession(now, s)
		used = now.Up
	case s.proof.Began() && s.fast.Heard() == 0: // perhaps the other end never had it
		n.forgetSession(now, s)
		c.wantAnew(now) // or a relay that says so could have one begun with every round trip
		n.event(Event{Kind: EventSessionDown, Key: c.key.remote, Text: "path lost"})
	default:
		n.rest(now, s, drainLife)
	}
	if now.Up-used < recent && !c.busy() {
		c.wait = redialFirst
		n.timers.sooner(c.redial, max(now.Up, c.anewAt()))
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

// watchSoon makes sure that a session which sends is looked at.
func (n *Node) watchSoon(now clock.Reading, s *liveSession) {
	n.timers.sooner(s.watch, now.Up+sessionSilence)
}

// watchSession looks at a session from time to time: one that took over is confirmed, one that
// was replaced or rested for long is forgotten, and one in use is asked when it falls silent.
func (n *Node) watchSession(now clock.Reading, s *liveSession, out *Effects) {
	switch {
	case s == s.conv.past:
		n.forgetSession(now, s)
	case s.link == nil:
		n.forgetSession(now, s)
		n.event(Event{Kind: EventSessionDown, Key: s.conv.key.remote, Text: "unused"})
	case now.Up-s.lastUse() >= pathLife:
		n.rest(now, s, idleDrain)
	default:
		n.rekey(now, s)
		n.widen(now, s)
		n.watchPath(now, s, out)
	}
}

// watchPath asks a silent session for a sign of life and gives up a path that is dead.
func (n *Node) watchPath(now clock.Reading, s *liveSession, out *Effects) {
	used, waiting := s.lastUse(), s.fast.Waiting()
	switch {
	case waiting == 0:
		s.asks = 0
	case now.Up-waiting >= sessionSilence:
		if s.asks++; s.asks > sessionAsks {
			n.sessionPathLost(now, s)
			return
		}
		n.sendPath(s, wire.PathHandshake{Label: s.out, Stage: wire.StageConfirm}.Append(nil), out)
		n.timers.arm(s.watch, now.Up+time.Second)
		return
	}
	if now.Up-used < busySession {
		n.timers.arm(s.watch, now.Up+sessionSilence)
		return
	}
	n.timers.arm(s.watch, used+pathLife)
}

// sendPath sends a datagram that follows a session's path by its label.
func (n *Node) sendPath(s *liveSession, b []byte, out *Effects) {
	if n.mayGo(s.link, b) {
		out.send(s.link.live.Addr(), b)
	}
}

// lastUse is when a frame of the session last left or opened, on the Up clock.
func (s *liveSession) lastUse() time.Duration { return max(s.fast.Heard(), s.fast.Sent()) }

// fromEarly takes a data frame that the fast path met before it knew the session: the first data
// follow message 3 so closely that both are read in one batch.
func (n *Node) fromEarly(now clock.Reading, from netip.AddrPort, b []byte, out *Effects) {
	if mine, ok := wire.PeekLabel(b); !ok || n.sessions.byMine[mine] == nil {
		n.count(drop.NoSession)
		return
	}
	n.takeFast(out)
	n.fast.Inbound(now.Up, from, b, len(b))
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
		case plane.NoticeTooBig:
			n.tooBig(now, x)
		case plane.NoticeJunk:
			n.junkCame(now, x)
		case plane.NoticeBusy:
			if s := n.sessions.byKey[x.Session.Key]; s != nil {
				n.watchSoon(now, s)
				n.linkBusy(now, s)
			}
		case plane.NoticeSession:
			if s := n.sessions.byKey[x.Session.Key]; s != nil {
				n.fromSession(now, s, x.Body, out)
			}
		}
	}
}

// fromSession acts on one session message.
func (n *Node) fromSession(now clock.Reading, s *liveSession, plain []byte, out *Effects) {
	m, err := wire.ParseSession(plain)
	if err != nil {
		n.count(drop.BadFrame)
		return
	}
	turned := s.hybrid
	n.sessionTurned(now, s, out)
	n.confirmed(now, s, out)
	switch {
	case m.Type == wire.SessionConfirm:
		if turned && !s.proof.Began() {
			n.confirm(now, s) // the caller has not heard the first one
		}
		return // opening it was the sign of life
	case m.Type == wire.SessionKEMKey || m.Type == wire.SessionKEMAnswer:
		if err := n.fromSessionKEM(now, s, m); err != nil {
			n.count(drop.BadFrame)
		}
		return
	case s.held() && m.Type != wire.SessionClose:
		n.count(drop.NoSession)
		return
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
