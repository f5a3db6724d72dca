// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/drop"
	"staex/internal/wire"
)

const (
	// helloFirst is the first wait for an answer to a first message; it doubles up to helloCap.
	helloFirst = 500 * time.Millisecond
	helloCap   = 30 * time.Second
	// helloTries is how often one parent is tried before the next one gets its turn.
	helloTries = 3
	// largeTries is how many of them carry the largest size; the path may be narrower.
	largeTries = 2
	// stableFactor is how many rejoin periods an earlier parent must stand before we go back.
	stableFactor = 5
	// standByWait is how long such a parent may take to answer.
	standByWait = 3 * time.Second
	// steady is how long a parent must have held so that its loss is not one of a row; maxFlaps
	// bounds the doubling of the wait.
	steady   = time.Minute
	maxFlaps = 5
	// newsEvery is how often the children are told of a chain of parents that changes: what one
	// parent says costs bytes on the links of all children.
	newsEvery = time.Second
	// hello3First is the first wait for a sign that the parent took the third message.
	hello3First = 300 * time.Millisecond
	hello3Tries = 6
)

// parentSearch looks for a parent and goes back to an earlier one.
//
//	looking --Hello2 ok--> attached --link down--> looking (from the next entry)
//	attached, entry > 0 --every rejoin period--> trying entry 0.. --ok--> standing by
//	standing by for stableFactor periods --> attached to the earlier entry
type parentSearch struct {
	list    []ParentAddr
	entry   int // tried now
	addr    int
	tries   int
	wait    time.Duration
	attempt *attempt
	again   *timer
	rejoin  *timer
	active  *link
	flaps   int                    // parents lost soon after they were found, in a row
	news    *timer                 // next word to the children about the chain of parents
	told    time.Duration          // of the last one
	known   map[int]ident.NodeID   // first accepted key of each entry, kept on disk
	tickets map[string]*keptTicket // by entry, kept on disk
	earlier bool                   // the last try of an earlier parent was with a ticket
	refused map[string]string      // by entry: why we did not want who answered last
	round   int                    // how often the whole list was tried
	quiet   bool                   // EventParentSilent was reported since the last success
}

func (p *parentSearch) init(n *Node) {
	p.list = n.cfg.Parents
	p.learn(n)
	p.again = newTimer(func(now clock.Reading, out *Effects) { n.tryParent(now, out) })
	p.rejoin = newTimer(func(now clock.Reading, out *Effects) { n.tryEarlier(now, out) })
	p.news = newTimer(func(now clock.Reading, _ *Effects) { n.tellAbove(now, n.parents.active) })
	p.wait = helloFirst
	if len(p.list) > 0 {
		n.timers.arm(p.again, 0)
	}
}

// learn takes the keys that the entries had before the restart.
func (p *parentSearch) learn(n *Node) {
	p.known, p.refused = map[int]ident.NodeID{}, map[string]string{}
	for i, e := range p.list {
		if b := n.cfg.Stored[pinName(e.Entry)]; len(b) == ident.KeySize {
			p.known[i] = ident.NodeID(b)
		}
	}
	p.learnTickets(n)
}

// pinName is where the first accepted key of a parents entry is kept.
func pinName(entry string) string { return "parent-" + hashName(entry) }

// Parent returns the active parent's key and address; ok is false at a root or while looking.
func (n *Node) Parent() (id ident.NodeID, addr netip.AddrPort, ok bool) {
	l := n.parents.active
	if l == nil {
		return id, addr, false
	}
	return l.peer, l.live.Addr(), true
}

// IsRoot reports that no parent is configured.
func (n *Node) IsRoot() bool { return len(n.parents.list) == 0 }

// tryParent sends a ticket or a first message to the current candidate, or moves on to the next
// one.
func (n *Node) tryParent(now clock.Reading, out *Effects) {
	p := &n.parents
	if n.revs.gone {
		return // nobody would have us
	}
	if p.active != nil && p.tries >= helloTries {
		n.renewFailed(now, out)
		return
	}
	if _, ok := p.target(); !ok || p.tries >= helloTries {
		n.nextCandidate(now)
	}
	to, ok := p.target()
	if !ok {
		n.timers.arm(p.again, now.Up+p.wait)
		p.tries = helloTries
		return
	}
	if a := p.attempt; a == nil || p.tries == 0 && a.kept == nil {
		n.newAttempt(now, to)
		if n.sendTicket(p.attempt, out) {
			n.timers.arm(p.again, now.Up+helloFirst)
			return
		}
	}
	size := wire.MaxDatagram
	if p.tries >= largeTries {
		size = wire.MinDatagram
	}
	n.address(p.attempt, p.tries)
	n.hello1(now, p.attempt, size, out)
	p.tries++
	n.timers.arm(p.again, now.Up+helloFirst<<(p.tries-1))
}

// target is where the parent that is tried now may be found: an active one where it lives.
func (p *parentSearch) target() (to netip.AddrPort, ok bool) {
	if p.active != nil && p.active.entry == p.entry {
		return p.active.live.Addr(), true
	}
	addrs := p.list[p.entry].Addrs
	if len(addrs) == 0 {
		return to, false
	}
	return addrs[p.addr%len(addrs)], true
}

// nextCandidate gives the turn to the next address or entry; after a full round it waits longer.
func (n *Node) nextCandidate(now clock.Reading) {
	p := &n.parents
	n.endAttempt(now)
	p.tries = 0
	p.addr++
	if p.addr < len(p.list[p.entry].Addrs) {
		return
	}
	if !p.quiet {
		n.event(Event{Kind: EventParentSilent, Text: p.list[p.entry].Entry})
	}
	p.addr = 0
	p.entry++
	if p.entry >= len(p.list) {
		p.entry, p.quiet = 0, true
		p.round++
		p.wait = min(2*p.wait, helloCap)
	}
}

// fromHello2 takes a parent's answer: who it is, and whether we want it.
func (n *Node) fromHello2(now clock.Reading, from netip.AddrPort, b []byte, out *Effects) {
	a := n.parents.attempt
	h, err := wire.ParseHello2(b)
	if err != nil || a == nil || a.hs == nil || h.To != a.mine || from != a.to {
		n.count(drop.Stranger)
		return
	}
	payload, err := a.hs.Read(nil, h.Noise)
	if err != nil {
		n.count(drop.OpenFailed)
		return
	}
	p, cert, err := n.parentPayload(now, a, payload)
	var hybrid bool
	if err == nil {
		hybrid, _, err = n.cfg.PostQuantum.agree(p.Flags)
	}
	if err != nil {
		n.refuseParent(now, a, err)
		return
	}
	mine := wire.LinkPayload{
		Flags: n.cfg.PostQuantum.flags(), KeepAlive: seconds(n.cfg.KeepAlive), Size: uint16(len(b)),
		NodeCert: n.who.Cert.Append(nil), NetworkCert: n.ownChain(), Head: n.ownList(),
	}
	msg, err := a.hs.Write(nil, mine.Append(nil))
	if err != nil {
		return
	}
	n.parents.attempt = nil
	n.timers.stop(n.parents.again) // the link repeats by itself from here
	l := n.linkUp(now, linkKeys{
		peer: cert.Key, network: cert.Network, addr: from, mine: a.mine, theirs: h.Label,
		keys: a.hs.Keys(), size: min(len(b), wire.MaxDatagram), period: n.cfg.KeepAlive,
		toward: true, entry: a.entry,
	})
	l.up.above, l.up.cert = p.Parents, cert
	n.claimed(now, cert.Network, p.Head, cert.Key)
	n.watchParent(now, l, cert)
	l.proving, l.up.hello3 = true, wire.Hello3{To: h.Label, Noise: msg}.Append(nil)
	n.prove(now, l, 0, out)
	if hybrid {
		n.offerKEM(now, l, a.hs.Keys())
	}
}

// parentPayload checks what a parent says of itself: the pinned key, or a member of a network
// that we trust or that we were told relays for us.
func (n *Node) parentPayload(now clock.Reading, a *attempt, b []byte) (p wire.LinkPayload,
	cert *ident.NodeCert, err error,
) {
	p, err = wire.ParseLinkPayload(b)
	if err != nil {
		return p, nil, err
	}
	cert, err = ident.DecodeNodeCert(p.NodeCert)
	if err != nil {
		return p, nil, err
	}
	if err := proves(cert, a.hs.RemoteStatic()); err != nil {
		return p, nil, err
	}
	why := n.learnChain(now, cert, p.NetworkCert)
	err = n.acceptParent(a.entry, cert)
	if errors.Is(err, ErrForeign) && why != nil {
		err = fmt.Errorf("%w: %w", err, why)
	}
	if errors.Is(err, ErrForeign) || errors.Is(err, ErrNoRelay) {
		err = fmt.Errorf("%w; to accept it, pin the parent: parents = %v@HOST", err, cert.Key)
	}
	return p, cert, err
}

// acceptParent checks a parent's proven key and certificate against what the entry wants.
func (n *Node) acceptParent(entry int, cert *ident.NodeCert) error {
	pin := n.parents.list[entry].Pin
	switch {
	case cert.Key == n.self:
		return ErrItself
	case pin.IsZero():
		return n.asRelay(cert, n.trusts(cert))
	case cert.Key != pin:
		return ErrWrongPin
	}
	return n.revokedName(cert)
}

// refuseParent gives up on a parent that is not who we want; the next one gets its turn.
func (n *Node) refuseParent(now clock.Reading, a *attempt, err error) {
	e := n.parents.list[a.entry].Entry
	n.parents.refused[e] = err.Error()
	n.event(Event{Kind: EventParentRefused, Addr: a.to, Text: fmt.Sprintf("%s: %v", e, err)})
	n.count(drop.NotAdmitted)
	n.parents.tries = helloTries
	n.endAttempt(now)
	wait := helloCap
	if a.entry+1 < len(n.parents.list) {
		wait = 0 // a round of the list still waits
	}
	n.timers.arm(n.parents.again, now.Up+wait)
}

// parentConfirmed makes a parent active once it was heard under the new keys.
func (n *Node) parentConfirmed(now clock.Reading, l *link) {
	p := &n.parents
	n.timers.stop(p.again)
	delete(p.refused, p.list[l.entry].Entry)
	p.tries, p.addr, p.wait, p.quiet = 0, 0, helloFirst, false
	if old := p.known[l.entry]; old != l.peer && p.list[l.entry].Pin.IsZero() {
		if !old.IsZero() {
			n.event(Event{Kind: EventParentRefused, Key: l.peer, Text: p.list[l.entry].Entry +
				": another key than the last time answered and was accepted"})
		}
		p.known[l.entry] = l.peer
		n.keep(pinName(p.list[l.entry].Entry), l.peer[:])
	}
	if p.active != nil && p.active != l && l.entry < p.active.entry {
		n.standBy(now, l, 0)
		return
	}
	n.activate(now, l)
}

// activate makes l the parent that carries our traffic and knows our records.
func (n *Node) activate(now clock.Reading, l *link) {
	p := &n.parents
	old := p.active
	p.active, p.entry = l, l.entry
	if old != nil && old != l && n.links.byID[old.id] == old {
		n.tell(old, wire.ControlBye, nil)
		n.retire(now, old)
	}
	n.event(Event{
		Kind: EventParentUp, Key: l.peer, Addr: l.live.Addr(), Text: p.list[l.entry].Entry,
	})
	if l.entry > 0 {
		n.timers.arm(p.rejoin, now.Up+n.cfg.Rejoin+n.jitter(n.cfg.Rejoin/8))
	} else {
		n.timers.stop(p.rejoin)
	}
	n.attached(now, l)
	n.natAttached(now, l)
}

// standBy goes back to an earlier parent once it has answered a question each rejoin period,
// stableFactor times in a row: a way that comes and goes is not stable.
func (n *Node) standBy(now clock.Reading, l *link, answers int) {
	var asked time.Duration
	check := newTimer(func(now clock.Reading, _ *Effects) {
		switch {
		case !n.standsBy(l):
		case l.live.Heard() < asked:
			n.standBy(now, l, 0)
		case answers+1 < stableFactor:
			n.standBy(now, l, answers+1)
		default:
			n.activate(now, l)
		}
	})
	wait := min(standByWait, n.cfg.Rejoin)
	ask := newTimer(func(now clock.Reading, out *Effects) {
		if n.standsBy(l) {
			asked = now.Up
			n.question(now, l, out)
			n.timers.arm(check, now.Up+wait)
		}
	})
	next := n.cfg.Rejoin
	if answers > 0 {
		next -= wait
	}
	n.timers.arm(ask, now.Up+next+n.jitter(n.cfg.Rejoin/4))
}

// standsBy reports whether a link is up and is not the one to the active parent.
func (n *Node) standsBy(l *link) bool {
	return n.links.byID[l.id] == l && n.parents.active != l
}

// retire lets the goodbye leave and then ends a link that is no longer wanted.
func (n *Node) retire(now clock.Reading, l *link) {
	t := newTimer(func(now clock.Reading, _ *Effects) {
		if n.links.byID[l.id] == l && n.parents.active != l {
			n.linkDown(now, l, "replaced by an earlier parent")
		}
	})
	n.timers.arm(t, now.Up+time.Second)
}

// tryEarlier tries the parents before the active one again.
func (n *Node) tryEarlier(now clock.Reading, out *Effects) {
	p := &n.parents
	if p.active == nil || p.active.entry == 0 {
		return
	}
	n.timers.arm(p.rejoin, now.Up+n.cfg.Rejoin+n.jitter(n.cfg.Rejoin/8))
	if p.attempt != nil && p.again.index >= 0 {
		return // the link to the active one is being renewed
	}
	for _, l := range n.links.all() {
		if l.toward && l != p.active {
			return
		}
	}
	p.entry, p.addr = 0, 0
	p.round++
	if len(p.list[0].Addrs) == 0 {
		return
	}
	n.newAttempt(now, p.list[0].Addrs[0])
	if p.earlier = !p.earlier; p.earlier && n.sendTicket(p.attempt, out) {
		return
	}
	n.hello1(now, p.attempt, wire.MaxDatagram, out)
}

// parentLost looks for another parent at once.
func (n *Node) parentLost(now clock.Reading, l *link) {
	p := &n.parents
	if p.active != l {
		if p.active == nil && p.attempt == nil {
			n.timers.arm(p.again, now.Up)
		}
		return
	}
	p.active = nil
	n.natDetached(l)
	n.timers.stop(p.rejoin)
	if len(p.list) == 0 {
		return // the configuration made us a root
	}
	for _, other := range n.links.all() {
		if other.toward && !other.proving {
			n.activate(now, other)
			return
		}
	}
	p.entry = (l.entry + 1) % len(p.list)
	p.tries, p.addr, p.wait = 0, 0, helloFirst
	n.endAttempt(now)
	n.timers.arm(p.again, max(now.Up, l.since+p.flapped(now.Up-l.since)))
}

// flapped is the least time from one parent to the next attempt, after one that held for a time.
// The first loss is mended at once; one that takes us and lets us go again and again must not make
// us sign and write records all the time. One that restarts again and again has mostly held for
// long enough when its silence is noticed.
func (p *parentSearch) flapped(held time.Duration) time.Duration {
	if held >= steady {
		p.flaps = 0
	}
	p.flaps++
	if p.flaps <= 2 {
		return 0
	}
	return helloFirst << min(p.flaps-2, maxFlaps)
}

// SetParents replaces the configured parents, or their addresses after a new look-up of names.
func (n *Node) setParents(now clock.Reading, list []ParentAddr) {
	p := &n.parents
	same := len(list) == len(p.list)
	for i := 0; same && i < len(list); i++ {
		same = list[i].Entry == p.list[i].Entry && list[i].Pin == p.list[i].Pin
	}
	for _, l := range n.links.all() {
		if l.toward && !same {
			n.linkDown(now, l, "parents changed") // its entry is of the list before
		}
	}
	p.list = list
	if same && p.active != nil {
		return
	}
	if !same {
		n.endAttempt(now)
		p.learn(n)
		p.entry, p.addr, p.tries = 0, 0, 0
	}
	if len(list) == 0 {
		n.timers.stop(p.again)
		return
	}
	p.entry %= len(list)
	n.timers.sooner(p.again, now.Up)
}

// seconds is a duration in whole seconds, as frames carry it.
func seconds(d time.Duration) uint16 { return uint16(min(d/time.Second, 65535)) }
