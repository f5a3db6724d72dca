// SPDX-License-Identifier: Apache-2.0

package node

import (
	"time"

	"staex/internal/clock"
	"staex/internal/overlay/drop"
	"staex/internal/wire"
)

const (
	// controlWindow is how many packets may be under way unacknowledged on one link.
	controlWindow = 32
	// controlFirst is the first retransmission timeout; it doubles with each try.
	controlFirst = 200 * time.Millisecond
	// controlTries ends the link to a parent: with doubling and the cap that is about 15 s of
	// silence. A child may have an address that we do not know yet, behind a translator that
	// forgot it: its own silence ends its link (childSilent), and until then one packet at a time
	// is repeated.
	controlTries = 8
	// controlCap bounds the doubling.
	controlCap = 3200 * time.Millisecond
	// controlQueue bounds the messages that wait for the window of one link.
	controlQueue = 1024
	// controlRoom is the plaintext of one packet in bytes, so that it fits the smallest path.
	controlRoom = wire.MinDatagram - wire.DataHeaderLong - wire.TagSize
)

// control is the reliable, ordered stream of messages on one link. What is under way lives in a
// backlog, so that the many links on which nothing is pay for nothing.
type control struct {
	sent uint32 // number of the newest packet sent
	got  uint32 // everything up to here was delivered
	ack  bool   // an acknowledgement is owed
	*backlog
}

// backlog is what one link has to send, or has received too early.
type backlog struct {
	out   []packet    // unacknowledged, oldest first, at most controlWindow
	queue [][]byte    // messages that wait, at most controlQueue
	held  [][]byte    // packets that came early: held[i] is number got+2+i
	first recordSet   // records to tell this neighbour before the others
	dirty recordSet   // records to tell this neighbour, when the window has room
	lists []*outgoing // of revoked keys, at most maxLists
}

// records is how many records wait to be told.
func (b *backlog) records() int { return b.first.len() + b.dirty.len() }

// next is where the next of them stands.
func (b *backlog) next() *recordSet {
	if b.first.len() > 0 {
		return &b.first
	}
	return &b.dirty
}

// open returns the backlog to add something to.
func (c *control) open() *backlog {
	if c.backlog == nil {
		c.backlog = &backlog{}
	}
	return c.backlog
}

// settle frees a backlog that is empty.
func (c *control) settle() {
	if c.quiet() && (c.backlog == nil || len(c.held) == 0) {
		c.backlog = nil
	}
}

// quiet reports that nothing is under way to the neighbour and nothing waits.
func (c *control) quiet() bool {
	b := c.backlog
	return b == nil || len(b.out)+len(b.queue)+b.records()+len(b.lists) == 0
}

// waiting is how many messages wait for the window.
func (c *control) waiting() int {
	if c.backlog == nil {
		return 0
	}
	return len(c.queue)
}

// unacked is how many packets are under way.
func (c *control) unacked() int {
	if c.backlog == nil {
		return 0
	}
	return len(c.out)
}

type packet struct {
	number uint32
	body   []byte
	at     time.Duration // of the last try
	tries  int
}

// tell queues one message for a neighbour.
func (n *Node) tell(l *link, typ uint8, body []byte) {
	if l.ctl.waiting() >= controlQueue {
		n.count(drop.QueueFull)
		return
	}
	b := l.ctl.open()
	b.queue = append(b.queue, wire.AppendMessage(nil, typ, body))
	n.links.busy[l.id] = l
}

// flushControl sends what waits as far as the window allows, or a pure acknowledgement.
func (n *Node) flushControl(now clock.Reading, l *link, out *Effects) {
	c := &l.ctl
	if l.kem != nil && len(l.kem.queue) > 0 {
		c.open()
	}
	for c.backlog != nil && len(c.out) < controlWindow {
		body := n.nextBody(now, l)
		if len(body) == 0 {
			break
		}
		c.sent++
		p := packet{number: c.sent, body: body, at: now.Up, tries: 1}
		c.out = append(c.out, p)
		n.sendPacket(now, l, p, out)
	}
	if c.ack {
		c.ack = false
		h := wire.ControlHeader{Ack: c.got}
		n.frameTo(now, l, false, h.Append(nil), out)
	}
	if c.unacked() > 0 {
		n.sooner(l, resendTimer, c.out[0].at+backoff(c.out[0].tries))
	}
}

// nextBody takes messages for one packet: those that wait, then records that changed.
func (n *Node) nextBody(now clock.Reading, l *link) []byte {
	var body []byte
	room := controlRoom - wire.ControlHeaderSize
	c := &l.ctl
	if l.shut() {
		return l.kem.next()
	}
	for len(c.queue) > 0 && len(body)+len(c.queue[0]) <= room {
		body = append(body, c.queue[0]...)
		c.queue = c.queue[1:]
	}
	for len(c.queue) == 0 && len(c.lists) > 0 {
		m := c.lists[0].next()
		if len(body)+len(m) > room {
			break
		}
		if c.lists[0].took() {
			c.lists = c.lists[1:]
		}
		body = append(body, m...)
	}
	for len(c.queue) == 0 && c.records() > 0 {
		set := c.next()
		key := set.list[0]
		m := n.recordMessage(key, l)
		if len(body)+len(m) > room || m == nil && !n.fetch(now, key) {
			break
		}
		set.pop()
		delete(n.passing, key)
		body = append(body, m...)
	}
	return body
}

func (n *Node) sendPacket(now clock.Reading, l *link, p packet, out *Effects) {
	h := wire.ControlHeader{Number: p.number, Ack: l.ctl.got}
	l.ctl.ack = false
	n.frameTo(now, l, false, append(h.Append(nil), p.body...), out)
}

func backoff(tries int) time.Duration {
	d := controlFirst
	for i := 1; i < tries && d < controlCap; i++ {
		d *= 2
	}
	return d
}

// resendControl repeats the packets that were not acknowledged in time.
func (n *Node) resendControl(now clock.Reading, l *link, out *Effects) {
	c := &l.ctl
	if c.backlog == nil {
		return
	}
	next := Never
	for i := range c.out {
		p := &c.out[i]
		if p.at+backoff(p.tries) <= now.Up {
			if p.tries >= controlTries && l.toward {
				n.linkDown(now, l, "does not acknowledge")
				return
			}
			p.tries++
			p.at = now.Up
			n.sendPacket(now, l, *p, out)
		}
		next = min(next, p.at+backoff(p.tries))
		if p.tries >= controlTries {
			break
		}
	}
	if next != Never {
		n.arm(l, resendTimer, next)
	}
}

// fromControl takes one control packet: acknowledges, orders, delivers.
func (n *Node) fromControl(now clock.Reading, l *link, plain []byte, out *Effects) {
	h, body, err := wire.ParseControlHeader(plain)
	if err != nil {
		n.count(drop.BadFrame)
		return
	}
	c := &l.ctl
	n.acknowledged(now, l, h.Ack)
	if h.Number == 0 {
		return
	}
	c.ack = true
	n.links.busy[l.id] = l
	ahead := int32(h.Number - c.got - 1)
	switch {
	case ahead < 0 || ahead >= controlWindow:
		return
	case ahead > 0:
		c.hold(int(ahead)-1, body)
		return
	}
	for body != nil {
		c.got++
		n.messages(now, l, body, out)
		if n.links.byID[l.id] != l {
			return
		}
		body = c.take()
	}
	c.settle()
}

// hold keeps a packet that came early; i counts from the one after the next.
func (c *control) hold(i int, body []byte) {
	b := c.open()
	for len(b.held) <= i {
		b.held = append(b.held, nil)
	}
	if b.held[i] == nil {
		b.held[i] = append([]byte{}, body...)
	}
}

// take returns the packet that is next now, or nil.
func (c *control) take() []byte {
	if c.backlog == nil || len(c.held) == 0 {
		return nil
	}
	b := c.held[0]
	c.held = c.held[1:]
	return b
}

// controlMoved repeats at once what a neighbour missed while its address was not known.
func (n *Node) controlMoved(now clock.Reading, l *link) {
	for i := range l.ctl.unacked() {
		l.ctl.out[i].at, l.ctl.out[i].tries = now.Up-controlFirst, 1
	}
	if l.ctl.unacked() > 0 {
		n.arm(l, resendTimer, now.Up)
	}
}

func (n *Node) acknowledged(now clock.Reading, l *link, ack uint32) {
	c := &l.ctl
	if int32(ack-c.sent) > 0 || c.backlog == nil {
		return
	}
	k := 0
	for k < len(c.out) && int32(ack-c.out[k].number) >= 0 {
		k++
	}
	if k == 0 {
		return
	}
	c.out = append(c.out[:0], c.out[k:]...)
	if len(c.out) > 0 {
		n.arm(l, resendTimer, max(now.Up, c.out[0].at+backoff(c.out[0].tries)))
	} else {
		n.disarm(l, resendTimer)
	}
	if len(c.queue) > 0 || c.records() > 0 {
		n.links.busy[l.id] = l
	}
	c.settle()
	n.compareOn(now, l)
}

// messages delivers the messages of one packet in order.
func (n *Node) messages(now clock.Reading, l *link, body []byte, out *Effects) {
	for len(body) > 0 {
		typ, b, rest, err := wire.NextMessage(body)
		if err != nil {
			n.count(drop.BadFrame)
			return
		}
		if err := n.message(now, l, typ, b, out); err != nil {
			n.count(drop.BadFrame)
		}
		if n.links.byID[l.id] != l {
			return
		}
		body = rest
	}
}

// mayTell reports whether a neighbour may send messages of a type: some only a parent may, and
// some only a child.
func mayTell(l *link, typ uint8) bool {
	switch typ {
	case wire.ControlUp, wire.ControlWant, wire.ControlDiffer, wire.ControlFetch,
		wire.ControlQuarantine:
		return l.toward
	case wire.ControlDigest:
		return !l.toward
	}
	return true
}

// message acts on one control message of a neighbour.
func (n *Node) message(now clock.Reading, l *link, typ uint8, b []byte, out *Effects) error {
	if !mayTell(l, typ) {
		n.count(drop.BadType)
		return nil
	}
	if x := n.confined[l.id]; x != nil && !x.permits(typ) {
		n.count(drop.Quarantine)
		return nil
	}
	if l.kem != nil || typ == wire.ControlKEMKey || typ == wire.ControlKEMAnswer {
		return n.kemMessage(now, l, typ, b)
	}
	switch typ {
	case wire.ControlRecord:
		return n.fromRecord(now, l, b)
	case wire.ControlPath:
		return n.fromPath(now, l, b, out)
	case wire.ControlPathOK:
		return n.fromPathOK(now, l, b, out)
	case wire.ControlPathNo:
		return n.fromPathNo(now, l, b)
	case wire.ControlUnknown:
		return n.fromUnknown(now, l, b)
	case wire.ControlJunk:
		return n.fromJunk(now, l, b)
	case wire.ControlTooBig:
		return n.fromTooBig(now, l, b)
	case wire.ControlJunkOK:
		return n.fromJunkOK(l, b)
	case wire.ControlGone:
		return n.fromGone(now, l, b)
	case wire.ControlUp:
		return n.fromUp(now, l, b)
	case wire.ControlLookup:
		return n.fromLookup(now, l, b)
	case wire.ControlFound:
		return n.fromFound(now, l, b)
	case wire.ControlDigest:
		return n.fromDigest(now, l, b)
	case wire.ControlDiffer:
		return n.fromDiffer(now, l, b)
	case wire.ControlFetch:
		return n.fromFetch(now, l, b)
	case wire.ControlPeriod:
		return n.fromPeriod(now, l, b)
	case wire.ControlMoved:
		return n.fromMoved(now, l, b)
	case wire.ControlGrant:
		return n.fromGrant(now, l, b)
	case wire.ControlQuarantine:
		return n.fromQuarantine(l, b)
	case wire.ControlWant:
		if _, err := wire.ParseWant(b); err != nil {
			return err
		}
		n.wanted(now, l)
	case wire.ControlBye:
		if _, err := wire.ParseBye(b); err != nil {
			return err
		}
		n.linkDown(now, l, "said goodbye")
	default:
		return n.newsMessage(now, l, typ, b)
	}
	return nil
}
