// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"slices"
	"time"

	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/tunnel"
	"staex/internal/wire"
)

// claimGrace is how long an owner that said yes waits for others who may have a better claim. An
// answer that comes later still counts if the network's key stands behind it.
const claimGrace = time.Second

// The two lookups for one name.
const (
	bySignature     = iota // for the node that the network's key gave it to
	byConfiguration        // for nodes that claim it themselves
	lookupKinds
)

// query is a name that this node wants to know the owner of.
//
//	asked up, twice --Found--> claims to each owner --all have answered, or claimGrace--> known
//	                                                --nobody says yes, or too late------> unknown
//
// The network's word beats a node's own; among equals who was verified first stays the owner until
// it says no or does not answer.
type query struct {
	what    claimed
	own     bool // ours by configuration: only the network's word can take it from us
	ids     [lookupKinds][8]byte
	open    [lookupKinds]bool // no Found has come yet
	asked   []ident.NodeID    // with Claim
	waits   []ident.NodeID    // of them, who has not answered
	yes     []claimant        // in the order of their answers
	tokens  []uint64
	owner   ident.NodeID // zero while unknown
	done    bool
	until   time.Duration
	timer   *timer
	grace   *timer
	claimID [8]byte
	clash   string // a sentence, if several claim it
}

// claimant is a node that says that a name is its own, and whether the network's key says so too.
type claimant struct {
	key    ident.NodeID
	signed bool
}

// pin is the last verified owner of a name.
type pin struct {
	owner  ident.NodeID
	signed bool
	at     time.Duration
}

func (n *Node) forgetQuery(q *query) {
	n.timers.stop(q.timer)
	n.timers.stop(q.grace)
	delete(n.names.queries, q.what)
	delete(n.names.byClaim, q.claimID)
	for i := range q.ids {
		delete(n.names.byID, q.ids[i])
	}
}

// begin asks: our own table first, else the parent; and whoever had the name the last time.
func (n *Node) begin(now clock.Reading, q *query) {
	n.names.queries[q.what] = q
	q.timer = newTimer(func(now clock.Reading, _ *Effects) { n.endQuery(now, q) })
	q.grace = newTimer(func(now clock.Reading, _ *Effects) { n.endQuery(now, q) })
	n.timers.arm(q.timer, now.Up+n.cfg.LookupTimeout)
	n.random(q.claimID[:])
	n.names.byClaim[q.claimID] = q
	if p, pinned := n.names.pins[q.what]; pinned {
		n.claim(now, q, []ident.NodeID{p.owner})
	}
	n.ascend(now, q, bySignature)
	if !q.own {
		n.ascend(now, q, byConfiguration)
	}
	n.decide(now, q)
}

// ascend looks for a tag here, or begins a lookup that climbs from parent to parent.
func (n *Node) ascend(now clock.Reading, q *query, kind int) {
	tag := n.tagOf(q.what, kind == bySignature)
	if owners := n.owners(tag); len(owners) > 0 {
		n.claim(now, q, owners)
		return
	}
	p := n.parents.active
	if p == nil {
		return
	}
	n.random(q.ids[kind][:])
	q.open[kind], n.names.byID[q.ids[kind]] = true, q
	m := wire.Lookup{ID: q.ids[kind], Tag: tag, Hops: n.cfg.LookupHops - 1} // the first is this one
	n.tell(p, wire.ControlLookup, m.Append(nil))
}

// found takes the owners that a lookup of ours brought.
func (n *Node) found(now clock.Reading, q *query, m wire.Found) {
	for i := range q.ids {
		if q.open[i] && q.ids[i] == m.ID {
			q.open[i] = false
			delete(n.names.byID, m.ID)
			n.claim(now, q, m.Keys)
		}
	}
	n.decide(now, q)
}

// claim asks each owner that was found whether the name is its own.
func (n *Node) claim(now clock.Reading, q *query, owners []ident.NodeID) {
	for _, k := range owners {
		if _, err := ident.NodeIDFromBytes(k[:]); err != nil || k == n.self ||
			slices.Contains(q.asked, k) || q.what == endsOf(n.self) && n.offeredBy(k) {
			continue
		}
		c := n.conversationWith(now, n.who.Secret, k, nil)
		if c == nil {
			continue
		}
		q.asked, q.waits = append(q.asked, k), append(q.waits, k)
		m := wire.Claim{ID: q.claimID, Kind: q.what.kind, Text: []byte(q.what.text)}
		n.sendMessage(now, c, wire.SessionClaim, m.Append(nil))
	}
}

// offeredBy reports whether a node has offered a tunnel: it offers all of them together.
func (n *Node) offeredBy(k ident.NodeID) bool {
	return slices.ContainsFunc(n.tunnels.List(), func(t *tunnel.Tunnel) bool {
		return t.Side == tunnel.Client && t.RemoteNode == k
	})
}

// fromClaimOK takes an owner's own word, and the network's if it comes with it.
func (n *Node) fromClaimOK(now clock.Reading, c *conversation, b []byte) error {
	m, err := wire.ParseClaimOK(b)
	if err != nil {
		return err
	}
	q, from := n.names.byClaim[m.ID], c.key.remote
	if q == nil || !slices.Contains(q.waits, from) {
		return ErrNotFound
	}
	q.waits = slices.DeleteFunc(q.waits, func(k ident.NodeID) bool { return k == from })
	if m.Mine {
		q.yes = append(q.yes, claimant{from, n.networkGave(q.what, from, m.NamesCert)})
	}
	if q.done {
		n.tooLate(now, q, m.Mine)
		return nil
	}
	n.decide(now, q)
	return nil
}

// networkGave reports whether a names certificate is our network's word that a name is a node's.
func (n *Node) networkGave(what claimed, owner ident.NodeID, encoded []byte) bool {
	c, err := ident.DecodeNamesCert(encoded)
	return err == nil && c.Key == owner && c.VerifyBy(n.who.Network.Key) == nil &&
		!c.Expired(n.moment(c.Network)) && slices.Contains(claimsOf(c.Names, c.Static), what)
}

// best is the claimant that has the name by what was said so far.
func (n *Node) best(q *query) (best claimant, ok bool) {
	pinned := n.names.pins[q.what].owner
	for _, x := range q.yes {
		if q.own && !x.signed {
			continue
		}
		if !ok || x.signed && !best.signed || x.signed == best.signed && x.key == pinned {
			best, ok = x, true
		}
	}
	return best, ok
}

// decide ends a query when nothing that is still to come can change the answer, and waits for the
// rest for a moment when it could.
func (n *Node) decide(now clock.Reading, q *query) {
	best, ok := n.best(q)
	last := n.names.pins[q.what]
	waiting := len(q.waits) > 0
	for _, open := range q.open {
		waiting = waiting || open
	}
	switch {
	case q.done:
	case ok && best.signed && !(last.signed && slices.Contains(q.waits, last.owner)):
		n.endQuery(now, q)
	case !waiting:
		n.endQuery(now, q)
	case ok && q.grace.index < 0:
		n.timers.arm(q.grace, now.Up+claimGrace)
	}
}

// endQuery keeps the answer for a while and tells everybody who waits. Late answers are listened
// to until the query is forgotten.
func (n *Node) endQuery(now clock.Reading, q *query) {
	n.timers.stop(q.timer)
	n.timers.stop(q.grace)
	best, _ := n.best(q)
	q.done = true
	q.until = now.Up + nameLife
	if best.key.IsZero() {
		q.until = now.Up + nameNone
	}
	n.give(now, q, best)
	for _, token := range q.tokens {
		n.answerQuery(q, token)
	}
	q.tokens = nil
}

// give makes a claimant the owner of a name, or nobody, and says who else claims it.
func (n *Node) give(now clock.Reading, q *query, best claimant) {
	q.owner = best.key
	if best.key.IsZero() {
		delete(n.names.pins, q.what)
		return
	}
	n.pinName(q.what, pin{best.key, best.signed, now.Up})
	losers := make([]ident.NodeID, 0, len(q.yes))
	for _, x := range q.yes {
		if x.key != best.key {
			losers = append(losers, x.key)
		}
	}
	if q.own {
		losers = append(losers, n.self)
	}
	if len(losers) == 0 {
		return
	}
	why := "was verified first"
	if best.signed {
		why = "has it from the network's key"
	}
	clash := fmt.Sprintf("%s is claimed by several nodes, %v and %v: it means %v, who %s",
		q.what.text, best.key, losers[0], best.key, why)
	if clash != q.clash {
		q.clash = clash
		n.event(Event{Kind: EventNameClash, Key: losers[0], Text: clash})
	}
}

// pinName remembers an owner; the pin that is oldest gives way.
func (n *Node) pinName(what claimed, p pin) {
	if old, there := n.names.pins[what]; there && old.owner == p.owner {
		p.at = old.at
	}
	n.names.pins[what] = p
	if len(n.names.pins) <= maxQueries {
		return
	}
	oldest := what
	for w, x := range n.names.pins {
		o := n.names.pins[oldest]
		if x.at < o.at || x.at == o.at && w.text < oldest.text {
			oldest = w
		}
	}
	delete(n.names.pins, oldest)
}

// tooLate takes an answer that came after the name was given away: the network's word still counts,
// and a second claim is still one.
func (n *Node) tooLate(now clock.Reading, q *query, yes bool) {
	if best, ok := n.best(q); ok && yes {
		n.give(now, q, best)
	}
}

func (n *Node) answerQuery(q *query, token uint64) {
	e := Event{Kind: EventLookup, Token: token, Key: q.owner}
	if q.owner.IsZero() {
		e.Text = "nobody claims it"
	}
	n.event(e)
}
