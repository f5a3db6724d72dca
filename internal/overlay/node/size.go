// SPDX-License-Identifier: Apache-2.0

package node

import (
	"encoding/binary"
	"time"

	"staex/internal/clock"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/plane"
	"staex/internal/overlay/session"
	"staex/internal/wire"
)

const (
	// sizeEvery is how often a link that carries large frames shows that they still arrive: the
	// way below it may have narrowed without a word (RFC 8899 calls that a black hole).
	sizeEvery = 5 * time.Second
	// sizeWait is how long one probe waits for its answer, and sizeTries how many are lost until
	// the size is taken for too large. A fifth of all frames may be lost.
	sizeWait  = 750 * time.Millisecond
	sizeTries = 4
	// raiseEvery is how long after a size was too large a larger one is tried again (RFC 8899,
	// section 5.1.1).
	raiseEvery = 10 * time.Minute
	// tooBigEvery is how often the sender of one label is told that its frames are too long.
	tooBigEvery = time.Second
	// widenFirst is how soon a session on a narrow path asks for it again; it doubles up to
	// widenLast.
	widenFirst = 10 * time.Second
	widenLast  = raiseEvery
)

// sizes are the payloads that are tried, from what every path carries upward: between them lie the
// common tunnels and access networks.
var sizes = [...]int{
	wire.MinDatagram, 1232, 1252, 1300, 1340, 1372, 1392, 1412, 1432, 1444, wire.MaxDatagram,
}

// sizing finds out how large a datagram may be that goes over one link to the neighbour. It is
// there while rows lead over the link, and sends only while large frames do.
//
//	         large frames, time for more --> asks for the next size --answer--> takes it, asks on
//	resting                                                         \--silence--> rests
//	         large frames, 5 s later -----> asks for the present one --answer--> rests
//	                                                                 \--silence--> narrow, asks on
type sizing struct {
	timer  *timer
	number uint32 // of the question under way
	asked  int    // size in question; 0: none
	tries  int
	raise  time.Duration // when a larger size may be tried
	since  time.Duration // when a row last came to lead over the link
}

// sizeBook is what this node knows about paths that carry less than they might.
type sizeBook struct {
	told   map[wire.Label]time.Duration // when the user of a label last heard that it is too big
	narrow map[uint64]*narrow           // by the number of the session
}

func (b *sizeBook) init() {
	b.told = map[wire.Label]time.Duration{}
	b.narrow = map[uint64]*narrow{}
}

// narrow is when a session may ask for its path again, because it may be wider by now.
type narrow struct{ at, wait time.Duration }

// watchSize lets a link find its size from now on.
func (n *Node) watchSize(now clock.Reading, l *link) {
	if l == nil {
		return
	}
	if l.sizing == nil {
		l.sizing = &sizing{}
		l.sizing.timer = newTimer(func(now clock.Reading, out *Effects) { n.sizeDue(now, l, out) })
	}
	l.sizing.since = now.Up
	n.timers.sooner(l.sizing.timer, now.Up+sizeEvery)
}

// endSizing forgets what is under way about the size of a link.
func (n *Node) endSizing(l *link) {
	if l.sizing != nil {
		n.timers.stop(l.sizing.timer)
		l.sizing = nil
	}
}

// restartSizing begins anew on a link that was made anew.
func (n *Node) restartSizing(now clock.Reading, l *link) {
	if l.sizing != nil {
		n.endSizing(l)
		n.watchSize(now, l)
	}
}

// sizeDue asks, asks again, or takes silence for an answer.
func (n *Node) sizeDue(now clock.Reading, l *link, out *Effects) {
	x, size := l.sizing, l.live.Size()
	switch {
	case x.asked != 0 && x.tries < sizeTries:
		n.askSize(now, l, x.asked, out)
		return
	case x.asked > size:
		x.raise = now.Up + raiseEvery
	case x.asked != 0:
		l.live.SetSize(wire.MinDatagram)
		x.raise = now.Up
		n.narrowed(now, l)
	case now.Up-max(x.since, l.live.Sent()) >= rowLife:
		n.endSizing(l) // the last row is gone
		return
	}
	x.asked = 0
	n.nextSize(now, l, out)
}

// narrowed tells those who used a link lately that it carries less, before they send again: a TCP
// that has lost much waits twice as long after each frame that is lost.
func (n *Node) narrowed(now clock.Reading, l *link) {
	for _, m := range n.rowsOf(l) {
		if m.to == l && now.Up-time.Duration(m.used.Load()) < busySession {
			n.tellTooBig(now, m, wire.MinDatagram)
		}
	}
}

// nextSize asks what is due, or rests.
func (n *Node) nextSize(now clock.Reading, l *link, out *Effects) {
	x, size := l.sizing, l.live.Size()
	x.tries = 0
	switch {
	case !largely(now, l.live) || l.kem != nil:
		x.asked = 0
	case size < wire.MaxDatagram && now.Up >= x.raise:
		n.askSize(now, l, sizeAfter(size), out)
		return
	case size > wire.MinDatagram && x.asked == 0:
		n.askSize(now, l, size, out)
		return
	}
	x.asked = 0
	// A link that rests wakes nobody: the first frame of a session that was quiet is told.
	if n.carries() || now.Up-max(x.since, l.live.Sent()) < 2*sizeEvery {
		n.timers.arm(x.timer, now.Up+sizeEvery)
	}
}

// largely reports whether large frames go over a link these seconds.
func largely(now clock.Reading, l *plane.Link) bool {
	at, ever := l.Large()
	return ever && now.Up-at < 2*sizeEvery
}

// sizeAfter is the next size to try.
func sizeAfter(size int) int {
	for _, s := range sizes {
		if s > size {
			return s
		}
	}
	return wire.MaxDatagram
}

// askSize sends a datagram of the size.
func (n *Node) askSize(now clock.Reading, l *link, size int, out *Effects) {
	x := l.sizing
	if x.asked != size {
		var number [4]byte
		n.random(number[:])
		x.number, x.asked, x.tries = binary.BigEndian.Uint32(number[:]), size, 0
	}
	x.tries++
	n.sendSize(l, wire.SizeProbe{Size: uint16(size), Number: x.number}, out)
	n.timers.arm(x.timer, now.Up+sizeWait)
}

func (n *Node) sendSize(l *link, p wire.SizeProbe, out *Effects) {
	p.To = l.theirs
	p.MAC = session.SizeMAC(l.digest, p.MACInput())
	if b := p.Append(nil); n.mayGo(l, b) {
		out.Send = append(out.Send, Datagram{To: l.live.Addr(), B: b})
	}
}

// fromSizeProbe answers a neighbour's probe, or takes the answer to ours.
func (n *Node) fromSizeProbe(now clock.Reading, l *link, b []byte, out *Effects) {
	p, err := wire.ParseSizeProbe(b)
	x := l.sizing
	switch {
	case err != nil || p.To != l.mine:
		n.count(drop.BadFrame)
	case !session.CheckSizeMAC(l.digest, p.MACInput(), p.MAC):
		n.count(drop.BadMac)
	case !p.Answer:
		p.Answer = true
		n.sendSize(l, p, out)
	case x == nil || x.asked != int(p.Size) || x.number != p.Number:
		n.count(drop.Stranger)
	default:
		l.live.SetSize(max(x.asked, l.live.Size()))
		n.nextSize(now, l, out)
	}
}

// tooBig tells who uses a label, at most once a second, that its frames are too long for the link
// that they go on over.
func (n *Node) tooBig(now clock.Reading, x plane.Notice) {
	m, l := n.rows.byLabel[x.Label], n.links.byLive(x.Link)
	if m != nil && m.to != nil && m.in == l {
		n.tellTooBig(now, m, m.to.live.Size())
	}
}

func (n *Node) tellTooBig(now clock.Reading, m *rowMeta, size int) {
	if at, told := n.sizes.told[m.label]; told && now.Up-at < tooBigEvery ||
		n.links.byID[m.in.id] != m.in {
		return
	}
	if m.in.ctl.waiting() >= unknownQueue {
		n.count(drop.QueueFull)
		return
	}
	if len(n.sizes.told) >= maxUnknown {
		clear(n.sizes.told)
	}
	n.sizes.told[m.label] = now.Up
	n.tell(m.in, wire.ControlTooBig, wire.TooBig{
		Label: m.label, Size: uint16(min(size, m.to.live.Size())),
	}.Append(nil))
}

// fromTooBig takes a neighbour's word that frames under a label are too long, back to the end of
// the session, which sends shorter ones.
func (n *Node) fromTooBig(now clock.Reading, l *link, b []byte) error {
	t, err := wire.ParseTooBig(b)
	if err != nil {
		return err
	}
	if s := n.sessions.byPath(l, t.Label); s != nil {
		if p := s.fast.Path(); p != nil && int(t.Size) < int(p.Size) {
			s.fast.ResizePath(int(t.Size))
			n.sizes.narrow[s.fast.Key] = &narrow{now.Up + widenFirst, widenFirst}
		}
		return nil
	}
	if m := n.rows.byOut[outKey{l.id, t.Label}]; m != nil {
		n.tellTooBig(now, m, int(t.Size))
	}
	return nil
}

// widen asks for the path of a session again, while it carries large frames and its path carries
// less than any could: the set-up brings the size that is proven now.
func (n *Node) widen(now clock.Reading, s *liveSession) {
	p, c := s.fast.Path(), s.conv
	if p == nil || p.Size >= wire.MaxDatagram {
		delete(n.sizes.narrow, s.fast.Key)
		return
	}
	if !largely(now, p.Link) || s != c.live || c.busy() || c.next != nil {
		return
	}
	x := n.sizes.narrow[s.fast.Key]
	switch {
	case x == nil:
		n.sizes.narrow[s.fast.Key] = &narrow{now.Up + widenFirst, widenFirst}
	case now.Up >= x.at:
		x.wait = min(2*x.wait, widenLast)
		x.at = now.Up + x.wait
		n.startResume(now, c)
	}
}
