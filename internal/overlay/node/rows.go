// SPDX-License-Identifier: Apache-2.0

package node

import (
	"slices"
	"sync/atomic"
	"time"

	"staex/internal/clock"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/plane"
	"staex/internal/wire"
)

const (
	// linkRows is how many paths one child may cause, each of which takes two rows here, or one
	// if it ends here.
	linkRows = 256
	// rowLife is how long an unused row lives after its last frame.
	rowLife = 180 * time.Second
	// pathLife is how long a session believes in an unused path: less than rowLife, so that its
	// first frame after a pause never meets a row that is gone.
	pathLife = 150 * time.Second
	// unknownEvery is how often one label is reported unknown.
	unknownEvery = time.Second
	// unknownQueue is how many messages may wait for a neighbour when an unknown label is reported:
	// whoever forges its address must not crowd out the messages that matter.
	unknownQueue = controlQueue / 8
	// maxUnknown bounds the labels of which that is remembered.
	maxUnknown = 1024
)

// rowMeta is what the slow path knows about a label row beside its plane.Row.
type rowMeta struct {
	label wire.Label
	out   wire.Label
	cause *link    // whose quota it counts against; nil: none
	in    *link    // whose label it is
	to    *link    // transit: the next hop
	twin  *rowMeta // the other direction of the same path
	used  *atomic.Int64
	timer *timer
	hop   *hop // nil unless junk came
}

// outKey finds the row that sends a label to a neighbour, when the neighbour does not know it.
type outKey struct {
	link  plane.LinkID
	label wire.Label
}

// rowBook is the slow path's side of the label table.
type rowBook struct {
	byLabel map[wire.Label]*rowMeta
	byOut   map[outKey]*rowMeta
	unknown map[wire.Label]time.Duration // when we last said so
}

func (b *rowBook) init() {
	b.byLabel = map[wire.Label]*rowMeta{}
	b.byOut = map[outKey]*rowMeta{}
	b.unknown = map[wire.Label]time.Duration{}
}

// newRow allocates a label that the neighbour in may use and publishes its row. It counts against
// the quota of the neighbour that caused it, so that nobody can use up another's.
func (n *Node) newRow(now clock.Reading, r plane.Row, in, cause *link) (wire.Label, bool) {
	if cause != nil && !cause.toward && int(cause.rows) >= n.rowsFor(cause) {
		n.count(drop.Quota)
		return 0, false
	}
	label, ok := n.labels.New(now.Up)
	if !ok {
		n.count(drop.Quota)
		return 0, false
	}
	r.Label, r.In, r.Used = label, in.live, new(atomic.Int64)
	r.Used.Store(int64(now.Up))
	m := &rowMeta{label: label, in: in, cause: cause, used: r.Used}
	if r.Kind == plane.RowTransit {
		m.to, m.out = n.links.byLive(r.To), r.Out
		if m.to != nil {
			n.rows.byOut[outKey{m.to.id, m.out}] = m
		}
	}
	if cause != nil {
		cause.rows++
	}
	n.rows.byLabel[label] = m
	n.tables.SetRow(r)
	for _, l := range []*link{m.in, m.to} {
		n.watchSize(now, l)
		if l != nil && l.toward {
			n.timers.sooner(l.up.watch, now.Up+watchEvery)
		}
	}
	if r.Kind == plane.RowTransit {
		m.timer = newTimer(func(now clock.Reading, _ *Effects) { n.rowIdle(now, m) })
		n.timers.arm(m.timer, now.Up+rowLife)
	}
	return label, true
}

// pairRows ties the two directions of a path together: they live and die as one.
func (n *Node) pairRows(_ clock.Reading, a, b wire.Label) {
	x, y := n.rows.byLabel[a], n.rows.byLabel[b]
	if x != nil && y != nil {
		x.twin, y.twin = y, x
	}
}

// lastUse is the later use of a row and its twin, on the Up clock.
func (m *rowMeta) lastUse() time.Duration {
	t := m.used.Load()
	if m.twin != nil {
		t = max(t, m.twin.used.Load())
	}
	return time.Duration(t)
}

// rowIdle drops a transit row that nobody used for rowLife.
func (n *Node) rowIdle(now clock.Reading, m *rowMeta) {
	if last := m.lastUse(); now.Up-last < rowLife {
		n.timers.arm(m.timer, last+rowLife)
		return
	}
	if m.twin != nil {
		n.dropLabel(now, m.twin.label)
	}
	n.dropLabel(now, m.label)
}

// dropLabel takes a row away and frees its label.
func (n *Node) dropLabel(now clock.Reading, l wire.Label) {
	if l == 0 {
		return
	}
	n.tables.DropRow(l)
	n.labels.Free(now.Up, l)
	m := n.rows.byLabel[l]
	if m == nil {
		return
	}
	delete(n.rows.byLabel, l)
	n.timers.stop(m.timer)
	n.forgetHop(m)
	if m.cause != nil {
		m.cause.rows--
	}
	if m.to != nil {
		delete(n.rows.byOut, outKey{m.to.id, m.out})
	}
	if m.twin != nil {
		m.twin.twin = nil
	}
}

// dropRowsOf takes down every path through a neighbour and tells those on the other side.
func (n *Node) dropRowsOf(now clock.Reading, l *link) {
	for _, m := range n.rowsOf(l) {
		if m.to == l && n.links.byID[m.in.id] == m.in {
			n.tell(m.in, wire.ControlUnknown, wire.Unknown{Label: m.label}.Append(nil))
		}
		if s := n.sessions.byMine[m.label]; s != nil {
			n.sessionPathLost(now, s)
		}
		n.dropLabel(now, m.label)
	}
	n.sessionsLost(now, l)
}

// rowsOf lists the rows that come from or lead to a neighbour, in the order of their labels.
func (n *Node) rowsOf(l *link) []*rowMeta {
	var list []*rowMeta
	for _, m := range n.rows.byLabel {
		if m.in == l || m.to == l {
			list = append(list, m)
		}
	}
	sortRows(list)
	return list
}

// fromUnknown takes a neighbour's word that it has no row for a label we send to it: the row that
// leads there is dropped and the one before us is told, back to the session's end.
func (n *Node) fromUnknown(now clock.Reading, l *link, b []byte) error {
	u, err := wire.ParseUnknown(b)
	if err != nil {
		return err
	}
	if s := n.sessions.byPath(l, u.Label); s != nil {
		n.sessionPathLost(now, s)
		return nil
	}
	m := n.rows.byOut[outKey{l.id, u.Label}]
	if m == nil {
		return nil
	}
	if n.links.byID[m.in.id] == m.in {
		n.tell(m.in, wire.ControlUnknown, wire.Unknown{Label: m.label}.Append(nil))
	}
	if m.twin != nil {
		n.dropLabel(now, m.twin.label)
	}
	n.dropLabel(now, m.label)
	return nil
}

// unknownLabel tells a neighbour, at most once a second per label, that its label has no row.
func (n *Node) unknownLabel(now clock.Reading, notice plane.Notice) {
	l := n.links.byAddr[notice.From]
	if l == nil {
		return
	}
	if at, said := n.rows.unknown[notice.Label]; said && now.Up-at < unknownEvery {
		return
	}
	if l.ctl.waiting() >= unknownQueue {
		n.count(drop.QueueFull)
		return
	}
	if len(n.rows.unknown) >= maxUnknown {
		clear(n.rows.unknown)
	}
	n.rows.unknown[notice.Label] = now.Up
	n.tell(l, wire.ControlUnknown, wire.Unknown{Label: notice.Label}.Append(nil))
}

func sortRows(list []*rowMeta) {
	slices.SortFunc(list, func(a, b *rowMeta) int { return int(a.label) - int(b.label) })
}
