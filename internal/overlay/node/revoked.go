// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/revoke"
	"staex/internal/overlay/state"
	"staex/internal/overlay/tunnel"
)

// revokedPrefix begins the name under which a network's revoked keys are kept on disk.
const revokedPrefix = "revoked-"

// ErrRevoked says that a network has taken a key back.
var ErrRevoked = errors.New("its key was revoked")

// ErrNoRevoker says that this node may not sign a list of revoked keys.
var ErrNoRevoker = errors.New("this node has no role revoker: sign with the network's private key")

// revocations is what this node knows of the keys that networks have taken back. Whatever was
// verified once stays, in memory and on disk.
type revocations struct {
	sets   map[ident.NetworkHash]*revoke.Set // one of each admitted network
	order  []ident.NetworkHash               // of sets, ascending
	claims map[ident.NetworkHash]*claim      // lists that others know and we do not
	gone   bool                              // this node's own key is revoked
}

func (r *revocations) init() {
	r.sets = map[ident.NetworkHash]*revoke.Set{}
	r.claims = map[ident.NetworkHash]*claim{}
}

// load takes the set of a network from before the restart.
func (r *revocations) load(n *Node, key ident.NetworkKey) error {
	hash := key.Hash()
	s := revoke.NewSet(key)
	name := revokedPrefix + hash.String()
	if b, stored := n.cfg.Stored[name]; stored {
		var err error
		s, err = revoke.DecodeSet(b)
		if err == nil && s.Network() != key {
			err = revoke.ErrNetwork
		}
		if err != nil {
			return fmt.Errorf("load %s: %w", name, err)
		}
	}
	if _, chained := n.chains.certs[hash]; chained {
		s.Bound(maxChainKeys)
	}
	r.sets[hash] = s
	at, _ := slices.BinarySearchFunc(r.order, hash, func(a, b ident.NetworkHash) int {
		return bytes.Compare(a[:], b[:])
	})
	r.order = slices.Insert(r.order, at, hash)
	return nil
}

// isRevoked tells whether a key is taken back: by its network, or by this node's own network,
// which may ban whom it likes from its nodes. Other networks speak of their own members only, and
// an authority of whole networks.
func (n *Node) isRevoked(network ident.NetworkHash, key ident.NodeID) bool {
	own := n.who.Cert.Network
	if n.revs.sets[own].Has(key) || n.networkRevoked(network) {
		return true
	}
	s := n.revs.sets[network]
	return network != own && s != nil && s.Has(key)
}

// fit says why a key may be no neighbour and no partner, although its certificate verifies.
func (n *Node) fit(c *ident.NodeCert) error {
	if err := n.chainFit(c.Network); err != nil {
		return err
	}
	if n.isRevoked(c.Network, c.Key) {
		return fmt.Errorf("node %v: %w", c.Key, ErrRevoked)
	}
	return n.unexpired(c)
}

// revokedName says why a key that the configuration names may not be a neighbour. Nobody has
// verified to which network it belongs, so any trusted network may have taken it back.
func (n *Node) revokedName(c *ident.NodeCert) error {
	for _, hash := range n.revs.order {
		_, trusted := n.trusted[hash]
		if (trusted || hash == c.Network) && n.isRevoked(hash, c.Key) {
			return fmt.Errorf("node %v: %w", c.Key, ErrRevoked)
		}
	}
	return nil
}

// fitNamed is fit for a key that the configuration names.
func (n *Node) fitNamed(c *ident.NodeCert) error {
	if err := n.revokedName(c); err != nil {
		return err
	}
	return n.unexpired(c)
}

// ownList is the number of the newest list of our network, as handshakes carry it.
func (n *Node) ownList() uint32 { return n.revs.sets[n.who.Cert.Network].Number() }

// proven checks that one of the networks signed a node's certificate and stands by it still.
func (n *Node) proven(by networks, c *ident.NodeCert) error {
	if err := by.verify(c); err != nil {
		return err
	}
	n.passed(c.Network, c.NotBefore, n.lastOf(c.Network))
	return n.fit(c)
}

// tunnelRevoked tells whether a key that a tunnel depends on was taken back: the endpoints' and
// the nodes' at both ends.
func (n *Node) tunnelRevoked(t *tunnel.Tunnel) bool {
	own, far := n.who.Cert.Network, t.Network
	if t.Side == tunnel.Server {
		far = t.RemoteNetwork
	}
	return n.revs.gone || n.isRevoked(t.Network, t.ID) ||
		n.isRevoked(far, t.RemoteNode) || n.isRevoked(far, t.RemoteKey) ||
		t.Local != nil && n.isRevoked(own, t.Local.ID()) ||
		slices.Contains(n.cfg.TrustNodes, t.RemoteNode) &&
			n.revokedName(&ident.NodeCert{Key: t.RemoteNode}) != nil
}

// endRevoked ends a tunnel at once if a key of it was taken back, and tells whether that is so.
func (n *Node) endRevoked(now clock.Reading, t *tunnel.Tunnel) bool {
	if !t.Revoked && !n.tunnelRevoked(t) {
		return false
	}
	if !t.Revoked {
		t.Revoked = true
		n.endOffer(t)
		n.closeEnd(now, t)
		n.event(Event{
			Kind: EventTunnelChanged, Tunnel: t.ID, Key: t.RemoteNode, Text: "revoked",
		})
	}
	return true
}

// learned keeps a set that has grown, passes the news on and ends what uses the keys in it.
func (n *Node) learned(now clock.Reading, s *revoke.Set) {
	hash := s.Network().Hash()
	n.keep(revokedPrefix+hash.String(), s.Append(nil))
	n.event(Event{
		Kind: EventRevoked, Text: fmt.Sprintf("list %d of network %s, %d keys revoked in all",
			s.Number(), hash, s.Len()),
	})
	if c := n.revs.claims[hash]; c != nil && s.Number() >= c.number {
		n.endClaim(hash)
	}
	n.sweep(now, hash)
}

// sweep ends whatever uses a revoked key of a network. It is not told which keys are new: what
// ended before is not there any more.
func (n *Node) sweep(now clock.Reading, hash ident.NetworkHash) {
	if !n.revs.gone && n.isRevoked(n.who.Cert.Network, n.self) {
		n.revs.gone = true
		n.timers.stop(n.parents.again)
		n.endAttempt(now)
	}
	for _, t := range n.tunnels.List() {
		if !t.Deleted {
			n.endRevoked(now, t)
		}
	}
	for _, c := range n.conversations() {
		if n.revs.gone || n.isRevoked(c.network, c.key.remote) {
			n.forgetConversation(now, c)
		}
	}
	n.dropOrphans(now)
	n.endRevokedComebacks(now)
	n.sweepRows(hash, func(r state.Entry) bool { return n.isRevoked(r.Network, r.Key) })
	for _, l := range n.links.all() {
		switch {
		case n.revs.gone:
			n.endLinkSoon(now, l, "this node's own key was revoked")
		case n.isRevoked(l.network, l.peer):
			n.endLinkSoon(now, l, ErrRevoked.Error())
		}
	}
}

// sweepRows takes the keys that have ended, and what hangs below them, out of the records: those
// of a network or, if it is an authority's, of all its networks.
func (n *Node) sweepRows(hash ident.NetworkHash, ended func(state.Entry) bool) {
	var list []ident.NodeID
	n.records.EachEntry(func(r state.Entry) bool {
		chain := n.chains.certs[r.Network]
		theirs := r.Network == hash || hash == n.who.Cert.Network ||
			chain != nil && chain.Authority.Hash() == hash
		if theirs && r.Via != state.Self && ended(r) {
			list = append(list, r.Key)
		}
		return true
	})
	for _, key := range list {
		if _, there := n.records.Branch(key); there { // not gone with a row above it
			n.records.Remove(key)
			n.mark(key)
		}
	}
}

// endLinkSoon ends a link at the next wake-up, a millisecond later: until then the neighbour is
// sent what was queued for it, such as the list that has its key in it, so that a person there can
// read why.
func (n *Node) endLinkSoon(now clock.Reading, l *link, why string) {
	n.timers.arm(newTimer(func(now clock.Reading, _ *Effects) {
		if n.links.byID[l.id] == l {
			n.linkDown(now, l, why)
		}
	}), now.Up+time.Millisecond)
}

// forgetConversation ends a conversation for good.
func (n *Node) forgetConversation(now clock.Reading, c *conversation) {
	if c.live != nil {
		n.event(Event{Kind: EventSessionDown, Key: c.key.remote, Text: ErrRevoked.Error()})
	}
	n.endConversation(now, c)
	n.endDial(now, c)
	n.timers.stop(c.redial)
	c.waits = nil
	delete(n.sessions.byPair, c.key)
}

// dropOrphans forgets the half-open sessions of conversations that have ended.
func (n *Node) dropOrphans(now clock.Reading) {
	for _, mine := range slices.Sorted(maps.Keys(n.sessions.halves)) {
		c := n.sessions.halves[mine].conv
		if c != nil && n.sessions.byPair[c.key] != c {
			delete(n.sessions.halves, mine)
			n.dropLabel(now, mine)
		}
	}
}

// Revoke takes keys back for ever. Exactly one of the fields is set.
type Revoke struct {
	List []byte         // a whole list, signed by the operator: revoke.List
	Keys []ident.NodeID // to be signed by this node, which needs the role revoker
	Self bool           // this node's own key
}

// apply takes a list as it would come from a neighbour. What it says is true for everybody, so
// nothing is changed unless all of it verifies.
func (c Revoke) apply(n *Node, now clock.Reading) error {
	own := n.revs.sets[n.who.Cert.Network]
	switch {
	case c.Self:
		r := revoke.Resign(n.who.Network.Key, n.who.Cert, n.who.Secret)
		return n.takeResignation(now, r, nil)
	case len(c.Keys) > 0:
		if !n.who.Cert.Roles.Has(ident.RoleRevoker) {
			return ErrNoRevoker
		}
		by := revoke.Signer{Secret: n.who.Secret, Network: own.Network(), Cert: n.who.Cert}
		l, err := revoke.Next(own.Known(), c.Keys, by, n.wall)
		if err != nil {
			return err
		}
		return n.takeList(now, own, l)
	}
	l, err := revoke.DecodeList(c.List)
	if err != nil {
		return err
	}
	s := n.revs.sets[l.Head.Network.Hash()]
	if s == nil {
		return fmt.Errorf("network %s: %w", l.Head.Network, ErrForeign)
	}
	return n.takeList(now, s, l)
}

func (n *Node) takeList(now clock.Reading, s *revoke.Set, l *revoke.List) error {
	changed, err := s.Put(l.Head, 0, l.Prints)
	if err == nil && changed {
		n.listed(now, s, l.Head, nil)
	}
	return err
}

// Revocations returns what is known to be revoked in a network, to build the next list upon; ok is
// false unless the network is admitted here.
func (n *Node) Revocations(network ident.NetworkKey) (k revoke.Known, ok bool) {
	s := n.revs.sets[network.Hash()]
	if s == nil || s.Network() != network {
		return k, false
	}
	return s.Known(), true
}

// Revoked tells whether a key is taken back, by its network or by our own.
func (n *Node) Revoked(network ident.NetworkHash, key ident.NodeID) bool {
	return n.isRevoked(network, key)
}

// countRefusal counts why a key was refused.
func (n *Node) countRefusal(err error) {
	if errors.Is(err, ErrRevoked) {
		n.count(drop.Revoked)
		return
	}
	n.count(drop.NotAdmitted)
}
