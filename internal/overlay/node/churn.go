// SPDX-License-Identifier: Apache-2.0

package node

import (
	"time"

	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/plane"
	"staex/internal/overlay/state"
	"staex/internal/wire"
)

const (
	// churnSpan is for how long changes of one key are counted together, and churnMost how many
	// are taken: a node that falls from one parent to the next makes a few a minute.
	churnSpan = time.Minute
	churnMost = 16
	// maxChurn bounds the keys that are counted; with more, the others change freely for the rest
	// of the minute.
	maxChurn = 1 << 16
	// maxLate bounds the keys whose newest record is asked for at the end of the minute.
	maxLate = 1024
)

// churn counts how often records and tunnels change, by their key. Every change of a record goes
// all the way up, and every change of a tunnel to the disk, so nobody may make them without end.
type churn struct {
	since  time.Duration
	counts map[ident.NodeID]uint8
	late   recordSet // keys of which changes were refused
	from   map[ident.NodeID]plane.LinkID
	timer  *timer
}

func (c *churn) init(n *Node) {
	c.counts, c.from = map[ident.NodeID]uint8{}, map[ident.NodeID]plane.LinkID{}
	c.timer = newTimer(func(now clock.Reading, _ *Effects) { n.churnOver(now) })
}

// turn begins another minute when it is time.
func (c *churn) turn(now time.Duration) {
	if now-c.since >= churnSpan {
		c.since = now
		clear(c.counts)
	}
}

// often reports whether a key has changed too often to change again now.
func (c *churn) often(now time.Duration, key ident.NodeID) bool {
	c.turn(now)
	return c.counts[key] >= churnMost
}

// add counts one change. The caller has verified that the owner of the key wants it: others must
// not be able to use up what it has.
func (c *churn) add(now time.Duration, key ident.NodeID) {
	c.turn(now)
	if count, known := c.counts[key]; count < churnMost && (known || len(c.counts) < maxChurn) {
		c.counts[key] = count + 1
	}
}

// changed counts what became of a record. The first one of a key is no change, unless the key was
// here a moment ago: very many may join at once.
func (c *churn) changed(now time.Duration, key ident.NodeID, change state.Change) {
	c.turn(now)
	if change != state.Added || c.counts[key] > 0 {
		c.add(now, key)
	}
}

// tooOften remembers to ask for the newest record of a key that changes too often.
func (n *Node) tooOften(l *link, key ident.NodeID) {
	c := &n.churn
	if c.late.len() >= maxLate {
		return // its child's digest will differ, which brings it later
	}
	c.late.add(key)
	c.from[key] = l.id
	n.timers.sooner(c.timer, c.since+churnSpan)
}

// churnOver asks for what was refused in the minute that is over.
func (n *Node) churnOver(now clock.Reading) {
	c := &n.churn
	c.turn(now.Up)
	for _, key := range c.late.list {
		if l := n.links.byID[c.from[key]]; l != nil && !l.toward {
			n.tell(l, wire.ControlFetch, wire.Fetch{Key: key}.Append(nil))
		}
	}
	c.late = recordSet{}
	clear(c.from)
}
