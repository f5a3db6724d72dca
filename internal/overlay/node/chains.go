// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/state"
)

const (
	// chainPrefix begins the name under which the certificate of a network that an authority
	// signed is kept on disk: tickets and lists of revoked keys outlive a restart with it.
	chainPrefix = "network-"
	// maxChains bounds the networks that are known by an authority's word alone. Each has a list
	// of revoked keys, of at most maxChainKeys, so that customers of one authority cannot fill the
	// memory of a relay: together they hold less than 8 MB.
	maxChains    = 256
	maxChainKeys = 1 << 11
)

// Why a network that an authority signed is not admitted.
var (
	// ErrAuthority says that nobody told this node to believe the authority.
	ErrAuthority = errors.New("trusted-authorities does not name the authority that signed it")
	// ErrNetworkRevoked says that the authority took the network back.
	ErrNetworkRevoked = errors.New("its authority has revoked the whole network")
	// ErrNetworkExpired says that the network needs a new certificate from its authority.
	ErrNetworkExpired = errors.New("the certificate of its network has expired")
	// ErrChains says that this node carries as many networks as it can.
	ErrChains = errors.New("this node knows as many networks of authorities as it can hold")
	// ErrNoRelay says that an authority did not make a network one of relays.
	ErrNoRelay = errors.New("its network has no role relay")
)

// chainBook is the third tier: what authorities say of networks that the configuration does not
// name. Authority, network, node: each link is a signature, and each is checked here.
type chainBook struct {
	certs     map[ident.NetworkHash]*ident.NetworkCert // verified; at most maxChains
	believed  networks                                 // authorities, ours among them
	admitting networks                                 // those of them whose networks may join
	named     networks                                 // configured networks, which need no chain
}

// load takes the certificates from before the restart. What does not stand any more, because the
// configuration has changed or the file is damaged, is forgotten: it comes again with its members.
func (b *chainBook) load(n *Node) {
	b.certs = map[ident.NetworkHash]*ident.NetworkCert{}
	b.believed, b.admitting, b.named = networks{}, networks{}, maps.Clone(n.admitted)
	for _, key := range n.cfg.Authorities {
		b.admitting.add(key)
		b.believed.add(key)
	}
	if own := n.who.Network; !own.SelfSigned() {
		b.believed.add(own.Authority)
	}
	for _, name := range slices.Sorted(maps.Keys(n.cfg.Stored)) {
		if !strings.HasPrefix(name, chainPrefix) || len(b.certs) >= maxChains {
			continue
		}
		c, err := ident.DecodeNetworkCert(n.cfg.Stored[name])
		if err == nil && name == chainName(c.Key.Hash()) && n.believes(c) == nil {
			b.certs[c.Key.Hash()] = c
			n.admitChain(c)
		}
	}
}

func chainName(hash ident.NetworkHash) string { return chainPrefix + hash.String() }

// admitChain lets the members of a network join if its authority may say so.
func (n *Node) admitChain(c *ident.NetworkCert) {
	if n.chains.admitting[c.Authority.Hash()] == c.Authority {
		n.admitted.add(c.Key)
	}
}

// believes checks that an authority that we know has signed a network's certificate.
func (n *Node) believes(c *ident.NetworkCert) error {
	if n.chains.believed[c.Authority.Hash()] != c.Authority {
		return fmt.Errorf("%w (it is %v)", ErrAuthority, c.Authority)
	}
	return c.Verify()
}

// ownChain is our network's certificate, for neighbours who know our network by it alone or have to
// know its issuer; nil if it says nothing that they would believe.
func (n *Node) ownChain() []byte {
	c := n.who.Network
	if _, inside := c.IssuerNode(); inside || !c.SelfSigned() {
		return c.Append(nil)
	}
	return nil
}

// chainFor is the certificate of the network that a node's row is of, for a neighbour of another.
func (n *Node) chainFor(row state.Row, l *link) []byte {
	switch c := n.chains.certs[row.Network]; {
	case row.Kind != state.Node || row.Network == l.network:
		return nil
	case row.Network == n.who.Cert.Network:
		return n.ownChain()
	case c != nil:
		return c.Append(nil)
	}
	return nil
}

// learnChain looks at the network certificate that came with a node's. What the configuration
// names needs none, and what is known costs no signature. A nil error does not say that the
// node's network is admitted.
func (n *Node) learnChain(now clock.Reading, c *ident.NodeCert, encoded []byte) error {
	if _, named := n.chains.named[c.Network]; named || len(encoded) == 0 {
		return nil
	}
	old := n.chains.certs[c.Network]
	if old != nil && bytes.Equal(old.Append(nil), encoded) {
		return nil
	}
	fresh, err := ident.DecodeNetworkCert(encoded)
	if err != nil {
		return err
	}
	switch {
	case fresh.SelfSigned():
		return nil
	case old != nil && (old.Key != fresh.Key || old.Serial > fresh.Serial ||
		old.Serial == fresh.Serial && !outlives(fresh, old)):
		return nil // an older one, or one that only shares the hash
	}
	if err := c.Verify(fresh); err != nil {
		return err
	}
	if err := n.believes(fresh); err != nil {
		return err
	}
	if err := n.stands(fresh); err != nil {
		return err
	}
	if old == nil && len(n.chains.certs) >= maxChains {
		return ErrChains
	}
	n.takeChain(now, fresh)
	return nil
}

// outlives tells whether a certificate ends later than another one.
func outlives(a, b *ident.NetworkCert) bool {
	return b.NotAfter != 0 && (a.NotAfter == 0 || a.NotAfter > b.NotAfter)
}

// takeChain keeps a verified certificate and asks everybody for news of a network that is new.
func (n *Node) takeChain(now clock.Reading, c *ident.NetworkCert) {
	hash := c.Key.Hash()
	n.chains.certs[hash] = c
	n.keep(chainName(hash), c.Append(nil))
	n.passed(c.Authority.Hash(), c.NotBefore, 0)
	n.watchExpiry(now, c.NotAfter)
	n.admitChain(c)
	if n.revs.sets[hash] == nil && n.follow(c.Key) == nil {
		n.tellAllHeads(hash)
	}
}

// chainFit says why nothing of a network is admitted any more, although its authority signed it.
func (n *Node) chainFit(hash ident.NetworkHash) error {
	if c := n.chains.certs[hash]; c != nil {
		return n.stands(c)
	}
	return nil
}

// stands tells whether an authority stands by a network still.
func (n *Node) stands(c *ident.NetworkCert) error {
	switch {
	case n.takenBack(c):
		return fmt.Errorf("network %v: %w", c.Key, ErrNetworkRevoked)
	case c.Expired(n.moment(c.Authority.Hash())):
		day := time.Unix(int64(c.NotAfter), 0).UTC().Format(time.DateOnly)
		return fmt.Errorf("network %v: %w on %s", c.Key, ErrNetworkExpired, day)
	}
	return nil
}

// networkRevoked tells whether an authority took back a network that is known by its word alone.
func (n *Node) networkRevoked(hash ident.NetworkHash) bool {
	c := n.chains.certs[hash]
	return c != nil && n.takenBack(c)
}

func (n *Node) takenBack(c *ident.NetworkCert) bool {
	s := n.revs.sets[c.Authority.Hash()]
	return s != nil && s.Network() == c.Authority && s.Has(ident.NodeID(c.Key))
}

// proveChild is proven for a child: whoever joins here shows who stands behind its network.
func (n *Node) proveChild(now clock.Reading, c *ident.NodeCert, network []byte) error {
	why := n.learnChain(now, c, network)
	err := n.proven(n.admitted, c)
	if chain := n.chains.certs[c.Network]; chain != nil && why == nil {
		why = fmt.Errorf("%w (it is %v)", ErrAuthority, chain.Authority)
	}
	if errors.Is(err, ErrForeign) && why != nil {
		err = fmt.Errorf("%w: %w", err, why)
	}
	return err
}

// asRelay checks a parent that nobody pinned and whose network is not trusted: an authority which
// we believe must have made its network one of relays.
func (n *Node) asRelay(c *ident.NodeCert, err error) error {
	chain := n.chains.certs[c.Network]
	if !errors.Is(err, ErrForeign) || chain == nil {
		return err
	}
	if !chain.Roles.Has(ident.RoleRelay) {
		return fmt.Errorf("node %v: %w", c.Key, ErrNoRelay)
	}
	return n.proven(networks{c.Network: chain.Key}, c)
}

// judgeChains ends what belongs to networks whose certificate has expired meanwhile.
func (n *Node) judgeChains(now clock.Reading) {
	for _, hash := range n.revs.order {
		c := n.chains.certs[hash]
		if c == nil {
			continue
		}
		if !c.Expired(n.moment(c.Authority.Hash())) {
			n.watchExpiry(now, c.NotAfter)
			continue
		}
		n.sweepRows(hash, func(state.Entry) bool { return true })
		for _, l := range n.links.all() {
			if l.network == hash && !n.pinned(l) {
				n.endLinkSoon(now, l, ErrNetworkExpired.Error())
			}
		}
	}
}

// pinned tells whether a neighbour is taken for its key, whatever its certificates say.
func (n *Node) pinned(l *link) bool {
	return l.toward && !n.parents.list[l.entry].Pin.IsZero()
}

// ownChainProblem is a sentence about our own network's standing with its authority, or "".
func (n *Node) ownChainProblem() string {
	c := n.who.Network
	if c.SelfSigned() {
		return ""
	}
	hash := c.Authority.Hash()
	switch {
	case n.revs.sets[hash].Has(ident.NodeID(c.Key)):
		return fmt.Sprintf("authority %v has revoked this node's network: relays of other "+
			"networks refuse it", c.Authority)
	case c.Expired(n.moment(hash)):
		return "the certificate of this node's network has expired and relays of other networks " +
			"refuse it: get a new network-certificate.txt from the authority"
	}
	return ""
}

// endWarnings are sentences about our own certificates that end soon: within warnDays, or in the
// last third of their life.
func (n *Node) endWarnings() (list []string) {
	const warnDays = 30 * 24 * 60 * 60
	add := func(what string, v ident.Validity, at uint32, from string) {
		if v.NotAfter == 0 || at == 0 || v.Expired(at) {
			return
		}
		soon := uint32(warnDays)
		if v.NotBefore != 0 {
			soon = max(soon, (v.NotAfter-v.NotBefore)/3)
		}
		if v.NotAfter-at > soon {
			return
		}
		day := time.Unix(int64(v.NotAfter), 0).UTC().Format(time.DateOnly)
		list = append(list, fmt.Sprintf("the certificate of this %s ends on %s: get a new one "+
			"from the %s before that", what, day, from))
	}
	own, network := n.who.Cert, n.who.Network
	add("node", own.Validity, n.moment(own.Network), "operator of the network")
	add("node's network", network.Validity, n.moment(network.Authority.Hash()), "authority")
	return list
}
