// SPDX-License-Identifier: Apache-2.0

package node

import (
	"net/netip"
	"slices"
	"time"

	"staex/internal/clock"
	"staex/internal/ident"
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
)

// claimed is a name or a static address: what a tag stands for.
type claimed struct {
	kind byte
	text string
}

// query is a name that this node wants to know the owner of.
//
//	asked up --Found--> claims to each owner --first ClaimOK with yes--> known for nameLife
//	                                         --all no, or too late-----> unknown for nameNone
type query struct {
	what    claimed
	id      [8]byte
	owners  []ident.NodeID // asked with Claim, and not answered yet
	tokens  []uint64
	owner   ident.NodeID // zero while unknown
	done    bool
	until   time.Duration
	timer   *timer
	claimID [8]byte
}

// nameBook is this node's own claims and what it asked for.
type nameBook struct {
	names   []string
	static  netip.Addr
	queries map[claimed]*query
	byID    map[[8]byte]*query // by the id of the lookup
	byClaim map[[8]byte]*query // by the id of the claim
}

func (b *nameBook) init(cfg *Config) {
	b.names, b.static = cfg.DNSNames, cfg.Static
	b.queries = map[claimed]*query{}
	b.byID, b.byClaim = map[[8]byte]*query{}, map[[8]byte]*query{}
}

// tags are what this node's record carries: keyed hashes, which tell a relay nothing.
func (n *Node) tags() [][8]byte {
	if !n.who.HasNames {
		return nil
	}
	var list [][8]byte
	for _, name := range n.names.names {
		list = append(list, n.who.Names.Tag(ident.TagName, name))
	}
	if n.names.static.IsValid() {
		list = append(list, n.who.Names.Tag(ident.TagAddress, n.names.static.String()))
	}
	return list
}

// mine reports whether a claim is this node's own.
func (n *Node) mine(c claimed) bool {
	if c.kind == wire.ClaimStatic {
		return n.names.static.IsValid() && c.text == n.names.static.String()
	}
	return slices.Contains(n.names.names, c.text)
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
		n.begin(now, what, token)
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

func (n *Node) forgetQuery(q *query) {
	n.timers.stop(q.timer)
	delete(n.names.queries, q.what)
	delete(n.names.byID, q.id)
	delete(n.names.byClaim, q.claimID)
}

// begin asks: our own table first, else the parent.
func (n *Node) begin(now clock.Reading, what claimed, token uint64) {
	q := &query{what: what, tokens: []uint64{token}}
	n.names.queries[what] = q
	q.timer = newTimer(func(now clock.Reading, _ *Effects) { n.endQuery(now, q, ident.NodeID{}) })
	n.timers.arm(q.timer, now.Up+n.cfg.LookupTimeout)
	n.random(q.id[:])
	n.random(q.claimID[:])
	n.names.byID[q.id], n.names.byClaim[q.claimID] = q, q
	tag := n.who.Names.Tag(what.kind, what.text)
	if owners := n.owners(tag); len(owners) > 0 {
		n.claim(now, q, owners)
		return
	}
	p := n.parents.active
	if p == nil {
		n.endQuery(now, q, ident.NodeID{})
		return
	}
	m := wire.Lookup{ID: q.id, Tag: tag, Hops: n.cfg.LookupHops - 1} // the first is this one
	n.tell(p, wire.ControlLookup, m.Append(nil))
}

// claim asks each owner that was found whether the name is its own.
func (n *Node) claim(now clock.Reading, q *query, owners []ident.NodeID) {
	for _, k := range owners {
		if _, err := ident.NodeIDFromBytes(k[:]); err != nil || k == n.self {
			continue
		}
		q.owners = append(q.owners, k)
		c := n.conversationWith(now, n.who.Secret, k, nil)
		if c == nil {
			continue
		}
		m := wire.Claim{ID: q.claimID, Kind: q.what.kind, Text: []byte(q.what.text)}
		n.sendMessage(now, c, wire.SessionClaim, m.Append(nil))
	}
	if len(q.owners) == 0 {
		n.endQuery(now, q, ident.NodeID{})
	}
}

// endQuery keeps the answer for a while and tells everybody who waits.
func (n *Node) endQuery(now clock.Reading, q *query, owner ident.NodeID) {
	n.timers.stop(q.timer)
	delete(n.names.byID, q.id)
	delete(n.names.byClaim, q.claimID)
	q.done, q.owner, q.owners = true, owner, nil
	q.until = now.Up + nameLife
	if owner.IsZero() {
		q.until = now.Up + nameNone
	}
	for _, token := range q.tokens {
		n.answerQuery(q, token)
	}
	q.tokens = nil
}

func (n *Node) answerQuery(q *query, token uint64) {
	e := Event{Kind: EventLookup, Token: token, Key: q.owner}
	if q.owner.IsZero() {
		e.Text = "nobody claims it"
	}
	n.event(e)
}

// fromClaim answers whether a name is ours. The session proved that a trusted node asks.
func (n *Node) fromClaim(now clock.Reading, c *conversation, b []byte) error {
	m, err := wire.ParseClaim(b)
	if err != nil {
		return err
	}
	ok := wire.ClaimOK{ID: m.ID, Mine: n.mine(claimed{m.Kind, string(m.Text)})}
	n.sendMessage(now, c, wire.SessionClaimOK, ok.Append(nil))
	return nil
}

// fromClaimOK takes an owner's own word; the first who says yes has the name.
func (n *Node) fromClaimOK(now clock.Reading, c *conversation, b []byte) error {
	m, err := wire.ParseClaimOK(b)
	if err != nil {
		return err
	}
	q := n.names.byClaim[m.ID]
	if q == nil || !slices.Contains(q.owners, c.key.remote) {
		return ErrNotFound
	}
	if m.Mine {
		n.endQuery(now, q, c.key.remote)
		return nil
	}
	q.owners = slices.DeleteFunc(q.owners, func(k ident.NodeID) bool { return k == c.key.remote })
	if len(q.owners) == 0 {
		n.endQuery(now, q, ident.NodeID{})
	}
	return nil
}
