// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"slices"
	"time"

	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/plane"
	"staex/internal/overlay/route"
	"staex/internal/overlay/state"
	"staex/internal/wire"
)

const (
	// maxHops is how many relays a path may have (seed 001: network-lookup-ttl).
	maxHops = 64
	// setupLife is how long a relay waits for the answer to a path set-up.
	setupLife = 5 * time.Second
	// maxSetups bounds the set-ups under way at one node, and linkSetups those of one neighbour.
	maxSetups  = 4096
	linkSetups = maxSetups / 4
)

// setup is a path under construction that passes through this node.
//
//	from ──PATH(back)──> here ──PATH(mine)──> to
//	from <──OK(label)─── here <──OK(label)─── to
type setup struct {
	id    [8]byte
	dest  ident.NodeID
	kind  uint8
	from  *link // nil: this node asks
	to    *link
	back  wire.Label // our row for frames on the way back, in from to
	size  int
	timer *timer
	ask   asker // set when this node asks
}

// asker is who waits for the end of a set-up that this node began.
type asker interface {
	pathOK(n *Node, now clock.Reading, s *setup, ok wire.PathOK, out *Effects)
	pathNo(n *Node, now clock.Reading, s *setup, reason uint8)
}

// pathBook holds the set-ups under way by their id.
type pathBook struct {
	byID  map[[8]byte]*setup
	asked [wire.PathResumeInside + 1]uint64 // how many this node began, by kind
}

func (b *pathBook) init() { b.byID = map[[8]byte]*setup{} }

// nextHop chooses the link to a key: below us by our own table, else the parent.
// from is never chosen: nothing is sent back to where it came from.
func (n *Node) nextHop(dest ident.NodeID, from *link) (l *link, local bool) {
	if via, ok := route.Next(n.records, n.self, dest); ok {
		if via == state.Self {
			return nil, true
		}
		if l := n.links.byID[plane.LinkID(via)]; l != nil && l != from {
			return l, false
		}
	}
	if p := n.parents.active; p != nil && p != from {
		return p, false
	}
	return nil, false
}

// ask begins a path to dest with a label of ours for the way back.
func (n *Node) ask(now clock.Reading, dest ident.NodeID, kind uint8, back wire.Label, body []byte,
	a asker,
) bool {
	p := wire.Path{Dest: dest, Kind: kind, Back: back, Body: body}
	n.random(p.ID[:])
	return n.askPath(now, p, a)
}

// askPath begins a path whose id the caller drew; it fills in hops and size.
func (n *Node) askPath(now clock.Reading, p wire.Path, a asker) bool {
	to, local := n.nextHop(p.Dest, nil)
	if to == nil || local || len(n.paths.byID) >= maxSetups {
		return false
	}
	n.addSetup(now, &setup{
		id: p.ID, dest: p.Dest, kind: p.Kind, to: to, back: p.Back, size: to.live.Size(), ask: a,
	})
	n.paths.asked[p.Kind]++
	n.inside(&p, to)
	p.Hops, p.Size = maxHops, uint16(to.live.Size())
	n.tell(to, wire.ControlPath, p.Append(nil))
	return true
}

func (n *Node) addSetup(now clock.Reading, s *setup) {
	n.paths.byID[s.id] = s
	if s.from != nil {
		s.from.setups++
	}
	s.timer = newTimer(func(now clock.Reading, _ *Effects) {
		n.endSetup(s)
		n.failSetup(now, s, wire.PathNoRoute)
	})
	n.timers.arm(s.timer, now.Up+setupLife)
}

func (n *Node) endSetup(s *setup) {
	n.timers.stop(s.timer)
	delete(n.paths.byID, s.id)
	if s.from != nil {
		s.from.setups--
	}
}

// failSetups ends the set-ups that wait for a neighbour that is gone or that it began.
func (n *Node) failSetups(now clock.Reading, l *link) {
	var list []*setup
	for _, s := range n.paths.byID {
		if s.to == l || s.from == l {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b *setup) int { return bytes.Compare(a.id[:], b.id[:]) })
	for _, s := range list {
		n.endSetup(s)
		n.failSetup(now, s, wire.PathNoRoute)
	}
}

// failSetup takes a path down and tells who asked.
func (n *Node) failSetup(now clock.Reading, s *setup, reason uint8) {
	if s.ask != nil {
		s.ask.pathNo(n, now, s, reason)
		return
	}
	n.dropLabel(now, s.back)
	if n.links.byID[s.from.id] == s.from {
		n.refuse(s.from, s.id, reason)
	}
}

func (n *Node) refuse(l *link, id [8]byte, reason uint8) {
	n.tell(l, wire.ControlPathNo, wire.PathNo{ID: id, Reason: reason}.Append(nil))
}

// fromPath takes a set-up from a neighbour: it ends here, goes on, or is refused.
func (n *Node) fromPath(now clock.Reading, l *link, b []byte, out *Effects) error {
	p, err := wire.ParsePath(b)
	if err != nil {
		return err
	}
	if n.paths.byID[p.ID] != nil {
		n.refuse(l, p.ID, wire.PathLoop)
		return nil
	}
	to, local := n.nextHop(p.Dest, l)
	switch {
	case n.offRoad(l, p.Dest):
		n.count(drop.Quarantine)
		n.refuse(l, p.ID, wire.PathRefused)
	case local:
		n.pathEnd(now, l, p, out)
	case to == nil:
		n.count(drop.NoRoute)
		n.refuse(l, p.ID, wire.PathNoRoute)
	case p.Hops == 0:
		n.count(drop.HopLimit)
		n.refuse(l, p.ID, wire.PathHops)
	case len(n.paths.byID) >= maxSetups, l.setups >= n.setupsFor(l):
		n.count(drop.Quota)
		n.refuse(l, p.ID, wire.PathQuota)
	default:
		n.passPath(now, l, to, p)
	}
	return nil
}

// passPath sends a set-up on to the next hop, with a row of ours for the way back.
func (n *Node) passPath(now clock.Reading, from, to *link, p wire.Path) {
	s := &setup{id: p.ID, dest: p.Dest, kind: p.Kind, from: from, to: to}
	s.size = min(int(p.Size), from.live.Size(), to.live.Size())
	if p.Kind == wire.PathProbe {
		n.signTrail(&p)
	} else {
		back := plane.Row{Kind: plane.RowTransit, To: from.live, Out: p.Back}
		row, ok := n.newRow(now, back, to, from)
		if !ok {
			n.refuse(from, p.ID, wire.PathQuota)
			return
		}
		s.back = row
	}
	n.addSetup(now, s)
	p.Hops--
	p.Back, p.Size = s.back, uint16(s.size)
	n.tell(to, wire.ControlPath, p.Append(nil))
}

// fromPathOK takes the answer to a set-up and gives the neighbour before us a label of ours.
func (n *Node) fromPathOK(now clock.Reading, l *link, b []byte, out *Effects) error {
	ok, err := wire.ParsePathOK(b)
	if err != nil {
		return err
	}
	s := n.paths.byID[ok.ID]
	if s == nil || s.to != l {
		n.count(drop.Stranger)
		return nil
	}
	n.endSetup(s)
	s.size = min(s.size, int(ok.Size), wire.MaxDatagram)
	if s.ask != nil {
		s.ask.pathOK(n, now, s, ok, out)
		return nil
	}
	if s.kind == wire.PathProbe {
		n.tell(s.from, wire.ControlPathOK, ok.Append(nil))
		return nil
	}
	there := plane.Row{Kind: plane.RowTransit, To: l.live, Out: ok.Label}
	row, fits := n.newRow(now, there, s.from, nil)
	if !fits || n.links.byID[s.from.id] != s.from {
		n.failSetup(now, s, wire.PathQuota)
		return nil
	}
	n.pairRows(now, row, s.back)
	ok.Label, ok.Size = row, uint16(s.size)
	n.tell(s.from, wire.ControlPathOK, ok.Append(nil))
	return nil
}

// fromPathNo takes the refusal of a set-up and passes it on.
func (n *Node) fromPathNo(now clock.Reading, l *link, b []byte) error {
	no, err := wire.ParsePathNo(b)
	if err != nil {
		return err
	}
	s := n.paths.byID[no.ID]
	if s == nil || s.to != l {
		n.count(drop.Stranger)
		return nil
	}
	n.endSetup(s)
	n.failSetup(now, s, no.Reason)
	return nil
}

// pathEnd answers a set-up whose destination is this node or one of its endpoints.
func (n *Node) pathEnd(now clock.Reading, l *link, p wire.Path, out *Effects) {
	var reason uint8
	if !n.outside(&p) {
		n.count(drop.NoTunnel)
		n.refuse(l, p.ID, wire.PathRefused)
		return
	}
	switch p.Kind {
	case wire.PathHello:
		reason = n.answerHello(now, l, p)
	case wire.PathProbe:
		reason = n.answerProbe(l, p)
	case wire.PathResume:
		reason = n.answerResume(now, l, p, out)
	}
	if reason != 0 {
		n.refuse(l, p.ID, reason)
	}
}
