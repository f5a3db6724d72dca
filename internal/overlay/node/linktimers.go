// SPDX-License-Identifier: Apache-2.0

package node

import (
	"time"

	"staex/internal/clock"
)

// linkTimer is one of the deadlines that every link has. A link takes a single place among the
// node's timers, for the earliest of them: a relay has very many links.
type linkTimer uint8

// The deadlines of a link, in the order in which they fire at one moment.
const (
	beatTimer   linkTimer = iota // child: next keep-alive; parent: the child's end
	askTimer                     // next question to a silent neighbour
	resendTimer                  // control packets that were not acknowledged
	linkTimers
)

// alarms are the deadlines of one link. On the Up clock; 0: not armed.
type alarms struct {
	due   [linkTimers]time.Duration
	timer timer
}

// patience is how long a child may be silent.
func (l *link) patience() time.Duration { return deadFactor*l.period + deadMargin }

func (a *alarms) armed(k linkTimer) bool { return a.due[k] != 0 }

// arm sets or moves a deadline of a link.
func (n *Node) arm(l *link, k linkTimer, at time.Duration) {
	l.alarms.due[k] = max(at, 1)
	n.rearm(l)
}

// sooner arms a deadline unless it is already due by then.
func (n *Node) sooner(l *link, k linkTimer, at time.Duration) {
	if !l.alarms.armed(k) || l.alarms.due[k] > at {
		n.arm(l, k, at)
	}
}

func (n *Node) disarm(l *link, k linkTimer) {
	if l.alarms.armed(k) {
		l.alarms.due[k] = 0
		n.rearm(l)
	}
}

// rearm lets the link's timer go off at its earliest deadline.
func (n *Node) rearm(l *link) {
	next := Never
	for _, at := range l.alarms.due {
		if at != 0 {
			next = min(next, at)
		}
	}
	t := &l.alarms.timer
	switch {
	case next == Never:
		n.timers.stop(t)
	case t.index < 0 || t.at != next:
		n.timers.arm(t, next)
	}
}

// linkDue acts on the deadlines of a link that have passed.
func (n *Node) linkDue(now clock.Reading, l *link, out *Effects) {
	for k := range linkTimers {
		at := l.alarms.due[k]
		if at == 0 || at > now.Up {
			continue
		}
		l.alarms.due[k] = 0
		switch {
		case k == askTimer:
			n.askAgain(now, l, out)
		case k == resendTimer:
			n.resendControl(now, l, out)
		case l.toward:
			n.keepAlive(now, l, out)
		default:
			n.childSilent(now, l, out)
		}
		if n.links.byID[l.id] != l {
			return
		}
	}
	n.rearm(l)
}
