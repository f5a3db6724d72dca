// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/state"
	"staex/internal/wire"
)

const (
	// nameLife is how long a verified owner is believed without being asked again.
	nameLife = 10 * time.Minute
	// nameNone is how long nobody is asked again for a name that nobody claimed.
	nameNone = 10 * time.Second
	// maxQueries bounds the names this node asks for at once, and the answers it remembers.
	maxQueries = 256
	// maxWaiters bounds who waits for one name.
	maxWaiters = 64
	// ownAfter is how long after attaching a node looks whether the network's key gave its names to
	// somebody else, and ownEvery how long until the next time.
	ownAfter = 10 * time.Second
	ownEvery = 6 * time.Hour
)

// claimed is a name or a static address: what a tag stands for.
type claimed struct {
	kind byte
	text string
}

// nameBook is this node's own claims and what it asked for.
type nameBook struct {
	names   []string         // that the configuration claims
	static  netip.Addr       // likewise
	cert    *ident.NamesCert // what the network's key gave to this node; nil: nothing
	queries map[claimed]*query
	byID    map[[8]byte]*query // by the ids of the lookups
	byClaim map[[8]byte]*query // by the id of the claim
	pins    map[claimed]pin    // at most maxQueries
	own     *timer             // until our own names are looked for
	looked  time.Duration      // when they were
	blank   bool               // the disk was empty: there may be tunnels that this node lost
}

func (b *nameBook) init(n *Node) {
	b.names, b.static, b.cert = n.cfg.DNSNames, n.cfg.Static, n.cfg.Names
	b.queries = map[claimed]*query{}
	b.byID, b.byClaim = map[[8]byte]*query{}, map[[8]byte]*query{}
	b.pins = map[claimed]pin{}
	b.own = newTimer(func(now clock.Reading, _ *Effects) { n.checkOwn(now) })
}

// signed lists what the network's key gave to this node.
func (n *Node) signed() (list []claimed) {
	c := n.names.cert
	if c == nil || c.Expired(n.moment(c.Network)) {
		return nil
	}
	return claimsOf(c.Names, c.Static)
}

func claimsOf(names []string, static netip.Addr) (list []claimed) {
	for _, name := range names {
		list = append(list, claimed{wire.ClaimName, name})
	}
	if static.IsValid() {
		list = append(list, claimed{wire.ClaimStatic, static.String()})
	}
	return list
}

// endsOf is what the hosts of tunnels to a node are found by: no name reads as a node id.
func endsOf(client ident.NodeID) claimed { return claimed{wire.ClaimName, client.String()} }

// tagOf is what a relay sees of a claim. What the network's key has signed has a tag of its own: it
// is looked for as far as the root, whoever claims the same nearer to the asker.
func (n *Node) tagOf(what claimed, signed bool) [8]byte {
	kind := what.kind
	if signed {
		kind += ident.TagSignedName - ident.TagName
	}
	return n.who.Names.Tag(kind, what.text)
}

// tags are what this node's record carries: keyed hashes, which tell a relay nothing.
func (n *Node) tags() [][8]byte {
	if !n.who.HasNames {
		return nil
	}
	var list [][8]byte
	signed := n.signed()
	for _, what := range signed {
		list = append(list, n.tagOf(what, true))
	}
	for _, what := range claimsOf(n.names.names, n.names.static) {
		if !slices.Contains(signed, what) {
			list = append(list, n.tagOf(what, false))
		}
	}
	return list[:min(len(list), state.MaxTags)]
}

// mine reports whether a claim is this node's own: the network's word for it counts, and the
// configuration as long as the network's key gave the name to nobody else.
func (n *Node) mine(what claimed) bool {
	return slices.Contains(n.signed(), what) || n.configured(what) && !n.names.pins[what].signed
}

func (n *Node) configured(what claimed) bool {
	return slices.Contains(claimsOf(n.names.names, n.names.static), what)
}

// lookOwn plans to look whether our names are somebody else's, because the parent is new, and who
// has tunnels for us if we lost them.
func (n *Node) lookOwn(now clock.Reading) {
	if n.who.HasNames &&
		(n.names.blank || len(claimsOf(n.names.names, n.names.static)) > 0) {
		at := now.Up + ownAfter
		if n.names.looked != 0 {
			at = max(at, n.names.looked+nameLife)
		}
		n.timers.sooner(n.names.own, at+n.jitter(ownAfter))
	}
}

// checkOwn asks for what the network's key may have given to others of what we claim.
func (n *Node) checkOwn(now clock.Reading) {
	n.names.looked = now.Up
	n.timers.arm(n.names.own, now.Up+ownEvery+n.jitter(ownEvery/8))
	list := claimsOf(n.names.names, n.names.static)
	if n.names.blank {
		list = append(list, endsOf(n.self))
	}
	for _, what := range list {
		q := n.names.queries[what]
		if slices.Contains(n.signed(), what) || q != nil && !q.done || !n.who.HasNames {
			continue
		}
		if q != nil {
			n.forgetQuery(q)
		}
		if n.roomForQuery(now) {
			n.begin(now, &query{what: what, own: what != endsOf(n.self)})
		}
	}
}

// Warnings lists what a person should mend although the node works, in sentences.
func (n *Node) Warnings() (list []string) {
	for _, q := range n.names.queries {
		if q.clash != "" && q.until > n.moments.up && !n.configured(q.what) {
			list = append(list, q.clash)
		}
	}
	for _, what := range claimsOf(n.names.names, n.names.static) {
		if p := n.names.pins[what]; p.signed {
			list = append(list, fmt.Sprintf("%s is what the network's key calls node %v: "+
				"this node's configuration claims it in vain (dns-names, static-addr)",
				what.text, p.owner))
		}
	}
	for _, p := range n.parents.list {
		if why := n.parents.refused[p.Entry]; why != "" && n.parents.active != nil {
			list = append(list, refusedParent(p.Entry, why))
		}
	}
	slices.Sort(list)
	return slices.Concat(list, n.cloneWarnings(), n.endWarnings(), n.givenWarnings())
}

// Lookup asks who owns a DNS name, or a static address if Addr is valid. The answer is an
// EventLookup with the same token: Key is the owner, or Text says why there is none.
type Lookup struct {
	Token uint64
	Name  string
	Addr  netip.Addr
}

//nolint:unparam // the interface wants an error
func (c Lookup) apply(n *Node, now clock.Reading) error {
	what := claimed{wire.ClaimName, c.Name}
	if c.Addr.IsValid() {
		what = claimed{wire.ClaimStatic, c.Addr.String()}
	}
	n.lookUp(now, what, c.Token)
	return nil
}

func (n *Node) lookUp(now clock.Reading, what claimed, token uint64) {
	if len(what.text) == 0 || len(what.text) > wire.MaxName || !n.who.HasNames {
		n.event(Event{Kind: EventLookup, Token: token, Text: "no such name"})
		return
	}
	if n.mine(what) {
		n.event(Event{Kind: EventLookup, Token: token, Key: n.self})
		return
	}
	q := n.names.queries[what]
	if q != nil && q.done && now.Up >= q.until {
		n.forgetQuery(q)
		q = nil
	}
	switch {
	case q != nil && q.done:
		n.answerQuery(q, token)
	case q != nil && len(q.tokens) < maxWaiters:
		q.tokens = append(q.tokens, token)
	case q != nil, !n.roomForQuery(now):
		n.event(Event{Kind: EventLookup, Token: token, Text: "too many questions at once"})
	default:
		n.begin(now, &query{what: what, tokens: []uint64{token}})
	}
}

// roomForQuery makes room by forgetting an answer that is over.
func (n *Node) roomForQuery(now clock.Reading) bool {
	if len(n.names.queries) < maxQueries {
		return true
	}
	for _, q := range n.names.queries {
		if q.done && now.Up >= q.until {
			n.forgetQuery(q) // which one cannot be seen from outside
		}
	}
	return len(n.names.queries) < maxQueries
}

// fromClaim answers whether a name is ours. The session proved that a trusted node asks.
func (n *Node) fromClaim(now clock.Reading, c *conversation, b []byte) error {
	m, err := wire.ParseClaim(b)
	if err != nil {
		return err
	}
	what := claimed{m.Kind, string(m.Text)}
	lost := what == endsOf(c.key.remote)
	for _, t := range n.tunnels.List() {
		if lost && t.RemoteNode == c.key.remote {
			n.offerSoon(now, t) // it lost its disk
		}
	}
	ok := wire.ClaimOK{ID: m.ID, Mine: n.mine(what)}
	if slices.Contains(n.signed(), what) {
		ok.NamesCert = n.names.cert.Append(nil)
	}
	n.sendMessage(now, c, wire.SessionClaimOK, ok.Append(nil))
	return nil
}
