// SPDX-License-Identifier: Apache-2.0

package node

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/session"
	"staex/internal/overlay/tunnel"
	"staex/internal/wire"
)

const (
	// offerFirst is the first wait for an answer to an offer or a switch; it doubles up to
	// offerCap. A client that is offline is a normal state, so it never gives up.
	offerFirst = 2 * time.Second
	offerCap   = 10 * time.Minute
	// offerQuick is how often the wait does not grow, because a session stands: what gets no answer
	// there has most likely got lost.
	offerQuick = 8
	// offerEvery is how often a settled tunnel is offered again at most to who has lost it.
	offerEvery = time.Minute
	// offerDaily is how often a settled tunnel is offered again: a client that lost its disk
	// gets it back, for about a kilobyte a day.
	offerDaily = 24 * time.Hour
)

// offer is what one end still has to tell the other about a tunnel.
//
//	server: offering --Accept--> settled --enable, disable--> switching --SwitchOK--> settled
//	client: settled --enable, disable, delete--> switching --SwitchOK--> settled
type offer struct {
	t      *tunnel.Tunnel
	wait   time.Duration
	again  *timer
	change uint8 // state to tell, or 0
	quick  uint8 // times that the wait did not grow
	id     [8]byte
	held   bool // the other end waits for a person
	last   time.Duration
}

// offerAgain starts or restarts telling the other end.
func (n *Node) offerAgain(now clock.Reading, t *tunnel.Tunnel) {
	if t.Revoked {
		return // nobody may know of it any more
	}
	o := n.offers[t.ID]
	if o == nil {
		o = &offer{t: t}
		o.again = newTimer(func(now clock.Reading, _ *Effects) { n.sendOffer(now, o) })
		n.offers[t.ID] = o
	}
	o.wait, o.quick = offerFirst, 0
	n.timers.arm(o.again, now.Up)
}

// offerSoon offers a tunnel again, because its client may have lost it.
func (n *Node) offerSoon(now clock.Reading, t *tunnel.Tunnel) {
	if o := n.offers[t.ID]; o != nil && o.change == 0 {
		o.wait, o.quick = offerFirst, 0
		n.timers.sooner(o.again, max(now.Up, o.last+offerEvery))
	}
}

// retryOffers tries at once again when a parent was found.
func (n *Node) retryOffers(now clock.Reading) {
	for _, t := range n.tunnels.List() {
		o := n.offers[t.ID]
		switch {
		case o != nil && o.change != 0:
			n.timers.arm(o.again, now.Up)
		case t.Side == tunnel.Server && !t.Deleted && (t.RemoteKey.IsZero() || o == nil):
			n.offerAgain(now, t)
		}
	}
}

func (n *Node) sendOffer(now clock.Reading, o *offer) {
	t := o.t
	if n.offers[t.ID] != o {
		return
	}
	c := n.conversationWith(now, n.who.Secret, t.RemoteNode, nil)
	n.timers.arm(o.again, now.Up+o.wait+n.jitter(o.wait/8))
	if o.quick < offerQuick && c.reachable() {
		o.quick++
	} else {
		o.wait = min(2*o.wait, offerCap)
	}
	if o.change == 0 && (t.Deleted || t.DisabledHere && t.RemoteKey.IsZero()) {
		return
	}
	o.last = now.Up
	if !c.reachable() && len(c.waiting().messages) > 0 {
		n.redialSoon(now, c)
		return // the last one still waits for a session
	}
	if o.change != 0 {
		m := wire.Switch{ID: o.id, Tunnel: t.ID, State: o.change, Seq: t.Seq}
		n.sendMessage(now, c, wire.SessionSwitch, m.Append(nil))
		return
	}
	m := wire.Offer{
		ID: t.Offer, Cert: t.LocalCert, Network: n.who.Network.Append(nil), Expires: t.Expires,
		Seq: t.Seq, Families: families(t), Names: nameBytes(t.Names),
		Static: t.Static.AsSlice(),
		Proof:  offerProof(session.TunnelSecret(t.Local, t.RemoteNode), n.self, t.Offer),
	}
	n.sendMessage(now, c, wire.SessionOffer, m.Append(nil))
}

func (n *Node) redialSoon(now clock.Reading, c *conversation) {
	if !c.busy() {
		c.wait = redialFirst
		n.timers.sooner(c.redial, max(now.Up, c.anewAt()))
	}
}

func (n *Node) endOffer(t *tunnel.Tunnel) {
	if o := n.offers[t.ID]; o != nil {
		n.timers.stop(o.again)
		delete(n.offers, t.ID)
	}
}

// fromNode acts on a message between nodes. The session has proved who sent it.
func (n *Node) fromNode(now clock.Reading, c *conversation, m wire.SessionMessage) error {
	switch m.Type {
	case wire.SessionClaim:
		return n.fromClaim(now, c, m.Body)
	case wire.SessionClaimOK:
		return n.fromClaimOK(now, c, m.Body)
	case wire.SessionWantList:
		return n.fromWantList(now, c, m.Body)
	case wire.SessionListPart:
		return n.fromListPart(now, c, m.Body)
	case wire.SessionHello:
		return n.fromHello(now, c, m.Body)
	case wire.SessionOffer:
		return n.fromOffer(now, c, m.Body)
	case wire.SessionAccept:
		return n.fromAccept(now, c, m.Body)
	case wire.SessionReject:
		return n.fromReject(now, c, m.Body)
	case wire.SessionPending:
		return n.fromPending(c, m.Body)
	case wire.SessionSwitch:
		return n.fromSwitch(now, c, m.Body)
	case wire.SessionSwitchOK:
		return n.fromSwitchOK(now, c, m.Body)
	}
	return fmt.Errorf("session message %d: unknown", m.Type)
}

// fromOffer takes an offer at the client: check, make our endpoint, keep it, then answer.
func (n *Node) fromOffer(now clock.Reading, c *conversation, b []byte) error {
	o, err := wire.ParseOffer(b)
	if err != nil {
		return err
	}
	cert, refused := n.checkOffer(c, o)
	if refused == nil {
		refused = checkNames(o.Names)
	}
	if refused != nil {
		n.refuseOffer(now, c, o.ID, refused)
		return nil
	}
	wanted := n.namesFor(cert, o)
	t, known := n.tunnels.ByID(cert.Key)
	moved := known && t.RemoteNode != c.key.remote
	switch {
	case known && (t.Side != tunnel.Client || moved && t.Revoked):
		n.refuseOffer(now, c, o.ID, ErrInUse)
		return nil
	case moved: // the tunnel's key proved itself: its host has another key than before
		t.RemoteNode = c.key.remote
	}
	if known && t.Deleted {
		n.count(drop.NotAdmitted)
		n.reject(now, c, o.ID, wire.RejectByHand)
		if moved || n.offers[t.ID] == nil {
			n.tellChange(now, t, wire.SwitchDeleted) // it was away, or could not keep it
		}
		return nil
	}
	if !known {
		t = &tunnel.Tunnel{ID: cert.Key, Side: tunnel.Client, RemoteNode: c.key.remote}
		t.Pending, t.Auto = n.cfg.AcceptByHand, !n.cfg.AcceptByHand
	} else if !moved && o.ID == t.Offer && (t.Pending || t.Local != nil) &&
		(o.Seq < t.Seq || o.Seq == t.Seq && slices.Equal(wanted, t.AllNames())) {
		n.answerAgain(now, c, t, o)
		return nil
	}
	t.Offer, t.Seq, t.Network, t.Targets = o.ID, o.Seq, cert.Network, cert.Targets
	t.RemoteKey = cert.Key
	n.giveNames(t, wanted)
	static, _ := netip.AddrFromSlice(o.Static)
	t.Static = static.Unmap() // a tunnel with one in disguise cannot be stored
	t.Expires = earlier(cert.NotAfter, o.Expires)
	t.No4, t.No6 = o.Families&wire.FamilyIPv4 == 0, o.Families&wire.FamilyIPv6 == 0
	if !known {
		refused := n.tunnels.Add(t)
		if t.Auto && errors.Is(refused, tunnel.ErrOfferer) {
			t.Auto, t.Pending = false, true // a person may want more of them
			refused = n.tunnels.Add(t)
		}
		if refused != nil {
			n.refuseOffer(now, c, o.ID, refused)
			return nil
		}
	}
	if t.Pending {
		n.saveTunnel(t)
		n.event(Event{Kind: EventTunnelOffered, Tunnel: t.ID, Key: c.key.remote, Text: t.Name})
		n.sendMessage(now, c, wire.SessionPending, wire.Pending{ID: o.ID}.Append(nil))
		return nil
	}
	return n.acceptTunnel(now, t)
}

// answerAgain answers an offer that is known, or older than what is known: nothing is written, or
// whoever repeats an offer would wear out our disk.
func (n *Node) answerAgain(now clock.Reading, c *conversation, t *tunnel.Tunnel, o wire.Offer) {
	switch {
	case o.Seq < t.Seq:
	case t.Pending:
		n.sendMessage(now, c, wire.SessionPending, wire.Pending{ID: o.ID}.Append(nil))
	default:
		n.sendAccept(now, t)
	}
}

// nameOf is what people call a tunnel: its first name, else the beginning of its id.
func nameOf(t *tunnel.Tunnel) string {
	if len(t.Names) > 0 {
		return t.Names[0]
	}
	return t.ID.String()[:8]
}

// families says with which IP versions the server end can be reached.
func families(t *tunnel.Tunnel) (f uint8) {
	if !t.No4 {
		f |= wire.FamilyIPv4
	}
	if !t.No6 {
		f |= wire.FamilyIPv6
	}
	return f
}

func nameBytes(names []string) [][]byte {
	list := make([][]byte, len(names))
	for i, x := range names {
		list[i] = []byte(x)
	}
	return list
}

func checkNames(names [][]byte) error {
	for _, x := range names {
		if err := ident.CheckName(string(x)); err != nil {
			return err
		}
	}
	return nil
}

// earlier is the earlier of two moments in Unix seconds, of which zero is never.
func earlier(a, b uint32) uint32 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// offerProof shows that an offer comes from who holds the private key of its server endpoint: its
// certificate alone is seen by every relay on the way. The secret is that of the server endpoint's
// key and the client node's key.
func offerProof(secret [32]byte, host ident.NodeID, id [8]byte) [session.HelloMACSize]byte {
	return session.HelloMAC(secret, []byte("offer"), host[:], id[:])
}

// acceptProof shows that an answer comes from who holds the private key of its client endpoint.
// The secret is that of the tunnel.
func acceptProof(secret [32]byte, id [8]byte) [session.HelloMACSize]byte {
	return session.HelloMAC(secret, []byte("accept"), id[:])
}

// inUse reports whether a key that somebody brings for a tunnel is known here as anything else.
func (n *Node) inUse(key ident.NodeID, t *tunnel.Tunnel) bool {
	if key == n.self {
		return true
	}
	for _, other := range n.tunnels.List() {
		if other.RemoteNode == key || other != t && (other.ID == key || other.RemoteKey == key) ||
			other.Local != nil && other.Local.ID() == key {
			return true
		}
	}
	return false
}

// checkOffer checks that a trusted network signed the offer, that it is meant for us, and that it
// comes from where the endpoint is.
func (n *Node) checkOffer(c *conversation, o wire.Offer) (*ident.EndpointCert, error) {
	cert, err := ident.DecodeEndpointCert(o.Cert)
	if err != nil {
		return nil, err
	}
	key, ok := n.issuerOf(c, cert, o.Network)
	if !ok {
		return nil, ErrForeign
	}
	if cert.Kind != ident.ServerEndpoint || cert.Peer != n.self {
		return nil, fmt.Errorf("offer of %v: it is meant for another node", cert.Key)
	}
	if err := cert.VerifyBy(key); err != nil {
		return nil, err
	}
	n.passed(cert.Network, cert.NotBefore, n.lastOf(cert.Network))
	if n.isRevoked(cert.Network, cert.Key) || n.isRevoked(cert.Network, c.key.remote) {
		return nil, fmt.Errorf("offer of %v: %w", cert.Key, ErrRevoked)
	}
	secret := session.TunnelSecret(n.who.Secret, cert.Key)
	proof := offerProof(secret, c.key.remote, o.ID)
	if subtle.ConstantTimeCompare(proof[:], o.Proof[:]) != 1 {
		return nil, fmt.Errorf("offer of %v: %w", cert.Key, ErrProof)
	}
	if t, _ := n.tunnels.ByID(cert.Key); n.inUse(cert.Key, t) {
		return nil, fmt.Errorf("offer of %v: %w", cert.Key, ErrInUse)
	}
	return cert, nil
}

// refuseOffer reports why an offer is not taken and tells the other end as much as it may know.
func (n *Node) refuseOffer(now clock.Reading, c *conversation, id [8]byte, why error) {
	n.count(drop.NotAdmitted)
	n.event(Event{Kind: EventTunnelRefused, Key: c.key.remote, Text: why.Error()})
	reason := uint8(wire.RejectBadCert)
	switch {
	case errors.Is(why, ErrForeign):
		reason = wire.RejectNotTrusted
	case errors.Is(why, tunnel.ErrFull), errors.Is(why, tunnel.ErrOfferer):
		reason = wire.RejectFull
	}
	n.reject(now, c, id, reason)
}

func (n *Node) reject(now clock.Reading, c *conversation, id [8]byte, reason uint8) {
	m := wire.Reject{ID: id, Reason: reason}
	n.sendMessage(now, c, wire.SessionReject, m.Append(nil))
}

// settled rests until the next daily offer.
func (n *Node) settled(now clock.Reading, t *tunnel.Tunnel) {
	if o := n.offers[t.ID]; o != nil && o.change == 0 {
		o.wait, o.quick, o.held = offerFirst, 0, false
		n.timers.arm(o.again, now.Up+offerDaily+n.jitter(offerDaily/8))
	}
}

// dropEnd forgets the fast path's side of a tunnel whose remote key changes.
func (n *Node) dropEnd(now clock.Reading, t *tunnel.Tunnel) {
	n.closeEnd(now, t)
	n.say(kindOf(t.Side), t.Local, n.self)
}
