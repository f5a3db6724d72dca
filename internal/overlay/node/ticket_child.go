// SPDX-License-Identifier: Apache-2.0

package node

import (
	"net/netip"
	"time"

	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/session"
	"staex/internal/wire"
)

// renewWithin is the time in which a child comes with a handshake when its parent wants one: so
// long, that the children of one parent do not come together.
const renewWithin = 10 * time.Minute

// upward is what a child holds of a link to a parent beside the link itself.
type upward struct {
	above    []ident.NodeID       // the neighbour's own chain of parents
	watch    *timer               // while data flows
	repeat   *timer               // while proving
	hello3   []byte               // shown while proving; nil after a ticket
	cert     *ident.NodeCert      // of the parent
	token    [wire.TokenSize]byte // what a Reset has to show; valid if granted
	granted  bool
	resumed  bool          // the link came up by a ticket
	renew    *timer        // the next attempt to come back although the link seems to live
	resetEnd time.Duration // no Reset is heeded before
	asked    time.Duration // when the question that waits for its answer was first asked; 0: none
	trip     time.Duration // between the last question and its answer; 0: not known
	settle   time.Duration // when a new mapping is made one that lasts; 0: done
	issuer   ident.NodeID  // all that this parent carries us to; zero: everybody
}

// ticketName is where the ticket of a parents entry is kept.
func ticketName(entry string) string { return "ticket-" + hashName(entry) }

// learnTickets takes the tickets from before the restart for entries that have none yet, and
// forgets those of entries that are gone. A damaged one is as good as none.
func (p *parentSearch) learnTickets(n *Node) {
	old := p.tickets
	p.tickets = make(map[string]*keptTicket, len(p.list))
	for _, e := range p.list {
		if k := old[e.Entry]; k != nil {
			p.tickets[e.Entry] = k
		} else if k, err := parseKept(n.cfg.Stored[ticketName(e.Entry)]); err == nil {
			p.tickets[e.Entry] = k
		}
	}
}

// fromGrant keeps what the parent gave us for the next time.
func (n *Node) fromGrant(now clock.Reading, l *link, b []byte) error {
	g, err := wire.ParseGrant(b)
	if err != nil {
		return err
	}
	if !l.toward || l.up.cert == nil {
		n.count(drop.BadType)
		return nil
	}
	l.up.token, l.up.granted = g.Token, true
	entry := n.parents.list[l.entry].Entry
	if len(g.Ticket) == 0 {
		delete(n.parents.tickets, entry)
		n.keep(ticketName(entry), nil)
		if l.up.renew.index < 0 {
			n.timers.arm(l.up.renew, now.Up+n.jitter(renewWithin))
		}
		return nil
	}
	k := &keptTicket{
		hybrid: l.tenure.hybrid, secret: session.ResumeFrom(l.digest), size: uint16(l.live.Size()),
		cert: l.up.cert, mine: n.ownFingerprint(),
		ticket: append([]byte(nil), g.Ticket...),
	}
	n.parents.tickets[entry] = k
	n.keep(ticketName(entry), k.Append(nil))
	return nil
}

// sendTicket tries to take up the link of an attempt without a handshake. It reports false when
// there is no ticket, or when this attempt has used it.
func (n *Node) sendTicket(a *attempt, out *Effects) bool {
	if a == nil || a.kept != nil {
		return false
	}
	k := n.parents.tickets[n.parents.list[a.entry].Entry]
	if k == nil || k.mine != n.ownFingerprint() || n.lacksPQ(k.hybrid) ||
		n.acceptParent(a.entry, k.cert) != nil {
		return false
	}
	a.kept = k
	n.random(a.nonce[:])
	t := wire.Ticket{Version: wire.Version, Label: a.mine, Nonce: a.nonce, Ticket: k.ticket}
	b := t.Append(nil)
	wire.PutTicketMAC(b, k.secret.TicketMac(wire.TicketMACInput(b)))
	out.Send = append(out.Send, Datagram{To: a.to, B: b})
	return true
}

// fromTicketAnswer takes a parent's answer: the keys follow from both nonces, and our first frame
// under them makes the link live.
func (n *Node) fromTicketAnswer(now clock.Reading, from netip.AddrPort, b []byte, out *Effects) {
	h, err := wire.ParseTicketAnswer(b)
	a := n.parents.attempt
	switch {
	case err != nil:
		n.count(drop.BadFrame)
		return
	case a == nil || a.kept == nil || h.To != a.mine || from != a.to:
		n.count(drop.Stranger)
		return
	case !a.kept.secret.CheckAnswer(a.nonce, wire.TicketMACInput(b), h.Mac):
		n.count(drop.BadMac)
		return
	}
	n.parents.attempt = nil
	n.timers.stop(n.parents.again) // the link repeats by itself from here
	cert := a.kept.cert
	size := min(int(h.Size), int(a.kept.size), wire.MaxDatagram)
	l := n.linkUp(now, linkKeys{
		peer: cert.Key, network: cert.Network, addr: from, mine: a.mine, theirs: h.Label,
		keys: a.kept.secret.Keys(true, a.nonce, h.Nonce), size: max(size, wire.MinDatagram),
		period: n.cfg.KeepAlive, toward: true, entry: a.entry,
	})
	l.up.cert, l.up.resumed = cert, true
	n.watchParent(now, l, cert)
	l.proving, l.tenure.hybrid = true, a.kept.hybrid
	n.prove(now, l, 0, out)
}

// prove repeats what shows a parent that we have the new keys, until it is heard under them: the
// third message of the handshake, or after a ticket any frame.
func (n *Node) prove(now clock.Reading, l *link, try int, out *Effects) {
	if !l.proving {
		return
	}
	if try >= hello3Tries {
		n.linkDown(now, l, "did not finish the handshake")
		return
	}
	if l.up.hello3 != nil {
		out.send(l.live.Addr(), l.up.hello3)
	} else {
		n.frameTo(now, l, true, nil, out)
	}
	l.up.repeat = newTimer(func(now clock.Reading, out *Effects) { n.prove(now, l, try+1, out) })
	n.timers.arm(l.up.repeat, now.Up+hello3First<<try)
}

// renewLink tries to come back to the active parent although the link seems to live: the parent
// said that it forgot us, or that it wants a handshake. The link stays as it is meanwhile.
func (n *Node) renewLink(now clock.Reading, l *link, out *Effects) {
	p := &n.parents
	if p.active != l || l.proving || p.attempt != nil {
		return
	}
	p.entry, p.tries = l.entry, 0
	n.tryParent(now, out)
}

// renewFailed leaves it to the questions of the link to find out whether the parent is there.
func (n *Node) renewFailed(now clock.Reading, out *Effects) {
	p := &n.parents
	n.endAttempt(now)
	p.entry, p.tries = p.active.entry, 0
	if !p.active.alarms.armed(askTimer) {
		n.question(now, p.active, out)
	}
}
