// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"slices"
	"time"

	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/state"
	"staex/internal/wire"
)

const (
	// askWindow is how many digests of one comparison wait for their answers.
	askWindow = 4
	// spareDigests is how many a comparison may take beyond the rows there are: a parent that
	// sees differences everywhere does not keep its child busy.
	spareDigests = 1024
	// compareLife ends a comparison whose answers do not come: a parent that has looked at enough
	// rows gives none.
	compareLife = time.Minute
	// scanPeriod, scanFactor and scanSpare bound the rows that a child makes its parent look at.
	scanPeriod = 10 * time.Minute
	scanFactor = 8
	scanSpare  = 1 << 16
	// settleLife is how long the rows of a comparison are kept from the parent after the last one.
	settleLife = 10 * time.Second
	// fewRows are told to the parent one by one after a comparison below; with more we compare.
	fewRows = 4
	// wantEvery is how long a parent waits before it asks for another comparison; if one does not
	// make the two equal, because rows are refused, it waits twice as long, up to wantLast.
	wantEvery = 10 * time.Minute
	wantLast  = 6 * time.Hour
)

// syncing is what the comparisons of one link need. Most children never need it.
type syncing struct {
	now    *comparison    // with a parent, while it goes on
	budget budget         // rows that a child had us look at, or records that a parent fetched
	until  time.Duration  // a child's rows are part of a comparison until then
	few    []ident.NodeID // those that came meanwhile
	many   bool           // and more than fewRows
	damp   time.Duration  // the last wait between two questions for a comparison
}

func (l *link) syncing() *syncing {
	if l.sync == nil {
		l.sync = &syncing{}
	}
	return l.sync
}

// budget is how much a neighbour may have us do in a period.
type budget struct {
	since time.Duration
	spent int
}

// take spends n if no more than most are spent within a scanPeriod.
func (b *budget) take(now time.Duration, n, most int) bool {
	if now-b.since >= scanPeriod {
		b.since, b.spent = now, 0
	}
	if b.spent+n > most {
		return false
	}
	b.spent += n
	return true
}

// phase is how far a comparison has come.
type phase uint8

const (
	waiting phase = iota // for what is under way to be acknowledged
	asking               // where the differences are
	telling              // what differs
	closing              // asked for the last time
)

// comparison is a child finding out what its parent has not got.
//
//	waiting --all acknowledged--> asking --all answered--> telling --all acknowledged--> closing
//	                                 |                                                      |
//	                                 +--nothing differs--> end <-----------answered---------+
type comparison struct {
	phase phase
	again bool // there is reason for another one
	began time.Duration
	left  []wire.Span    // to ask about, the next one last: at most 16 for each half byte of a key
	asked int            // digests without an answer
	spent int            // digests in all
	tell  []ident.NodeID // what differs
}

// comparing reports whether a comparison goes on, and forgets one whose answers do not come.
func (l *link) comparing(now clock.Reading) bool {
	if l.sync == nil || l.sync.now == nil {
		return false
	}
	if now.Up-l.sync.now.began >= compareLife && l.sync.now.asked > 0 {
		l.sync.now = nil
		return false
	}
	return true
}

// compare begins a comparison with a parent.
func (n *Node) compare(now clock.Reading, l *link) {
	if l.held() {
		return
	}
	s := l.syncing()
	if l.comparing(now) {
		s.now.again = true
		return
	}
	s.now = &comparison{began: now.Up, left: []wire.Span{{}}}
	n.compareOn(now, l)
}

// wanted compares with a parent that asks for it, but not more often than one that keeps to the
// rules would.
func (n *Node) wanted(now clock.Reading, l *link) {
	if now.Up < l.wantNext || l != n.parents.active {
		n.count(drop.Quota)
		return
	}
	l.wantNext = now.Up + wantEvery/2
	n.compare(now, l)
}

// compareOn goes on with a comparison when nothing is under way to the parent.
func (n *Node) compareOn(now clock.Reading, l *link) {
	if l.sync == nil || l.sync.now == nil || !l.ctl.quiet() {
		return
	}
	c := l.sync.now
	switch c.phase {
	case waiting:
		n.records.SetKey(l.digest)
		c.phase = asking
		n.askParts(now, l, c)
	case telling:
		c.phase, c.asked = closing, 1
		n.tellDigest(l, wire.Span{}, true)
	case asking, closing:
	}
}

// askParts asks about the next ranges; when all were answered it tells what differs, parents
// before their children.
func (n *Node) askParts(now clock.Reading, l *link, c *comparison) {
	for len(c.left) > 0 && c.asked < askWindow && c.spent < n.records.Len()+spareDigests {
		last := len(c.left) - 1
		span := c.left[last]
		c.left = c.left[:last]
		c.asked, c.spent = c.asked+1, c.spent+1
		n.tellDigest(l, span, false)
	}
	switch {
	case c.asked > 0:
		return
	case len(c.tell) == 0:
		n.compared(now, l, c)
		return
	}
	depth := make(map[ident.NodeID]int, len(c.tell))
	for _, k := range c.tell {
		depth[k] = n.records.Depth(k)
	}
	slices.SortFunc(c.tell, func(a, b ident.NodeID) int {
		return cmp.Or(cmp.Compare(depth[a], depth[b]), a.Compare(b))
	})
	b := l.ctl.open()
	for _, k := range c.tell {
		b.dirty.add(k)
	}
	c.phase, c.tell = telling, nil
	n.links.busy[l.id] = l
}

func (n *Node) tellDigest(l *link, span wire.Span, last bool) {
	d := wire.Digest{Last: last, Span: span, Sums: n.records.PartsOf(state.All, span).Sums}
	n.tell(l, wire.ControlDigest, d.Append(nil))
}

// compared ends a comparison.
func (n *Node) compared(now clock.Reading, l *link, c *comparison) {
	l.sync.now = nil
	if c.again {
		n.compare(now, l)
	}
}

// fromDiffer takes the parent's answer to a digest.
func (n *Node) fromDiffer(now clock.Reading, l *link, b []byte) error {
	d, err := wire.ParseDiffer(b)
	if err != nil {
		return err
	}
	if l.sync == nil || l.sync.now == nil || l.sync.now.asked == 0 {
		n.count(drop.Stranger)
		return nil
	}
	c := l.sync.now
	c.asked--
	if c.phase == closing {
		n.compared(now, l, c)
		return nil
	}
	for _, p := range d.Parts {
		part := d.Span.Part(int(p.Part))
		switch {
		case !p.Many:
			c.tell = differences(c.tell, n.records.EntriesIn(state.All, part), p.Have)
		case part.Nibbles < wire.MaxNibbles:
			c.left = append(c.left, part)
		}
	}
	n.askParts(now, l, c)
	return nil
}

// differences appends the keys that only one of two lists has, or with another sequence number.
// Both are in key order.
func differences(dst []ident.NodeID, ours []state.Entry, theirs []wire.Have) []ident.NodeID {
	for len(ours) > 0 && len(theirs) > 0 {
		switch order := ours[0].Key.Compare(theirs[0].Key); {
		case order < 0:
			dst, ours = append(dst, ours[0].Key), ours[1:]
		case order > 0:
			dst, theirs = append(dst, theirs[0].Key), theirs[1:]
		default:
			if ours[0].Seq != theirs[0].Seq {
				dst = append(dst, ours[0].Key)
			}
			ours, theirs = ours[1:], theirs[1:]
		}
	}
	for _, e := range ours {
		dst = append(dst, e.Key)
	}
	for _, h := range theirs {
		dst = append(dst, h.Key)
	}
	return dst
}

// fromDigest answers a child in which parts of a range we have other rows than it told.
func (n *Node) fromDigest(now clock.Reading, l *link, b []byte) error {
	d, err := wire.ParseDigest(b)
	if err != nil {
		return err
	}
	via, s := state.Via(l.id), l.syncing()
	most := scanFactor*n.records.LenVia(via) + scanSpare
	if !s.budget.take(now.Up, n.records.Cost(via, d.Span)+1, most) {
		n.count(drop.Quota)
		return nil
	}
	differ := wire.Differ{Span: d.Span, Parts: n.partsThatDiffer(via, d)}
	n.tell(l, wire.ControlDiffer, differ.Append(nil))
	equal := d.Span.Nibbles == 0 && len(differ.Parts) == 0
	if equal {
		s.damp, l.wantNext = 0, 0
	}
	if equal || d.Last {
		n.tellSettled(now, s)
	} else {
		s.until = now.Up + settleLife
	}
	return nil
}

func (n *Node) partsThatDiffer(via state.Via, d wire.Digest) (list []wire.PartDiff) {
	ours, listed := n.records.PartsOf(via, d.Span), 0
	for i := range wire.SpanParts {
		if ours.Sums[i] == d.Sums[i] {
			continue
		}
		p := wire.PartDiff{Part: uint8(i)}
		if rows := ours.Rows[i]; rows > wire.MaxListed || listed+rows > wire.MaxHave {
			p.Many = true
		} else {
			for _, e := range n.records.EntriesIn(via, d.Span.Part(i)) {
				p.Have = append(p.Have, wire.Have{Key: e.Key, Seq: e.Seq})
			}
			listed += rows
		}
		list = append(list, p)
	}
	return list
}

// withhold keeps a row that comes in a comparison from our own parent: of a subtree that has
// moved it may know all but the head already.
func (n *Node) withhold(now clock.Reading, l *link, key ident.NodeID) bool {
	s := l.sync
	if s == nil || s.until == 0 || key == l.peer {
		return false
	}
	if now.Up >= s.until {
		n.tellSettled(now, s)
		return false
	}
	s.until = now.Up + settleLife
	if len(s.few) < fewRows {
		s.few = append(s.few, key)
	} else {
		s.many = true
	}
	return true
}

// tellSettled tells our parent about the rows that came in a comparison, or compares with it.
func (n *Node) tellSettled(now clock.Reading, s *syncing) {
	few, many := s.few, s.many
	s.until, s.few, s.many = 0, nil, false
	if many && n.parents.active != nil {
		n.compare(now, n.parents.active)
		return
	}
	for _, k := range few {
		n.mark(k)
	}
}

// digestFor is what both ends of a link must agree on: the rows of the child's side.
func (n *Node) digestFor(now clock.Reading, l *link) []byte {
	var d [digestSize]byte
	switch {
	case !l.ctl.quiet() || l.comparing(now):
		return nil // what is under way would look like a difference
	case l.toward && l != n.parents.active:
		return nil // a parent that stands by has not been told
	case l.held() || n.confined[l.id] != nil:
		return nil // nor has one that keeps us in quarantine
	}
	if l.toward {
		n.records.SetKey(l.digest)
		d = n.records.DigestAll()
	} else {
		d = n.records.DigestVia(state.Via(l.id))
	}
	return d[:]
}

// checkDigest compares what a child has with what we know of it.
func (n *Node) checkDigest(now clock.Reading, l *link, plain []byte) {
	if len(plain) != digestSize || l.toward || l.kem != nil || l.ctl.unacked() > 0 ||
		n.confined[l.id] != nil {
		return
	}
	if n.records.DigestVia(state.Via(l.id)) == [digestSize]byte(plain) {
		if l.sync != nil {
			l.sync.damp = 0
		}
		l.wantNext = 0
		return
	}
	if now.Up < l.wantNext {
		return
	}
	s := l.syncing()
	s.damp = min(max(2*s.damp, wantEvery), wantLast)
	l.wantNext = now.Up + s.damp
	n.tell(l, wire.ControlWant, nil)
}
