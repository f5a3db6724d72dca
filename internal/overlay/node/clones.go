// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/state"
)

const (
	// cloneReturns is how often a key has to come back to the place before to be taken for copied:
	// within cloneWindow between two branches, where a device that changes its parent needs several
	// rejoin periods for each return, and within cloneLinks between two addresses below one parent,
	// where one that moves needs no new link.
	cloneReturns = 5
	cloneWindow  = 5 * time.Minute
	cloneLinks   = time.Hour
	// cloneLeaps is how often in that time a node may have to go on from a record of its own key
	// that it did not sign, until it says so: after its disk was lost, and again if the first
	// parent was behind. It goes on once more, so that the relay where two branches meet sees it.
	cloneLeaps = 3
	// cloneHold is how long a copied key stays where it is, whoever else shows it: two devices must
	// not make all relays above them work.
	cloneHold = 5 * time.Minute
	// cloneTold is how often one key is reported, and cloneShown how long a person is warned.
	cloneTold  = time.Hour
	cloneShown = 24 * time.Hour
	// maxSuspects bounds the keys whose last two places are remembered.
	maxSuspects = 256
)

// ErrCloned says that a key shows up at two places by turns.
var ErrCloned = errors.New("two devices use its key, and the other one is attached")

// spot is where a key shows up: below a child, or as a child at an address.
type spot struct {
	via  state.Via
	addr netip.AddrPort
}

// suspect is a key that moved lately.
type suspect struct {
	before spot // where it was before it was where it is
	back   int  // how often it went back there since
	since  time.Duration
	until  time.Duration // it is held where it is
	told   time.Duration // when it was reported; 0: never
}

// cloneBook finds keys that two devices use.
type cloneBook struct {
	of    map[ident.NodeID]*suspect
	order []ident.NodeID // of of, the oldest first
	leaps int            // records of our own key that we did not sign, since since
	since time.Duration
	twin  time.Duration // when somebody else was found to use our key; 0: nobody
}

func (b *cloneBook) init() { b.of = map[ident.NodeID]*suspect{} }

// suspect returns what is known about a key that moves.
func (b *cloneBook) suspect(key ident.NodeID) *suspect {
	s := b.of[key]
	if s == nil {
		if len(b.order) >= maxSuspects {
			delete(b.of, b.order[0])
			b.order = b.order[1:]
		}
		s = &suspect{}
		b.of[key], b.order = s, append(b.order, key)
	}
	return s
}

// mayMove notes that a key which is at one place shows up at another, and reports whether it may:
// not if it came and went too often, since then two devices have it.
func (n *Node) mayMove(now clock.Reading, key ident.NodeID, from, to spot) bool {
	if from == to {
		return true
	}
	s := n.clones.suspect(key)
	if now.Up < s.until {
		n.count(drop.Cloned)
		return false
	}
	window := cloneWindow
	if to.addr.IsValid() {
		window = cloneLinks
	}
	if now.Up-s.since > window {
		s.since, s.back = now.Up, 0
	}
	if to == s.before {
		s.back++
	}
	s.before = from
	if s.back < cloneReturns {
		return true
	}
	s.until, s.back = now.Up+cloneHold, 0
	if s.told == 0 || now.Up-s.told >= cloneTold {
		s.told = now.Up
		n.event(Event{Kind: EventCloned, Key: key, Text: clonedKey(key)})
	}
	n.count(drop.Cloned)
	return false
}

// rowMayMove is mayMove for a newer record that came from another branch than the row is in.
func (n *Node) rowMayMove(now clock.Reading, l *link, r *state.Record) bool {
	row, known := n.records.Find(r.Key)
	if !known || r.Kind != state.Node || row.Via == state.Self || r.Seq <= row.Seq {
		return true
	}
	return n.mayMove(now, r.Key, spot{via: row.Via}, spot{via: state.Via(l.id)})
}

// childMayMove is mayMove for a child that comes from another address than the one it is at. A
// child with our own key has a copy of it.
func (n *Node) childMayMove(now clock.Reading, key ident.NodeID, from netip.AddrPort) bool {
	l := n.links.byPeer[peerKey{key, false}]
	return key != n.self &&
		(l == nil || n.mayMove(now, key, spot{addr: l.live.Addr()}, spot{addr: from}))
}

// leaps reports whether to go on from a record of our own key that somebody else signed. To do so
// once is what a lost disk needs; to do so again and again would be a race.
func (n *Node) leaps() bool {
	b, up := &n.clones, n.moments.up
	if up-b.since > cloneWindow {
		b.since, b.leaps = up, 0
	}
	b.leaps++
	if b.leaps < cloneLeaps {
		return true
	}
	if b.twin == 0 || up-b.twin >= cloneTold {
		n.event(Event{Kind: EventCloned, Key: n.self, Text: ownClone})
	}
	b.twin = up
	if b.leaps == cloneLeaps {
		return true
	}
	n.count(drop.Cloned)
	return false
}

const ownClone = "another device uses this node's key, and what is for one of them reaches the " +
	"other: make a key for each device with mcc init; if nobody knows the other one, revoke the key"

func clonedKey(key ident.NodeID) string {
	return fmt.Sprintf("two devices use the key of node %v by turns: make a new key for one of "+
		"them with mcc init; if nobody knows the other one, revoke the key", key)
}

// cloneWarnings are sentences about keys below that two devices use.
func (n *Node) cloneWarnings() (list []string) {
	for _, key := range n.clones.order {
		s := n.clones.of[key]
		if s.told != 0 && n.moments.up-s.told < cloneShown {
			list = append(list, clonedKey(key))
		}
	}
	slices.Sort(list)
	return list
}

// cloneProblem is a sentence about our own key, or "".
func (n *Node) cloneProblem() string {
	if b := &n.clones; b.twin != 0 && n.moments.up-b.twin < cloneShown {
		return ownClone
	}
	return ""
}
