// SPDX-License-Identifier: Apache-2.0

package node

import (
	"iter"
	"math"
	"time"

	"staex/internal/clock"
	"staex/internal/overlay/state"
	"staex/internal/wire"
)

const (
	// rememberLife is how long rows from before a restart wait for the child that led to them: as
	// long as very many children may take to come back, at the rate at which they are let in.
	rememberLife = 15 * time.Minute
	// firstRemembered is the first number of the links that such rows are kept under. No link has
	// one so high.
	firstRemembered = state.Via(math.MaxUint32 / 2)
)

// Remember lists what a root knows about the nodes below it, for Config.Remembered after a planned
// restart: with that its children need not tell everything again. It is empty in a node that has
// parents.
func (n *Node) Remember() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if len(n.cfg.Parents) > 0 {
			return
		}
		n.records.Walk(func(r state.Row) bool {
			if r.Via == state.Self || r.Encoded == nil {
				return true
			}
			return yield(wire.Record{Record: r.Encoded, NodeCert: r.Cert}.Append(nil))
		})
	}
}

// remembered takes the rows from before the restart. A child that comes back moves its whole branch
// to its new link with its first record, and comparing the two tables finds no difference. The
// rows of those who do not come back are forgotten after rememberLife.
func (n *Node) remembered() {
	if n.cfg.Remembered == nil || len(n.cfg.Parents) > 0 {
		return
	}
	from := state.From{Via: firstRemembered - 1}
	for b := range n.cfg.Remembered {
		m, err := wire.ParseRecord(b)
		if err != nil {
			continue
		}
		r, err := state.DecodeRecord(m.Record)
		if err != nil || n.admitted[r.Network].IsZero() || n.isRevoked(r.Network, r.Key) {
			continue
		}
		if r.Parent == n.self {
			from = state.From{Via: from.Via + 1, Neighbour: r.Key}
			n.records.SetQuota(from.Via, memberRows)
		}
		if n.records.Admit(r, m.Record, m.NodeCert, from).Changed() {
			n.lookups.index(r)
		}
	}
	n.cfg.Remembered = nil
	begun := newTimer(func(now clock.Reading, _ *Effects) {
		n.timers.arm(newTimer(func(clock.Reading, *Effects) {
			for via := firstRemembered; via <= from.Via; via++ {
				n.records.RemoveVia(via)
			}
		}), now.Up+rememberLife)
	})
	n.timers.arm(begun, 0)
}
