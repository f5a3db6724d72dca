// SPDX-License-Identifier: Apache-2.0

package node

import (
	"crypto/subtle"
	"maps"
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
	// msg3First is the first wait for a sign that message 3 arrived; it doubles.
	msg3First = 250 * time.Millisecond
	msg3Tries = 6
	// maxHalfSessions bounds the answers that wait for message 3. Any member may call a node, so
	// calls to the node have a part of them only; those to one tunnel, which a relay may repeat,
	// have a few.
	maxHalfSessions    = 256
	nodeHalfSessions   = maxHalfSessions / 2
	tunnelHalfSessions = 4
	// halfSessionLife is how long they wait.
	halfSessionLife = 10 * time.Second
	// helloMACSize is the proof in front of message 1 in bytes.
	helloMACSize = session.HelloMACSize
	// flagAES in a payload says: this processor has AES instructions.
	flagAES = 1
)

// dial is a session handshake under way as the initiator.
type dial struct {
	conv *conversation
	hs   *session.Handshake
	mine wire.Label
}

// halfSession is one under way as the responder: message 2 is sent, 3 has not come.
type halfSession struct {
	conv *conversation // nil between nodes, where message 3 says who asks
	hs   *session.Handshake
	link *link
	mine wire.Label
	out  wire.Label
	size int
	born time.Duration
}

// startDial makes the other end reachable: a new path if both ends have a session, else, or if
// the other end says that it has none, a handshake.
func (n *Node) startDial(now clock.Reading, c *conversation) {
	switch {
	case c.busy() || c.next != nil || c.reachable() || n.sessions.byPair[c.key] != c:
	case n.revs.gone || n.isRevoked(c.network, c.key.remote):
	case c.live != nil && !c.anew.wanted():
		n.startResume(now, c)
	case now.Up < c.anewAt():
		n.timers.sooner(c.redial, c.anewAt())
	default:
		if c.anew.wanted() {
			c.anew.begin(now)
		}
		n.shake(now, c)
	}
}

// shake lays a path to the other end, with message 1 of Noise XK in it.
func (n *Node) shake(now clock.Reading, c *conversation) {
	to, local := n.nextHop(c.key.remote, nil)
	if local || to == nil || c.end == nil && !n.who.HasNames {
		n.dialLater(now, c)
		return
	}
	d := &dial{conv: c}
	hs, err := session.NewXK(true, c.local, c.key.remote, n.rand)
	if err != nil {
		n.dialLater(now, c)
		return
	}
	msg, err := hs.Write(nil, nil)
	mine, ok := n.newRow(now, plane.Row{Kind: plane.RowSession}, to, nil)
	if err != nil || !ok {
		n.dialLater(now, c)
		return
	}
	d.hs, d.mine, c.dial = hs, mine, d
	mac := n.helloMAC(c, c.key.remote, msg)
	if !n.ask(now, c.key.remote, wire.PathHello, mine, append(mac[:], msg...), d) {
		n.endDial(now, c)
		n.dialLater(now, c)
	}
}

// helloMAC keeps strangers from making the other end compute: it is keyed by what only the two
// ends of a tunnel, or only the members of a network, know.
// c is nil at a node that is called and does not know by whom yet.
func (n *Node) helloMAC(c *conversation, dest ident.NodeID, msg []byte) (mac [helloMACSize]byte) {
	if c != nil && c.end != nil {
		return session.HelloMAC(c.end.secret, dest[:], msg)
	}
	return n.who.Names.MAC8(dest[:], msg)
}

// dialLater waits, longer each time, and tries again while somebody waits for the session.
func (n *Node) dialLater(now clock.Reading, c *conversation) {
	if x := c.waiting(); len(x.packets)+len(x.messages) == 0 && c.wait > redialFirst<<3 {
		return
	}
	n.timers.arm(c.redial, now.Up+c.wait+n.jitter(c.wait/8))
	c.wait = min(2*c.wait, redialCap)
	if c.wait > 8*time.Second {
		x := c.queue()
		x.packets, x.size = nil, 0 // nobody waits that long for a packet
	}
}

// endDial gives up the handshake under way, if any.
func (n *Node) endDial(now clock.Reading, c *conversation) {
	if d := c.dial; d != nil {
		c.dial = nil
		if n.sessions.byMine[d.mine] == nil {
			n.dropLabel(now, d.mine)
		}
	}
}

// pathNo is for asker: the path could not be laid.
func (d *dial) pathNo(n *Node, now clock.Reading, _ *setup, _ uint8) {
	if d.conv.dial == d {
		n.endDial(now, d.conv)
		n.dialLater(now, d.conv)
		n.acceptAgain(now, d.conv)
	}
}

// pathOK is for asker: the path stands and message 2 came with it.
func (d *dial) pathOK(n *Node, now clock.Reading, s *setup, ok wire.PathOK, out *Effects) {
	c := d.conv
	if c.dial != d || n.rows.byLabel[d.mine] == nil {
		return
	}
	payload, err := d.hs.Read(nil, ok.Body)
	p, err2 := wire.ParseXKPayload(payload)
	if err != nil || err2 != nil {
		n.count(drop.OpenFailed)
		n.endDial(now, c)
		n.dialLater(now, c)
		return
	}
	n.claimed(now, p.Network, p.Head, c.key.remote)
	mine := n.xkPayload()
	if c.end == nil {
		mine.NodeCert = n.who.Cert.Append(nil)
	}
	msg, err := d.hs.Write(nil, mine.Append(nil))
	if err != nil {
		return
	}
	f := wire.PathHandshake{Label: ok.Label, Stage: wire.StageNoise3, Body: msg}
	kem, willing := n.agreeSession(c, p.Flags, d.hs.Keys())
	if !willing {
		n.endDial(now, c)
		n.dialLater(now, c)
		return
	}
	live := n.newLive(d.hs.Keys(), true, p.Flags, way{s.to, d.mine, ok.Label, s.size})
	live.kem = kem
	msg3 := f.Append(nil)
	n.sendPath(live, msg3, out)
	c.dial = nil // its row is the session's now
	n.establish(now, c, live, out)
	n.repeatMsg3(now, live, msg3, 0)
	n.offerSessionKEM(now, live)
}

// newSession makes the fast path's side of a session.
func (n *Node) newSession(k session.Keys, flags uint8, l *link, out wire.Label,
	size int,
) *plane.Session {
	suite := session.ChaCha
	if flags&n.flags()&flagAES != 0 {
		suite = session.AESGCM
	}
	s := &plane.Session{
		Send: session.NewSender(k.Send, suite),
		Recv: session.NewReceiver(k.Recv, suite, session.WindowSession),
	}
	s.SetPath(way{link: l, out: out, size: size}.path())
	return s
}

// xkPayload is what every session handshake says of us.
func (n *Node) xkPayload() wire.XKPayload {
	return wire.XKPayload{Flags: n.flags(), Network: n.who.Cert.Network, Head: n.ownList()}
}

func (n *Node) flags() uint8 {
	if n.sessions.mark == 0 {
		var drawn [1]byte
		n.random(drawn[:])
		n.sessions.mark = 1 + drawn[0]%wire.XKMaxMark
	}
	flags := n.sessions.mark<<wire.XKFlagsMark | n.cfg.PostQuantum.flags()<<wire.XKFlagsPQ
	if n.cfg.AES {
		flags |= flagAES
	}
	return flags
}

// repeatMsg3 sends message 3 again until the other end is heard.
func (n *Node) repeatMsg3(now clock.Reading, s *liveSession, msg3 []byte, try int) {
	s.again = newTimer(func(now clock.Reading, out *Effects) {
		if n.sessions.byKey[s.fast.Key] != s || s.link == nil {
			return
		}
		if s.fast.Heard() != 0 {
			n.confirmed(now, s, out)
			return
		}
		if try >= msg3Tries {
			n.sessionPathLost(now, s)
			return
		}
		n.sendPath(s, msg3, out)
		n.repeatMsg3(now, s, msg3, try+1)
	})
	n.timers.arm(s.again, now.Up+msg3First<<try)
}

// answerHello answers message 1 for one of our keys; it returns why not, or 0.
func (n *Node) answerHello(now clock.Reading, l *link, p wire.Path) uint8 {
	local, c, ok := n.called(p.Dest)
	if !ok || len(p.Body) < helloMACSize {
		n.count(drop.NoTunnel)
		return wire.PathRefused
	}
	msg := p.Body[helloMACSize:]
	mac := n.helloMAC(c, p.Dest, msg)
	known := subtle.ConstantTimeCompare(mac[:], p.Body[:helloMACSize]) == 1
	if !known && (c != nil || !n.hearsStrangers(now)) {
		n.count(drop.BadMac)
		return wire.PathRefused
	}
	if c != nil && c.dial != nil {
		if c.key.local.Compare(c.key.remote) < 0 {
			return wire.PathRefused // both began; the lower key's handshake wins
		}
		n.endDial(now, c)
	}
	n.expireHalfSessions(now)
	if !n.roomForCall(now, c) {
		n.count(drop.Quota)
		return wire.PathQuota
	}
	hs, err := session.NewXK(false, local, ident.NodeID{}, n.rand)
	if err != nil {
		return wire.PathRefused
	}
	if _, err := hs.Read(nil, msg); err != nil {
		n.count(drop.OpenFailed)
		return wire.PathRefused
	}
	answer, err := hs.Write(nil, n.xkPayload().Append(nil))
	mine, fits := n.newRow(now, plane.Row{Kind: plane.RowSession}, l, l)
	if err != nil || !fits {
		return wire.PathQuota
	}
	size := min(int(p.Size), l.live.Size())
	n.sessions.halves[mine] = &halfSession{
		conv: c, hs: hs, link: l, mine: mine, out: p.Back, size: size, born: now.Up,
	}
	ok2 := wire.PathOK{ID: p.ID, Label: mine, Size: uint16(size), Body: answer}
	n.tell(l, wire.ControlPathOK, ok2.Append(nil))
	return 0
}

// called finds which of our keys is called; a tunnel's endpoint knows the only key that may.
func (n *Node) called(dest ident.NodeID) (local *ident.Secret, c *conversation, ok bool) {
	if dest == n.self {
		return n.who.Secret, nil, n.who.HasNames && !n.revs.gone
	}
	t, ok := n.tunnels.ByLocalKey(dest)
	if !ok {
		return nil, nil, false
	}
	end := n.ends[t.ID]
	if end == nil || !t.Active(0) {
		return nil, nil, false
	}
	return t.Local, end.conv, true
}

// roomForCall makes room for one more half-open session, or reports that there is none. In a tunnel
// the newest call counts: its owner goes on, who repeats old ones does not.
func (n *Node) roomForCall(now clock.Reading, c *conversation) bool {
	count, oldest := 0, (*halfSession)(nil)
	for _, h := range n.sessions.halves {
		if h.conv != c {
			continue
		}
		count++
		if oldest == nil || h.born < oldest.born || h.born == oldest.born && h.mine < oldest.mine {
			oldest = h
		}
	}
	switch {
	case c == nil:
		return count < nodeHalfSessions && len(n.sessions.halves) < maxHalfSessions
	case count >= tunnelHalfSessions:
		delete(n.sessions.halves, oldest.mine)
		n.labels.Return(now.Up, oldest.mine) // or repeated calls would wear out the labels
		n.dropLabel(now, oldest.mine)
	}
	return len(n.sessions.halves) < maxHalfSessions
}

func (n *Node) expireHalfSessions(now clock.Reading) {
	for _, mine := range slices.Sorted(maps.Keys(n.sessions.halves)) {
		if now.Up-n.sessions.halves[mine].born > halfSessionLife {
			delete(n.sessions.halves, mine)
			n.dropLabel(now, mine)
		}
	}
}

// fromPathHandshake takes message 3, or a question whether a session still stands.
func (n *Node) fromPathHandshake(now clock.Reading, b []byte, out *Effects) {
	f, err := wire.ParsePathHandshake(b)
	if err != nil {
		n.count(drop.BadFrame)
		return
	}
	if s := n.sessions.byMine[f.Label]; s != nil {
		if now.Up-s.conv.answered >= time.Second || s.conv.answered == 0 {
			s.conv.answered = now.Up
			n.confirm(now, s)
		}
		return
	}
	h := n.sessions.halves[f.Label]
	if h == nil || f.Stage != wire.StageNoise3 {
		n.count(drop.Stranger)
		return
	}
	payload, err := h.hs.Read(nil, f.Body)
	if err != nil {
		n.count(drop.OpenFailed)
		return
	}
	delete(n.sessions.halves, f.Label)
	p, err := wire.ParseXKPayload(payload)
	c := n.caller(now, h, p)
	if err != nil || c == nil {
		n.count(drop.NotAdmitted)
		n.dropLabel(now, h.mine)
		return
	}
	if c.crossed() {
		n.count(drop.NoSession)
		n.dropLabel(now, h.mine)
		return
	}
	n.claimed(now, p.Network, p.Head, c.key.remote)
	kem, willing := n.agreeSession(c, p.Flags, h.hs.Keys())
	if !willing {
		n.dropLabel(now, h.mine)
		return
	}
	live := n.newLive(h.hs.Keys(), false, p.Flags, way{h.link, h.mine, h.out, h.size})
	live.kem = kem
	n.establish(now, c, live, out)
	n.confirm(now, live)
	n.awaitSessionKEM(now, live)
}

// crossed reports whether two nodes have called each other at once and our call counts: that of the
// lower key, as between the ends of a tunnel. But who calls a node is known with message 3 only,
// when both calls may be through; if each end kept the other's, neither would hear from it.
func (c *conversation) crossed() bool {
	if c.end != nil || c.key.local.Compare(c.key.remote) >= 0 {
		return false
	}
	ours := func(s *liveSession) bool {
		return s != nil && s.link != nil && s.proof.Began() && s.fast.Heard() == 0
	}
	return ours(c.live) || ours(c.next)
}

// caller finds out who proved itself with message 3; nil if it may not talk to us.
func (n *Node) caller(now clock.Reading, h *halfSession, p wire.XKPayload) *conversation {
	static := h.hs.RemoteStatic()
	if h.conv != nil {
		if h.conv.key.remote.X25519() != static || h.conv.end == nil {
			return nil
		}
		return h.conv
	}
	cert, err := ident.DecodeNodeCert(p.NodeCert)
	if err != nil || proves(cert, static) != nil || n.trusts(cert) != nil {
		return nil
	}
	c := n.conversationWith(now, n.who.Secret, cert.Key, nil)
	c.network = cert.Network
	return c
}
