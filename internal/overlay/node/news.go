// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/revoke"
	"staex/internal/wire"
)

const (
	// maxLists bounds the lists that wait to be sent to one neighbour: some networks, and the few
	// heads of each.
	maxLists = 32
	// maxIncoming bounds the lists of which only a part has come from children, all together. Their
	// heads are verified before anything is kept.
	maxIncoming = 16
	// withheldAfter is how long a list that somebody else knows may take to reach us.
	withheldAfter = 20 * time.Second
	// claimLife is how long a claim that nobody repeats is reported.
	claimLife = 24 * time.Hour
)

// linkNews is what goes on between two neighbours about revoked keys.
type linkNews struct {
	wants []ident.NetworkHash // of which the neighbour wants news; at most the admitted ones
	in    *incoming
}

// outgoing is a list on its way to a neighbour, message by message, when the window has room.
type outgoing struct {
	network ident.NetworkHash
	head    []byte
	since   uint32
	prints  []revoke.Fingerprint
	sent    int
	begun   bool
}

// incoming is a list of which not all has come.
type incoming struct {
	head    *revoke.Head
	since   uint32
	lacking int
	prints  []revoke.Fingerprint
}

// claim is a list that somebody else says to know and that has not come to us.
type claim struct {
	number uint32
	by     ident.NodeID
	told   bool
	timer  *timer
	heal   *healing // nil unless the list is being fetched from by
}

// next is the message to send now.
func (o *outgoing) next() []byte {
	if !o.begun {
		k := min(len(o.prints), wire.MaxHeadPrints)
		m := wire.Head{Since: o.since, Lacking: uint32(len(o.prints)), Head: o.head}
		m.Prints = revoke.AppendPrints(nil, o.prints[:k])
		return wire.AppendMessage(nil, wire.ControlHead, m.Append(nil))
	}
	k := min(len(o.prints)-o.sent, wire.MaxPrints)
	m := wire.Prints{Prints: revoke.AppendPrints(nil, o.prints[o.sent:o.sent+k])}
	return wire.AppendMessage(nil, wire.ControlPrints, m.Append(nil))
}

// took notes that the message of next has been sent, and tells whether it was the last.
func (o *outgoing) took() bool {
	if !o.begun {
		o.begun, o.sent = true, min(len(o.prints), wire.MaxHeadPrints)
	} else {
		o.sent += min(len(o.prints)-o.sent, wire.MaxPrints)
	}
	return o.sent >= len(o.prints)
}

// newsMessage acts on one control message about revoked keys or the time.
func (n *Node) newsMessage(now clock.Reading, l *link, typ uint8, b []byte) error {
	switch typ {
	case wire.ControlHeads:
		return n.fromHeads(now, l, b)
	case wire.ControlHead:
		return n.fromHead(now, l, b)
	case wire.ControlPrints:
		return n.fromPrints(now, l, b)
	case wire.ControlResign:
		return n.fromResign(now, l, b)
	case wire.ControlTime:
		return n.fromTime(l, b)
	}
	n.count(drop.BadType)
	return nil
}

// tellAllHeads asks every neighbour for news of a network that we did not know before.
func (n *Node) tellAllHeads(hash ident.NetworkHash) {
	m := wire.Heads{States: []wire.HeadState{n.headState(hash)}}
	for _, l := range n.links.all() {
		n.tell(l, wire.ControlHeads, m.Append(nil))
	}
}

// tellHeads tells a neighbour what we know of every network that we follow.
func (n *Node) tellHeads(l *link) {
	for part := range slices.Chunk(n.revs.order, wire.MaxHeads) {
		var m wire.Heads
		for _, hash := range part {
			m.States = append(m.States, n.headState(hash))
		}
		n.tell(l, wire.ControlHeads, m.Append(nil))
	}
}

func (n *Node) headState(hash ident.NetworkHash) wire.HeadState {
	s := n.revs.sets[hash]
	return wire.HeadState{
		Network: hash, Number: s.Number(), Digest: s.Digest(), Moment: n.boundOf(hash).At(),
	}
}

// fromHeads compares what a neighbour knows with what we know, and sends what it lacks.
func (n *Node) fromHeads(now clock.Reading, l *link, b []byte) error {
	m, err := wire.ParseHeads(b)
	if err != nil {
		return err
	}
	for _, x := range m.States {
		s := n.revs.sets[x.Network]
		if s == nil {
			continue
		}
		if !slices.Contains(l.news.wants, x.Network) {
			l.news.wants = append(l.news.wants, x.Network)
		}
		n.tellTime(l, x)
		n.claimed(now, x.Network, x.Number, l.peer)
		if x.Digest != s.Digest() {
			n.offerSet(l, s, x.Number)
		}
	}
	return nil
}

// offerSet sends a neighbour who has list number what else it takes to know all that we know. To
// one who is ahead only resignations go: it will send its list, and then we look again.
func (n *Node) offerSet(l *link, s *revoke.Set, number uint32) {
	for _, r := range s.Resignations() {
		n.tell(l, wire.ControlResign, wire.Resign{Statement: r.Append(nil)}.Append(nil))
	}
	if number > s.Number() {
		return
	}
	for i, h := range s.Heads() {
		since := uint32(0)
		if i == 0 && number < s.Number() {
			since = number
		}
		n.sendList(l, s, h, since, s.Since(h, since))
	}
}

// offerRest sends the neighbour that a list came from what that list does not prove.
func (n *Node) offerRest(l *link, s *revoke.Set, have *revoke.Head) {
	for _, r := range s.Resignations() {
		n.tell(l, wire.ControlResign, wire.Resign{Statement: r.Append(nil)}.Append(nil))
	}
	for _, h := range s.Heads() {
		if h != have {
			n.sendList(l, s, h, 0, s.Since(h, 0))
		}
	}
}

// sendList queues a list for a neighbour. An older one that has not begun gives way to it.
func (n *Node) sendList(l *link, s *revoke.Set, h *revoke.Head, since uint32,
	prints []revoke.Fingerprint,
) {
	o := &outgoing{
		network: s.Network().Hash(), head: h.Append(nil), since: since, prints: prints,
	}
	c := l.ctl.open()
	c.lists = slices.DeleteFunc(c.lists, func(x *outgoing) bool {
		return !x.begun && x.network == o.network && !s.Holds(x.head)
	})
	if len(c.lists) >= maxLists {
		n.count(drop.QueueFull)
		return
	}
	c.lists = append(c.lists, o)
	n.links.busy[l.id] = l
}

// listed acts on a list that was new: everybody who wants the network gets the difference to the
// list before, from gets what else we know, and the keys end.
func (n *Node) listed(now clock.Reading, s *revoke.Set, h *revoke.Head, from *link) {
	hash := s.Network().Hash()
	if h.Signer == nil {
		n.passed(hash, h.Time, n.lastOf(hash))
	} else if h.Signer.Roles.Has(ident.RoleTime) {
		n.passed(hash, h.Time, h.Signer.NotAfter)
	}
	kept := slices.IndexFunc(s.Heads(), func(x *revoke.Head) bool { return x.Sig == h.Sig })
	if kept >= 0 {
		h = s.Heads()[kept]
		since := uint32(0)
		if kept == 0 && h.Number > 1 {
			since = h.Number - 1
		}
		prints := s.Since(h, since)
		for _, l := range n.links.all() {
			if l != from && slices.Contains(l.news.wants, hash) {
				n.sendList(l, s, h, since, prints)
			}
		}
	}
	if from != nil && s.Len() > int(h.Count) {
		n.offerRest(from, s, h)
	}
	n.learned(now, s)
}

// fromHead takes the signed head of a list. Nothing is kept of a list that is known, or whose head
// does not verify.
func (n *Node) fromHead(now clock.Reading, l *link, b []byte) error {
	m, err := wire.ParseHead(b)
	if err != nil {
		return err
	}
	l.news.in = nil
	h, err := revoke.DecodeHead(m.Head)
	if err != nil {
		return err
	}
	prints, err := revoke.ParsePrints(m.Prints)
	if err != nil || m.Lacking > h.Count || len(prints) > int(m.Lacking) {
		return revoke.ErrEncoding
	}
	s := n.revs.sets[h.Network.Hash()]
	if s == nil || s.Network() != h.Network {
		n.count(drop.NotAdmitted)
		return nil
	}
	if s.Knows(h) {
		return nil
	}
	if reason := n.refusedHead(h); reason != drop.None {
		n.count(reason)
		return nil
	}
	l.news.in = &incoming{head: h, since: m.Since, lacking: int(m.Lacking), prints: prints}
	if !n.complete(now, l) && !l.toward && n.incoming() > maxIncoming {
		l.news.in = nil // the neighbour says what it knows again when the link comes up again
		n.count(drop.QueueFull)
	}
	return nil
}

// refusedHead says why a head's signer is not believed.
func (n *Node) refusedHead(h *revoke.Head) drop.Reason {
	switch {
	case h.Verify() != nil:
		return drop.BadSignature
	case h.Signer != nil && n.unexpired(h.Signer) != nil:
		return drop.NotAdmitted
	}
	return drop.None
}

// incoming counts the lists of which only a part has come.
func (n *Node) incoming() (count int) {
	for _, l := range n.links.byID {
		if l.news.in != nil {
			count++
		}
	}
	return count
}

// fromPrints takes more of a list.
func (n *Node) fromPrints(now clock.Reading, l *link, b []byte) error {
	m, err := wire.ParsePrints(b)
	if err != nil {
		return err
	}
	in := l.news.in
	if in == nil {
		return nil // of a list that we know
	}
	prints, err := revoke.ParsePrints(m.Prints)
	if err != nil || len(in.prints)+len(prints) > in.lacking {
		l.news.in = nil
		return revoke.ErrEncoding
	}
	in.prints = append(in.prints, prints...)
	n.complete(now, l)
	return nil
}

// complete acts on a list once all of it has come.
func (n *Node) complete(now clock.Reading, l *link) bool {
	in := l.news.in
	if len(in.prints) < in.lacking {
		return false
	}
	l.news.in = nil
	s := n.revs.sets[in.head.Network.Hash()]
	changed, err := s.Put(in.head, in.since, in.prints)
	switch {
	case errors.Is(err, revoke.ErrBase) && in.since != 0:
		n.askList(l, s, in.since)
	case errors.Is(err, revoke.ErrBase):
		n.count(drop.BadFrame)
	case errors.Is(err, revoke.ErrFull):
		n.count(drop.Quota)
		n.event(Event{Kind: EventRevoked, Key: l.peer, Text: err.Error()})
	case err != nil:
		n.count(drop.NotAdmitted)
	case changed:
		n.listed(now, s, in.head, l)
	}
	return true
}

// askList asks for a list again because the difference did not fit: from the list that we have, or
// from the beginning if that was where it began.
func (n *Node) askList(l *link, s *revoke.Set, since uint32) {
	x := n.headState(s.Network().Hash())
	if s.Number() >= since {
		x = wire.HeadState{Network: x.Network}
	}
	n.tell(l, wire.ControlHeads, wire.Heads{States: []wire.HeadState{x}}.Append(nil))
}

// fromResign takes the word of a key that gives itself up.
func (n *Node) fromResign(now clock.Reading, l *link, b []byte) error {
	m, err := wire.ParseResign(b)
	if err != nil {
		return err
	}
	r, err := revoke.DecodeResignation(m.Statement)
	if err != nil {
		return err
	}
	switch err = n.takeResignation(now, r, l); {
	case errors.Is(err, ErrForeign):
		n.count(drop.NotAdmitted)
	case err != nil:
		n.count(drop.BadSignature)
	}
	return nil
}

// takeResignation verifies a resignation, passes it on and ends the key.
func (n *Node) takeResignation(now clock.Reading, r *revoke.Resignation, from *link) error {
	s := n.revs.sets[r.Network.Hash()]
	if s == nil {
		return ErrForeign
	}
	if changed, err := s.Resign(r); err != nil || !changed {
		return err
	}
	body := wire.Resign{Statement: r.Append(nil)}.Append(nil)
	for _, l := range n.links.all() {
		if l != from && slices.Contains(l.news.wants, r.Network.Hash()) {
			n.tell(l, wire.ControlResign, body)
		}
	}
	n.learned(now, s)
	return nil
}

// claimed takes somebody's word, authenticated but perhaps untrue, that a network has a list which
// we do not know. If the parent has not sent it after a while, a person is told by whom we know.
func (n *Node) claimed(now clock.Reading, hash ident.NetworkHash, number uint32, by ident.NodeID) {
	s := n.revs.sets[hash]
	if s == nil || number <= s.Number() {
		return
	}
	if c := n.revs.claims[hash]; c != nil {
		if c.number >= number {
			return
		}
		n.endClaim(hash)
	}
	c := &claim{number: number, by: by}
	c.timer = newTimer(func(now clock.Reading, _ *Effects) { n.stillClaimed(now, hash, c) })
	n.timers.arm(c.timer, now.Up+withheldAfter)
	n.revs.claims[hash] = c
	if p := n.parents.active; p != nil && p.peer != by {
		m := wire.Heads{States: []wire.HeadState{n.headState(hash)}}
		n.tell(p, wire.ControlHeads, m.Append(nil))
	}
}

// stillClaimed reports a list that did not come, and forgets it a day later.
func (n *Node) stillClaimed(now clock.Reading, hash ident.NetworkHash, c *claim) {
	if c.told {
		n.endClaim(hash)
		return
	}
	c.told = true
	n.timers.arm(c.timer, now.Up+claimLife)
	n.event(Event{Kind: EventWithheld, Key: c.by, Text: n.withheld(hash, c)})
	n.heal(now, hash, c)
}

func (n *Node) endClaim(hash ident.NetworkHash) {
	c := n.revs.claims[hash]
	n.timers.stop(c.timer)
	if c.heal != nil {
		n.timers.stop(c.heal.again)
	}
	delete(n.revs.claims, hash)
}

// withheld is a claim as a sentence for a person.
func (n *Node) withheld(hash ident.NetworkHash, c *claim) string {
	keeper := "nobody has passed it on to this node"
	if p := n.parents.active; p != nil {
		keeper = fmt.Sprintf("the parent %v has not passed it on", p.peer)
	}
	return fmt.Sprintf("node %v knows revocation list %d of network %s, this node has only %d: %s",
		c.by, c.number, hash, n.revs.sets[hash].Number(), keeper)
}

// revocationProblems are sentences for a person about revoked keys and about the time.
func (n *Node) revocationProblems() (list []string) {
	if n.revs.gone {
		list = append(list, "this node's own key was revoked: make a new one with mcc init, and "+
			"ask the operator of the network for a certificate")
	} else if err := n.unexpired(n.who.Cert); err != nil {
		list = append(list, "this node's certificate has expired and others refuse it: "+
			"get a new one from the operator of the network (an issuer cannot be asked yet)")
	}
	if why := n.ownChainProblem(); why != "" {
		list = append(list, why)
	}
	for _, hash := range n.revs.order {
		if c := n.revs.claims[hash]; c != nil && c.told {
			list = append(list, n.withheld(hash, c))
		}
	}
	return list
}
