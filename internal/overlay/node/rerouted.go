// SPDX-License-Identifier: Apache-2.0

package node

import "staex/internal/clock"

// Rerouted says that the machine's own way out has changed: a cable, a route, an address. The
// parent is asked at once whether it hears us, by which it also learns where we are now; a node
// that looks for a parent looks on without waiting. Whoever says it often has to slow down by
// itself: each time costs an exchange of two datagrams.
type Rerouted struct{}

//nolint:unparam // the interface wants an error
func (Rerouted) apply(n *Node, now clock.Reading) error {
	p := &n.parents
	switch {
	case p.active != nil:
		p.active.asked = 0
		n.arm(p.active, askTimer, now.Up)
	case len(p.list) > 0:
		p.wait = helloFirst
		n.timers.sooner(p.again, now.Up)
	}
	return nil
}
