// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"net/netip"
	"sort"
	"time"

	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/plane"
	"staex/internal/overlay/session"
	"staex/internal/wire"
)

const (
	// maxLinks bounds the neighbours of one node.
	maxLinks = 1 << 17
	// askEvery is how many keep-alives pass until one asks for an answer.
	askEvery = 4
	// deadFactor is how many of a child's keep-alive periods of silence end its link.
	deadFactor = 5
	// deadMargin is added to it, for retries.
	deadMargin = 15 * time.Second
	// movedEvery is how often a neighbour's new address makes us repeat what is not acknowledged
	// at once: a small frame brings many, to wherever it says it came from.
	movedEvery = time.Second
	// silence is how long a link that carries data may stay unheard before it is asked.
	silence = 5 * time.Second
	// watchEvery is how often a link that carries data is looked at.
	watchEvery = time.Second
)

// askDelays are the waits between questions to a neighbour that does not answer (five, so that a
// fifth of all frames may be lost without a healthy neighbour being taken for dead); after the last
// one the neighbour is dead.
var askDelays = [...]time.Duration{
	time.Second, time.Second, time.Second, 2 * time.Second, 2 * time.Second,
}

// settleAfter is how long after a new mapping of a translator on the way the child asks its parent.
// Linux keeps a mapping for 30 s until packets have gone both ways for more than two seconds, and
// for 120 s from then on. Without this each keep-alive of 30 s would find its mapping just gone,
// and make another one that is answered at once and then never.
const settleAfter = 3 * time.Second

// hintDelay is the wait between questions after an ICMP error.
const hintDelay = time.Second

// link is a neighbour that proved who it is.
//
//	            Hello handshake
//	(half) ------------------------> up --- Bye, or askDelays without an answer ---> removed
//	                                 |  \
//	                  every period   |   \  sending and unheard for `silence`
//	                                 v    v
//	                              keep-alive, every 4th asks
type link struct {
	id       plane.LinkID
	mine     wire.Label
	theirs   wire.Label
	toward   bool  // the neighbour is our parent
	hinted   bool  // ICMP said that nobody is there: ask faster
	moves    bool  // a child that wants to know when its address changes
	proving  bool  // a parent that was not heard under these keys yet
	beats    int8  // keep-alives since the last question
	asked    int8  // questions without an answer
	rows     int32 // label rows this neighbour caused
	setups   int32 // set-ups under way that this neighbour began
	peer     ident.NodeID
	network  ident.NetworkHash
	live     *plane.Link
	keys     *session.Pair
	digest   [32]byte // key of the digests in keep-alives
	sizing   *sizing  // nil while no row leads over the link
	period   time.Duration
	ctl      control
	news     linkNews
	notAfter uint32 // end of the neighbour's certificate, in Unix seconds; 0: none
	top      uint64
	alarms   alarms
	tenure   tenure        // how old the keys are
	kem      *linkKEM      // nil unless the post-quantum exchange is under way
	up       *upward       // of a parent
	sync     *syncing      // of comparisons
	since    time.Duration // when it came up
	movable  time.Duration // when a new address may bring a repetition again
	entry    int           // index of the parents entry, for our parents
	wantNext time.Duration // when everything may be asked for again: by us, or by the parent
	nudges   *nudges       // nil until one was sent or came
}

// peerKey finds a link: one node may be our parent and our child at once (cycles are permitted).
type peerKey struct {
	peer   ident.NodeID
	toward bool
}

// linkBook finds links by id and by neighbour.
type linkBook struct {
	byID   map[plane.LinkID]*link
	byAddr map[netip.AddrPort]*link
	byPeer map[peerKey]*link
	last   plane.LinkID
	busy   map[plane.LinkID]*link  // with something to send
	certs  map[plane.LinkID][]byte // of children whose row has not come yet
}

func (b *linkBook) init() {
	b.byID = map[plane.LinkID]*link{}
	b.byAddr = map[netip.AddrPort]*link{}
	b.byPeer = map[peerKey]*link{}
	b.busy = map[plane.LinkID]*link{}
	b.certs = map[plane.LinkID][]byte{}
}

// all returns the links in the order they came up.
func (b *linkBook) all() []*link { return ordered(b.byID) }

// pending returns the links that have something to send, in order, and forgets them.
func (b *linkBook) pending() []*link {
	if len(b.busy) == 0 {
		return nil
	}
	list := ordered(b.busy)
	clear(b.busy)
	return list
}

func ordered(m map[plane.LinkID]*link) []*link {
	list := make([]*link, 0, len(m))
	for _, l := range m {
		list = append(list, l)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].id < list[j].id })
	return list
}

// byLive finds the link that the fast path knows as live.
func (b *linkBook) byLive(live *plane.Link) *link {
	if live == nil {
		return nil
	}
	if l := b.byID[live.ID]; l != nil && l.live == live {
		return l
	}
	return nil
}

// move notes where a neighbour will be found from now on.
func (b *linkBook) move(l *link, addr netip.AddrPort) {
	if b.byAddr[l.live.Addr()] == l {
		delete(b.byAddr, l.live.Addr())
	}
	b.byAddr[addr] = l
}

// linkKeys is what a finished handshake brings to a link.
type linkKeys struct {
	peer    ident.NodeID
	network ident.NetworkHash
	addr    netip.AddrPort
	mine    wire.Label
	theirs  wire.Label
	keys    session.Keys
	size    int
	period  time.Duration
	toward  bool
	entry   int
}

// linkUp makes or renews the link to a neighbour. A neighbour that comes back keeps its identity
// here, so that label rows through it stay valid: if it forgot them, it will say so.
func (n *Node) linkUp(now clock.Reading, k linkKeys) *link {
	key := peerKey{k.peer, k.toward}
	l := n.links.byPeer[key]
	lost := l != nil && !l.ctl.quiet()
	if l == nil {
		n.links.last++
		l = &link{id: n.links.last, live: plane.NewLink(k.addr), peer: k.peer, since: now.Up}
		l.live.ID, l.alarms.timer = l.id, timer{index: -1, link: l}
		n.links.byID[l.id], n.links.byPeer[key] = l, l
	} else {
		n.stopTimers(l)
		n.dropLabel(now, l.mine)
		n.liftHops(l)
	}
	n.links.move(l, k.addr)
	l.live.Prove(k.addr)
	l.network, l.toward, l.mine, l.theirs = k.network, k.toward, k.mine, k.theirs
	l.keys = session.NewPair(k.keys)
	l.digest, l.period, l.entry = k.keys.Chain, k.period, k.entry
	l.live.SetSize(k.size)
	n.restartSizing(now, l)
	l.ctl, l.beats, l.asked, l.top = control{}, 0, 0, 0
	l.moves = false
	n.forgetLate(l)
	l.proving, l.tenure = false, tenure{up: now.Up, at: calendar(now)}
	l.news, l.notAfter, l.kem = linkNews{}, 0, nil
	l.wantNext, l.sync, l.nudges = 0, nil, nil
	l.hinted = false
	l.live.MarkHeard(now.Up)
	n.tables.SetRow(plane.Row{Kind: plane.RowControl, Label: l.mine, ID: l.id})
	n.linkTimers(now, l)
	if lost {
		n.failSetups(now, l) // what was under way for them is
	}
	return l
}

// linkTimers arms what keeps a link alive: a child calls its parent, a parent counts the silence.
func (n *Node) linkTimers(now clock.Reading, l *link) {
	if !l.toward {
		n.arm(l, beatTimer, now.Up+l.patience())
		return
	}
	if l.up == nil {
		l.up = &upward{}
	}
	l.up.hello3, l.up.resumed = nil, false
	l.up.granted, l.up.resetEnd = false, 0 // the token was for another label
	l.up.issuer = ident.NodeID{}
	l.up.renew = newTimer(func(now clock.Reading, out *Effects) { n.renewLink(now, l, out) })
	l.up.watch = newTimer(func(now clock.Reading, out *Effects) { n.watchLink(now, l, out) })
	n.settle(now, l)
	n.timers.arm(l.up.watch, now.Up+watchEvery)
}

// settle has a parent asked soon: there is, or may be, a new mapping on the way.
func (n *Node) settle(now clock.Reading, l *link) {
	l.up.settle = now.Up + settleAfter
	n.armBeat(now, l)
}

// armBeat moves the next keep-alive of a child: a period after its last frame.
func (n *Node) armBeat(now clock.Reading, l *link) {
	at := now.Up + l.period
	if l.up.settle != 0 {
		at = min(at, max(l.up.settle, now.Up))
	}
	n.arm(l, beatTimer, at)
}

func (n *Node) stopTimers(l *link) {
	l.alarms.due = [linkTimers]time.Duration{}
	n.timers.stop(&l.alarms.timer)
	if l.up != nil {
		n.timers.stop(l.up.watch)
		n.timers.stop(l.up.repeat)
		n.timers.stop(l.up.renew)
	}
}

// linkDown forgets a neighbour, its rows and its labels.
func (n *Node) linkDown(now clock.Reading, l *link, why string) {
	n.stopTimers(l)
	n.release(l)
	n.dropLabel(now, l.mine)
	delete(n.links.byID, l.id)
	if n.links.byAddr[l.live.Addr()] == l {
		delete(n.links.byAddr, l.live.Addr())
	}
	delete(n.links.busy, l.id)
	delete(n.links.certs, l.id)
	delete(n.links.byPeer, peerKey{l.peer, l.toward})
	n.dropRowsOf(now, l)
	n.failSetups(now, l)
	n.endSizing(l)
	n.forgetRows(l)
	if l.toward {
		n.event(Event{Kind: EventParentDown, Key: l.peer, Text: why})
		n.parentLost(now, l)
		return
	}
	n.forgetLate(l)
	n.resets.lose(l.mine)
	n.childrenChanged(now)
	n.event(Event{Kind: EventChildDown, Key: l.peer, Text: why})
}

// frameTo seals a plaintext for a neighbour and sends it.
func (n *Node) frameTo(now clock.Reading, l *link, ask bool, plain []byte, out *Effects) {
	ctr := l.keys.Reserve(1)
	h := wire.DataHeader{
		Type: wire.TypeLink, Epoch: session.Epoch(ctr), Long: l.keys.Long(ctr), Flag: ask,
		Label: l.theirs, Counter: uint32(ctr),
	}
	if !h.Long {
		h.Counter &= 0xffff
	}
	b := h.Append(make([]byte, 0, wire.DataHeaderLong+len(plain)+wire.TagSize))
	b = l.keys.Seal(b, ctr, b[0], plain)
	if n.mayGo(l, b) {
		out.Send = append(out.Send, Datagram{To: l.live.Addr(), B: b})
	}
	if l.toward && !ask {
		n.armBeat(now, l)
	}
}

// keepAlive tells the parent that we live; every askEvery-th wants an answer and carries digests.
func (n *Node) keepAlive(now clock.Reading, l *link, out *Effects) {
	l.beats++
	every := int8(askEvery)
	if n.cfg.KeepAliveAuto {
		every = askEveryAuto
	}
	if l.up.settle != 0 && now.Up >= l.up.settle {
		l.up.settle, l.beats = 0, every
	}
	if l.beats >= every {
		n.question(now, l, out)
	} else {
		n.frameTo(now, l, false, nil, out)
	}
	n.armBeat(now, l)
	if l.ctl.backlog != nil {
		n.links.busy[l.id] = l // a record that waits for one from below is tried again
	}
}

// question asks a neighbour for a sign of life and starts to count.
func (n *Node) question(now clock.Reading, l *link, out *Effects) {
	l.beats = 0
	if l.up != nil && l.asked == 0 {
		l.up.asked = now.Up
	}
	n.frameTo(now, l, true, n.digestFor(now, l), out)
	if int(l.asked) < len(askDelays) {
		wait := askDelays[l.asked]
		if l.hinted {
			wait = hintDelay
		}
		n.arm(l, askTimer, now.Up+wait)
	}
}

// Unreachable takes the hint of an ICMP error that a datagram to an address was refused. It can be
// forged, so it only makes us ask now, and never switches by itself.
func (n *Node) Unreachable(now clock.Reading, addr netip.AddrPort, out *Effects) {
	n.look(now)
	defer n.finish(now, out)
	if l := n.links.byAddr[addr]; l != nil && l.toward && !l.hinted {
		l.hinted, l.asked = true, 0
		n.question(now, l, out)
	}
}

// askAgain repeats an unanswered question; after the last one the neighbour is dead.
func (n *Node) askAgain(now clock.Reading, l *link, out *Effects) {
	l.asked++
	if int(l.asked) >= len(askDelays) {
		n.linkDown(now, l, "does not answer")
		return
	}
	n.question(now, l, out)
}

// watchLink asks early when data leaves over a link and nothing comes back. A node that carries
// nothing for others and sends nothing sleeps until its next keep-alive.
func (n *Node) watchLink(now clock.Reading, l *link, out *Effects) {
	sent, heard := l.live.Sent(), l.live.Heard()
	quiet := sent > heard && now.Up-heard >= silence && now.Up-sent < silence
	if quiet && !l.alarms.armed(askTimer) {
		n.question(now, l, out)
	}
	if n.carries() || now.Up-sent < silence+watchEvery {
		n.timers.arm(l.up.watch, now.Up+watchEvery)
	}
}

// carries tells whether rows lead through this node. What passes through is nobody's session here,
// so that nobody tells when it begins: links have to be looked at from time to time.
func (n *Node) carries() bool { return len(n.rows.byOut) > 0 }

// linkBusy makes sure that the link of a session which was quiet and sends is looked at.
func (n *Node) linkBusy(now clock.Reading, s *liveSession) {
	l := s.link
	if l == nil {
		return
	}
	if l.toward {
		n.timers.sooner(l.up.watch, now.Up+watchEvery)
	}
	if l.sizing != nil {
		n.timers.sooner(l.sizing.timer, now.Up+sizeEvery)
	}
}

// childSilent ends the link of a child that was not heard for too long.
func (n *Node) childSilent(now clock.Reading, l *link, _ *Effects) {
	if l.kem != nil {
		n.linkDown(now, l, errKEMUnfinished)
		return
	}
	if quiet := now.Up - l.live.Heard(); quiet < l.patience() {
		n.arm(l, beatTimer, now.Up+l.patience()-quiet)
		return
	}
	n.linkDown(now, l, "silent")
}

// FromLink takes a datagram that carries the control label of link id.
func (n *Node) FromLink(now clock.Reading, id plane.LinkID, from netip.AddrPort, b []byte,
	out *Effects,
) {
	n.look(now)
	defer n.finish(now, out)
	if l := n.links.byID[id]; l != nil {
		switch wire.PeekType(b) {
		case wire.TypeNudge:
			n.fromNudge(now, l, b, out)
			return
		case wire.TypeSizeProbe:
			n.fromSizeProbe(now, l, b, out)
			return
		}
	}
	h, size, err := wire.ParseDataHeader(b)
	if err != nil || h.Type != wire.TypeLink {
		n.count(drop.BadFrame)
		return
	}
	l := n.links.byID[id]
	if l == nil {
		if l = n.comesBack(now, id, from, h, b, b[size:]); l == nil {
			return
		}
	}
	plain, ctr, err := l.keys.Open(nil, h.Epoch, h.Counter, h.Long, b[0], b[size:])
	if err != nil {
		n.count(unopened(err))
		return
	}
	if !n.linkTurned(now, l) {
		return
	}
	if ctr > l.top {
		l.top = ctr
		n.livesAt(now, l, from, len(b), l.echoes(from, plain), out)
	}
	n.linkAlive(now, l)
	switch {
	case len(plain) == 0, len(plain) == digestSize, len(plain) == wire.EchoSize:
		n.checkDigest(now, l, plain)
		if h.Flag {
			n.frameTo(now, l, false, n.digestFor(now, l), out)
		}
	default:
		n.fromControl(now, l, plain, out)
	}
}

// linkAlive notes a sign of life.
func (n *Node) linkAlive(now clock.Reading, l *link) {
	l.live.MarkHeard(now.Up)
	l.keys.Heard()
	l.timeTrip(now)
	l.asked, l.hinted = 0, false
	n.disarm(l, askTimer)
	if l.up != nil {
		l.up.hello3 = nil
	}
	if l.proving && l.kem == nil {
		l.proving = false
		n.timers.stop(l.up.repeat)
		n.parentConfirmed(now, l)
	}
}

// timeTrip measures the round trip to a parent. A repeated question could have been answered by the
// answer to an earlier one (Karn's algorithm).
func (l *link) timeTrip(now clock.Reading) {
	if l.up == nil || l.up.asked == 0 {
		return
	}
	if l.asked == 0 {
		l.up.trip = now.Up - l.up.asked
	}
	l.up.asked = 0
}

// unopened is the reason that counts for a link frame that does not open.
func unopened(err error) drop.Reason {
	switch {
	case errors.Is(err, session.ErrReplay):
		return drop.Replay
	case errors.Is(err, session.ErrEpoch):
		return drop.Epoch
	default:
		return drop.OpenFailed
	}
}
