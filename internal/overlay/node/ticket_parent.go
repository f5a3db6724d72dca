// SPDX-License-Identifier: Apache-2.0

package node

import (
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
	// maxComebacks bounds the resumptions that were answered and not used yet; a new one
	// replaces the oldest. They never hold more than one in labelShare of the labels.
	maxComebacks = 1024
	// childComebacks is how many of them one child may have: one that is under way, and one that
	// somebody else plays back.
	childComebacks = 2
	// comebackLife is how long the first frame under new keys is waited for.
	comebackLife = 10 * time.Second
	// sweepChildren is how many children get new tickets in one sweepEvery when the ticket key
	// has changed: 100,000 of them take half an hour, and no link sees a burst.
	sweepChildren = 64
	sweepEvery    = time.Second

	ticketKeysName = "ticket-keys"
)

// comeback is a resumption that was answered: the link lives with its first frame under the new
// keys, and nothing has happened before that.
type comeback struct {
	id       plane.LinkID // names its label row until then
	nonce    [wire.NonceSize]byte
	from     netip.AddrPort
	mine     wire.Label
	theirs   wire.Label
	keys     session.Keys
	size     int
	answer   []byte
	born     time.Duration
	contents *ticketContents
}

// ticketBook is the parent's side of tickets.
type ticketBook struct {
	jar     *session.TicketJar // nil until it is needed
	turn    *timer             // the key changes
	sweep   *timer             // new tickets for the children, in portions
	todo    []plane.LinkID     // children that hold tickets of the key before
	byID    map[plane.LinkID]*comeback
	byNonce map[[wire.NonceSize]byte]*comeback
	ring    []*comeback // oldest first
	most    int         // length of the ring
	expire  *timer
}

func (b *ticketBook) init(n *Node) {
	b.most = max(min(maxComebacks, n.labels.Cap()/labelShare), childComebacks)
	b.byID = map[plane.LinkID]*comeback{}
	b.byNonce = map[[wire.NonceSize]byte]*comeback{}
	b.turn = newTimer(func(now clock.Reading, _ *Effects) { n.ticketJar(now) })
	b.sweep = newTimer(func(now clock.Reading, _ *Effects) { n.sweepTickets(now) })
	b.expire = newTimer(func(now clock.Reading, _ *Effects) { n.expireComebacks(now) })
}

// calendar is the calendar time in seconds if it may be trusted, else 0.
func calendar(now clock.Reading) uint32 {
	s, _ := now.Seconds()
	return s
}

// ticketJar returns the ticket keys, those on the disk or new ones, and turns them when it is time.
// It is nil only when the dice fail.
func (n *Node) ticketJar(now clock.Reading) *session.TicketJar {
	b := &n.tickets
	fresh := b.jar == nil
	if fresh {
		jar, err := session.OpenTicketJar(n.cfg.Stored[ticketKeysName], now.Up, n.rand)
		if err != nil {
			jar, err = session.NewTicketJar(now.Up, calendar(now), n.rand)
			if err != nil {
				return nil
			}
			n.keep(ticketKeysName, jar.Append(nil))
		}
		b.jar = jar
	}
	due := b.jar.Due()
	if changed, err := b.jar.Turn(now.Up, calendar(now)); err == nil && changed {
		n.keep(ticketKeysName, b.jar.Append(nil))
	}
	if turned := b.jar.Due() != due; turned || fresh {
		n.timers.arm(b.turn, b.jar.Due())
		if turned {
			n.startSweep(now)
		}
	}
	return b.jar
}

// knownJar is the ticket keys of a node that has had children; nil at all others.
func (n *Node) knownJar(now clock.Reading) *session.TicketJar {
	if n.tickets.jar == nil && n.cfg.Stored[ticketKeysName] == nil {
		return nil
	}
	return n.ticketJar(now)
}

// grant gives a child what it needs to come back: a token, and a ticket unless the link has gone
// without a Diffie-Hellman for too long.
func (n *Node) grant(now clock.Reading, l *link) {
	jar := n.ticketJar(now)
	cert, err := ident.DecodeNodeCert(n.childCert(l))
	if jar == nil || err != nil {
		return
	}
	g := wire.Grant{Token: jar.Token(uint32(l.mine))}
	if !l.tenure.worn(now.Up, calendar(now), l.carried()) {
		c := ticketContents{
			tenure: l.tenure, period: seconds(l.period), size: uint16(l.live.Size()),
			place: place(l.live.Addr().Addr()), secret: session.ResumeFrom(l.digest), cert: cert,
		}
		c.tenure.before = l.tenure.age(now.Up, 0)
		c.tenure.data = l.tenure.data || l.carried()
		if g.Ticket, err = jar.Seal(c.Append(nil)); err != nil {
			return
		}
	}
	n.tell(l, wire.ControlGrant, g.Append(nil))
}

// childCert is the certificate that a child's link was admitted with, nil when it is gone.
func (n *Node) childCert(l *link) []byte {
	if cert := n.links.certs[l.id]; cert != nil {
		return cert
	}
	row, _ := n.records.Get(l.peer)
	return row.Cert
}

// carried reports that data left over the link since its keys came up.
func (l *link) carried() bool { return l.live.Sent() > l.tenure.up }

// startSweep begins to replace the tickets of all children.
func (n *Node) startSweep(now clock.Reading) {
	b := &n.tickets
	b.todo = b.todo[:0]
	for _, l := range n.links.all() {
		if !l.toward {
			b.todo = append(b.todo, l.id)
		}
	}
	n.timers.arm(b.sweep, now.Up+sweepEvery)
}

func (n *Node) sweepTickets(now clock.Reading) {
	b := &n.tickets
	k := min(sweepChildren, len(b.todo))
	for _, id := range b.todo[:k] {
		if l := n.links.byID[id]; l != nil {
			n.grant(now, l)
		}
	}
	if b.todo = b.todo[k:]; len(b.todo) > 0 {
		n.timers.arm(b.sweep, now.Up+sweepEvery)
	}
}

// fromTicket does the cheap checks in order: length, ticket, mac, admission. There is no mac1, no
// cookie and no Diffie-Hellman here, and nothing changes for the link that exists.
func (n *Node) fromTicket(now clock.Reading, from netip.AddrPort, b []byte, out *Effects) {
	t, err := wire.ParseTicket(b)
	if err != nil {
		n.count(drop.BadFrame)
		return
	}
	c, reason := n.openTicket(now, t, b)
	if reason != drop.None {
		n.count(reason)
		return
	}
	if old := n.tickets.byNonce[t.Nonce]; old != nil {
		if old.from != from {
			n.count(drop.Replay)
			return
		}
		out.send(from, old.answer)
		return
	}
	if x := n.newComeback(now, from, t, c); x != nil {
		out.send(from, x.answer)
	}
}

func (n *Node) openTicket(now clock.Reading, t wire.Ticket, b []byte) (*ticketContents,
	drop.Reason,
) {
	jar := n.knownJar(now)
	if jar == nil {
		return nil, drop.Stranger
	}
	plain, err := jar.Open(t.Ticket)
	if err != nil {
		return nil, drop.OpenFailed
	}
	c, err := parseContents(plain)
	switch {
	case err != nil:
		return nil, drop.BadFrame
	case !c.secret.CheckTicket(wire.TicketMACInput(b), t.Mac):
		return nil, drop.BadMac
	case n.isRevoked(c.cert.Network, c.cert.Key):
		return nil, drop.Revoked
	case !n.stillAdmitted(c.cert), c.tenure.count >= maxResumes, n.lacksPQ(c.tenure.hybrid),
		c.cert.Key == n.self:
		return nil, drop.NotAdmitted
	}
	return c, drop.None
}

// stillAdmitted reports whether a child whose certificate was verified once may still attach.
func (n *Node) stillAdmitted(c *ident.NodeCert) bool {
	if _, ok := n.admitted[c.Network]; ok {
		return n.fit(c) == nil
	}
	return slices.Contains(n.cfg.TrustNodes, c.Key) && n.fitNamed(c) == nil
}

// endRevokedComebacks ends the resumptions of keys that were taken back meanwhile.
func (n *Node) endRevokedComebacks(now clock.Reading) {
	for _, x := range slices.Clone(n.tickets.ring) {
		if !n.stillAdmitted(x.contents.cert) {
			n.endComeback(now, x, true)
		}
	}
}

// newComeback answers a ticket with a nonce and a label of ours.
func (n *Node) newComeback(now clock.Reading, from netip.AddrPort, t wire.Ticket,
	c *ticketContents,
) *comeback {
	b := &n.tickets
	n.makeRoom(now, c.cert.Key)
	mine, ok := n.labels.New(now.Up)
	if !ok {
		n.count(drop.Quota)
		return nil
	}
	n.links.last++
	x := &comeback{
		id: n.links.last, nonce: t.Nonce, from: from, mine: mine, theirs: t.Label,
		size: wire.MinDatagram, born: now.Up, contents: c,
	}
	if c.place == place(from.Addr()) {
		x.size = min(max(int(c.size), wire.MinDatagram), wire.MaxDatagram)
	}
	a := wire.TicketAnswer{To: t.Label, Label: mine, Size: uint16(x.size)}
	n.random(a.Nonce[:])
	x.keys = c.secret.Keys(false, t.Nonce, a.Nonce)
	x.answer = a.Append(nil)
	wire.PutTicketMAC(x.answer, c.secret.AnswerMac(t.Nonce, wire.TicketMACInput(x.answer)))
	b.byID[x.id], b.byNonce[x.nonce] = x, x
	b.ring = append(b.ring, x)
	n.tables.SetRow(plane.Row{Kind: plane.RowControl, Label: mine, ID: x.id})
	n.timers.sooner(b.expire, now.Up+comebackLife)
	return x
}

// makeRoom ends the oldest resumption of a child that has enough of them, or of all.
func (n *Node) makeRoom(now clock.Reading, child ident.NodeID) {
	b := &n.tickets
	var mine []*comeback
	for _, x := range b.ring {
		if x.contents.cert.Key == child {
			mine = append(mine, x)
		}
	}
	switch {
	case len(mine) >= childComebacks:
		n.endComeback(now, mine[0], true)
	case len(b.ring) >= b.most:
		n.endComeback(now, b.ring[0], true)
	}
}

// endComeback forgets a resumption; free gives its label back.
func (n *Node) endComeback(now clock.Reading, x *comeback, free bool) {
	b := &n.tickets
	delete(b.byID, x.id)
	delete(b.byNonce, x.nonce)
	b.ring = slices.DeleteFunc(b.ring, func(y *comeback) bool { return y == x })
	if free {
		n.dropLabel(now, x.mine)
	}
}

func (n *Node) expireComebacks(now clock.Reading) {
	b := &n.tickets
	for len(b.ring) > 0 && now.Up-b.ring[0].born >= comebackLife {
		n.endComeback(now, b.ring[0], true)
	}
	if len(b.ring) > 0 {
		n.timers.arm(b.expire, b.ring[0].born+comebackLife)
	}
}

// comesBack takes the first frame under keys of both nonces: only the holder of the ticket can have
// sealed it, and only in this attempt. So the link lives, where the frame came from. It returns
// nil when there is no such attempt or the frame does not open.
func (n *Node) comesBack(now clock.Reading, id plane.LinkID, from netip.AddrPort,
	h wire.DataHeader, b, sealed []byte,
) *link {
	x := n.tickets.byID[id]
	if x == nil {
		n.count(drop.BadFrame)
		return nil
	}
	first := session.NewReceiver(x.keys.Recv, session.ChaCha, session.WindowLink)
	if _, _, err := first.Open(nil, h.Epoch, h.Counter, h.Long, b[0], sealed); err != nil {
		n.count(unopened(err))
		return nil
	}
	c := x.contents
	n.endComeback(now, x, false)
	known := n.links.byPeer[peerKey{c.cert.Key, false}] != nil
	if !known && len(n.links.byID) >= maxLinks {
		n.count(drop.Quota)
		n.dropLabel(now, x.mine)
		return nil
	}
	if !n.childMayMove(now, c.cert.Key, from) {
		n.dropLabel(now, x.mine)
		return nil
	}
	l := n.linkUp(now, linkKeys{
		peer: c.cert.Key, network: c.cert.Network, addr: from, mine: x.mine, theirs: x.theirs,
		keys: x.keys, size: x.size,
		period: min(time.Duration(max(c.period, 1))*time.Second, maxChildPeriod),
	})
	l.tenure = c.tenure
	l.tenure.count++
	l.tenure.up = now.Up
	n.childUp(now, l, c.cert, "resumed")
	return l
}

// childUp does what is due when a child's link is up, however it came.
func (n *Node) childUp(now clock.Reading, l *link, cert *ident.NodeCert, how string) {
	if x := n.confined[l.id]; x != nil {
		n.confinedUp(l, x)
		return
	}
	n.event(Event{Kind: EventChildUp, Key: l.peer, Addr: l.live.Addr(), Text: how})
	n.links.certs[l.id] = cert.Append(nil)
	n.watchLinkExpiry(now, l, cert)
	n.childAttached(l)
	if n.names.blank && n.IsRoot() {
		n.lookOwn(now)
	}
	n.tell(l, wire.ControlUp, n.above(l, n.parents.active).Append(nil))
	n.grant(now, l)
	n.childrenChanged(now)
}
