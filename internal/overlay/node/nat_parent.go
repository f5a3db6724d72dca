// SPDX-License-Identifier: Apache-2.0

package node

import (
	"net/netip"
	"time"

	"staex/internal/clock"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/plane"
	"staex/internal/overlay/session"
	"staex/internal/wire"
)

// probeEvery is how often one child may ask how long its translator keeps a mapping.
const probeEvery = time.Second

// late is an answer that a child wants after a while. There is one for each child at most.
type late struct {
	to     netip.AddrPort
	answer []byte
	number uint32        // of the newest question
	asked  time.Duration // when it came
	timer  *timer
}

// fromNATProbe answers a child's question at once, and again after the delay that it names: to
// where it came from, which is another address than the link's.
func (n *Node) fromNATProbe(now clock.Reading, from netip.AddrPort, b []byte, out *Effects) {
	p, err := wire.ParseNATProbe(b)
	if err != nil {
		n.count(drop.BadFrame)
		return
	}
	var l *link
	if r, ok := n.tables.Row(p.To); ok && r.Kind == plane.RowControl {
		l = n.links.byID[r.ID]
	}
	if l == nil || l.toward || p.Delay == 0 {
		n.count(drop.Stranger)
		return
	}
	if !session.CheckProbe(l.digest, false, wire.TicketMACInput(b), p.Mac) {
		n.count(drop.BadMac)
		return
	}
	x := n.lates[l.id]
	switch {
	case x == nil:
		x = &late{}
		x.timer = newTimer(func(_ clock.Reading, out *Effects) { out.send(x.to, x.answer) })
		n.lates[l.id] = x
	case p.Number <= x.number:
		n.count(drop.Replay)
		return
	case now.Up-x.asked < probeEvery:
		n.count(drop.Quota)
		return
	}
	x.to, x.number, x.asked = from, p.Number, now.Up
	a := wire.NATProbe{To: l.theirs, Number: p.Number, Place: place(from.Addr())}
	out.send(from, sealProbe(l, a, true))
	a.Delay = p.Delay
	x.answer = sealProbe(l, a, true)
	n.timers.arm(x.timer, now.Up+time.Duration(p.Delay)*time.Second)
}

// sealProbe encodes a question or answer with its mac.
func sealProbe(l *link, p wire.NATProbe, answer bool) []byte {
	b := p.Append(nil)
	wire.PutTicketMAC(b, session.ProbeMac(l.digest, answer, wire.TicketMACInput(b)))
	return b
}

// forgetLate ends what a child asked for; its next keys begin with new numbers.
func (n *Node) forgetLate(l *link) {
	if x := n.lates[l.id]; x != nil {
		n.timers.stop(x.timer)
		delete(n.lates, l.id)
	}
}

// fromPeriod takes a child's word how often it will be heard.
func (n *Node) fromPeriod(now clock.Reading, l *link, b []byte) error {
	p, err := wire.ParsePeriod(b)
	if err != nil {
		return err
	}
	if l.toward {
		n.count(drop.BadType)
		return nil
	}
	l.period = min(time.Duration(p.Seconds)*time.Second, maxChildPeriod)
	l.moves = p.Flags&wire.PeriodMoves != 0
	n.arm(l, beatTimer, now.Up+l.patience())
	return nil
}
