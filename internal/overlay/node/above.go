// SPDX-License-Identifier: Apache-2.0

package node

import (
	"slices"

	"staex/internal/clock"
	"staex/internal/wire"
)

// fromUp takes the chain of parents above our parent.
func (n *Node) fromUp(now clock.Reading, l *link, b []byte) error {
	u, err := wire.ParseUp(b)
	if err != nil {
		return err
	}
	if !l.toward || slices.Equal(l.up.above, u.Keys) {
		return nil // no news; in a ring of parents it would go around for ever
	}
	l.up.above = append(l.up.above[:0], u.Keys...)
	if l == n.parents.active {
		n.timers.sooner(n.parents.news, max(now.Up, n.parents.told+newsEvery))
	}
	return nil
}

// tellAbove tells the children of the same network which chain of parents they hang on.
func (n *Node) tellAbove(now clock.Reading, parent *link) {
	n.parents.told = now.Up
	n.timers.stop(n.parents.news)
	for _, l := range n.links.all() {
		if !l.toward && n.confined[l.id] == nil {
			n.tell(l, wire.ControlUp, n.above(l, parent).Append(nil))
		}
	}
}

// above is the chain over a child: our parent and its own chain, members of one network only.
func (n *Node) above(child, parent *link) wire.Up {
	var u wire.Up
	if parent == nil || child.network != n.who.Cert.Network || parent.network != child.network {
		return u
	}
	u.Keys = append(u.Keys, parent.peer)
	for _, k := range parent.up.above {
		if len(u.Keys) >= wire.MaxParents || k == n.self || k == child.peer {
			break // full, or a ring that closes here
		}
		u.Keys = append(u.Keys, k)
	}
	return u
}
