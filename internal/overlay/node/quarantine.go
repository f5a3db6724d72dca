// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"slices"
	"time"

	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/plane"
	"staex/internal/wire"
)

const (
	// maxConfined bounds the links in quarantine, and confinedLife how long each may stay: when a
	// whole fleet has expired at once, all get their turn, whoever sits there without renewing.
	maxConfined  = 1024
	confinedLife = 10 * time.Minute
	// confinedRows is how many paths such a link may cause, and confinedSetups how many at once: a
	// renewal takes one, and a few attempts must not have to wait for rows to expire.
	confinedRows   = 16
	confinedSetups = 4
	// confinedRate is how many bytes a second may cross such a link, and confinedBurst how many at
	// once: several renewals over TLS, and nothing else that is worth it.
	confinedRate  = 16 << 10
	confinedBurst = 64 << 10
)

// confined is a child whose certificate has expired: it may reach the issuer and nobody else.
//
//	expired child ──path to the issuer──> here ──> ... ──> issuer
//	              ──anything else──> dropped, or refused
type confined struct {
	issuer ident.NodeID
	end    *timer
}

// mayRenew turns the refusal of an expired certificate into a road to the issuer that the network's
// certificate names. The error is nil if there is one, and err itself if not.
func (n *Node) mayRenew(c *ident.NodeCert, network []byte, err error) (ident.NodeID, error) {
	if !errors.Is(err, ErrExpired) {
		return ident.NodeID{}, err
	}
	of := n.networkOf(c.Network, network)
	if of == nil {
		return ident.NodeID{}, err
	}
	issuer, ok := of.IssuerNode()
	if !ok || len(n.confined) >= maxConfined {
		return ident.NodeID{}, err
	}
	return issuer, nil
}

// networkOf is a network's certificate: our own, one that an authority signed, or the one that a
// child of a configured network brought, which only the configured key may have signed.
func (n *Node) networkOf(hash ident.NetworkHash, brought []byte) *ident.NetworkCert {
	if hash == n.who.Cert.Network {
		return n.who.Network
	}
	if c := n.chains.certs[hash]; c != nil {
		return c
	}
	c, err := ident.DecodeNetworkCert(brought)
	key, known := n.admitted[hash]
	if err != nil || !known || c.Key != key || !c.SelfSigned() || c.Verify() != nil {
		return nil
	}
	return c
}

// confine puts a link that came up into quarantine, unless issuer is zero.
func (n *Node) confine(now clock.Reading, l *link, issuer ident.NodeID) {
	if issuer.IsZero() {
		return
	}
	x := &confined{issuer: issuer}
	x.end = newTimer(func(now clock.Reading, _ *Effects) {
		n.tell(l, wire.ControlBye, nil)
		n.endLinkSoon(now, l, "its time in quarantine is over")
	})
	n.timers.arm(x.end, now.Up+confinedLife)
	n.confined[l.id] = x
	l.live.Confine(plane.NewMeter(confinedRate, confinedBurst))
}

// unlike ends a child's old link if the new one has other rights: none of its rows may stay.
func (n *Node) unlike(now clock.Reading, child, issuer ident.NodeID) {
	l := n.links.byPeer[peerKey{child, false}]
	if l == nil {
		return
	}
	if held := n.confined[l.id]; held != nil || !issuer.IsZero() {
		n.linkDown(now, l, "comes back with another certificate")
	}
}

// release forgets the quarantine of a link that ends.
func (n *Node) release(l *link) {
	if x := n.confined[l.id]; x != nil {
		n.timers.stop(x.end)
		delete(n.confined, l.id)
	}
}

// confinedUp does what is due when the link of an expired child is up.
func (n *Node) confinedUp(l *link, x *confined) {
	n.event(Event{
		Kind: EventChildUp, Key: l.peer, Addr: l.live.Addr(),
		Text: "in quarantine, because its certificate has expired: it reaches the issuer only",
	})
	n.tell(l, wire.ControlQuarantine, wire.Quarantine{Issuer: x.issuer}.Append(nil))
	n.tellHeads(l)
}

// permits reports whether a link in quarantine may bring a message: what the link itself needs,
// and paths, whose destination is looked at later.
func (x *confined) permits(typ uint8) bool {
	switch typ {
	case wire.ControlPath, wire.ControlUnknown, wire.ControlHeads, wire.ControlBye,
		wire.ControlPeriod, wire.ControlMoved, wire.ControlKEMKey, wire.ControlKEMAnswer,
		wire.ControlJunk, wire.ControlJunkOK, wire.ControlTooBig:
		return true
	}
	return false
}

// offRoad reports whether a path from a link leads where its quarantine does not let it: anywhere
// but to the issuer.
func (n *Node) offRoad(l *link, dest ident.NodeID) bool {
	x := n.confined[l.id]
	return x != nil && dest != x.issuer
}

// inside makes a path to an endpoint of the issuer one to the issuer itself: a relay that keeps us
// in quarantine lets nothing else pass, and does not know the endpoints of others.
func (n *Node) inside(p *wire.Path, to *link) {
	if !to.held() || p.Kind > wire.PathResume {
		return
	}
	t, ok := n.tunnels.ByRemoteKey(p.Dest)
	if !ok || t.RemoteNode != to.up.issuer || len(p.Body) > wire.MaxPathBody-ident.KeySize {
		return
	}
	p.Body = slices.Concat(p.Dest[:], p.Body)
	p.Dest = to.up.issuer
	p.Kind += wire.PathHelloInside - wire.PathHello
}

// outside undoes inside at the node that was meant. It is false if no endpoint of ours is named.
func (n *Node) outside(p *wire.Path) bool {
	if p.Kind < wire.PathHelloInside {
		return true
	}
	if p.Dest != n.self || len(p.Body) < ident.KeySize {
		return false
	}
	p.Dest, p.Body = ident.NodeID(p.Body), p.Body[ident.KeySize:]
	p.Kind -= wire.PathHelloInside - wire.PathHello
	_, mine := n.tunnels.ByLocalKey(p.Dest)
	return mine
}

// rowsFor is how many paths a link may cause, and setupsFor how many at once.
func (n *Node) rowsFor(l *link) int {
	if n.confined[l.id] != nil {
		return confinedRows
	}
	return n.cfg.LinkRows
}

func (n *Node) setupsFor(l *link) int32 {
	if n.confined[l.id] != nil {
		return confinedSetups
	}
	return linkSetups
}

// fromQuarantine takes the word of a parent that our certificate has expired. We do not need its
// clock: what it does not carry is what we stop to tell it.
func (n *Node) fromQuarantine(l *link, b []byte) error {
	q, err := wire.ParseQuarantine(b)
	if err != nil {
		return err
	}
	l.up.issuer, l.sync = q.Issuer, nil
	if c := l.ctl.backlog; c != nil {
		c.dirty, c.first = recordSet{}, recordSet{}
	}
	n.event(Event{
		Kind: EventParentRefused, Key: l.peer, Text: n.parents.list[l.entry].Entry + ": " +
			quarantined(q.Issuer),
	})
	return nil
}

// quarantined is what to tell a person at the end that is in quarantine.
func quarantined(issuer ident.NodeID) string {
	return "the certificate of this node has expired: the parent carries packets for the issuer " +
		issuer.String() + " and nothing else; get a new certificate from there"
}

// held reports whether a link leads to a parent that keeps us in quarantine.
func (l *link) held() bool { return l.up != nil && !l.up.issuer.IsZero() }
