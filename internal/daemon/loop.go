// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"context"
	"errors"
	"os"
	"time"

	"staex/internal/clock"
	"staex/internal/host/uptime"
	"staex/internal/ident"
	"staex/internal/overlay/node"
)

// errStopped is what callers get once the node's goroutine has ended.
var errStopped = errors.New("the daemon is stopping")

// loop is the node's goroutine and everything that only it may touch.
type loop struct {
	d       *daemon
	node    *node.Node
	keep    *keeper
	out     node.Effects
	clocks  clocks
	alarm   *uptime.Alarm
	rings   chan struct{} // the alarm has rung; holds one ring
	armed   time.Duration // when the alarm rings, or unarmed
	frames  queue
	packets chan []byte
	calls   chan call
	ended   chan struct{} // closed when the goroutine has ended

	probes  map[uint64]chan<- node.Event // who waits for which probe
	tokens  uint64
	refused map[ident.NodeID]string // why the other end refused which tunnel
	gateway gateway
	tunnels tunnelTrouble
	rest    rest
}

// unarmed is a moment at which no alarm rings.
const unarmed time.Duration = -1

// A call is something to do in the node's goroutine.
type call struct {
	do   func(now clock.Reading, out *node.Effects)
	done chan error // the disk's, once what do caused is done; holds one
}

func newLoop(d *daemon) (*loop, error) {
	alarm, err := uptime.NewAlarm()
	if err != nil {
		return nil, err
	}
	return &loop{
		alarm: alarm, rings: make(chan struct{}, 1), rest: newRest(d.profile, d.born),
		d: d, node: d.node, keep: newKeeper(d.store), armed: unarmed,
		frames:  make(queue, d.profile.parcels),
		packets: make(chan []byte, d.profile.packets),
		calls:   make(chan call),
		ended:   make(chan struct{}),
		probes:  map[uint64]chan<- node.Event{},
		refused: map[ident.NodeID]string{},
	}, nil
}

// run is the goroutine: it waits for whatever comes first, tells the node, and does what the node
// answers. It is the only timer of an idle daemon. It ends with the context, after saying goodbye
// to the neighbours.
func (l *loop) run(ctx context.Context) error {
	defer close(l.ended)
	now := l.moment()
	for ; ; l.d.traffic.woke[wokeNode].Add(1) {
		l.arm(now.Up)
		select {
		case p := <-l.frames:
			now = l.moment()
			if p.isWork() {
				l.rest.work(now.Up)
			}
			l.take(now, p)
		case b := <-l.packets:
			now = l.moment()
			l.rest.work(now.Up)
			l.node.FromHost(now, b, &l.out)
			_ = l.perform(now) // told, and tried again
		case c := <-l.calls:
			now = l.moment()
			l.rest.work(now.Up)
			c.do(now, &l.out)
			c.done <- l.perform(now)
		case <-l.rings:
			l.armed, now = unarmed, l.moment()
			l.node.Expire(now, &l.out)
			_ = l.perform(now) // as above
			l.d.log.problem("giving memory back", l.rest.look(now.Up))
		case <-ctx.Done():
			l.leave()
			return nil
		}
	}
}

// arm sets the alarm to what is due first.
func (l *loop) arm(now time.Duration) {
	due := min(l.node.Deadline(), l.keep.due(), l.rest.due())
	if due == l.armed {
		return
	}
	l.armed = due
	var err error
	if due == node.Never {
		err = l.alarm.Off()
	} else {
		err = l.alarm.Set(due - now)
	}
	if !errors.Is(err, os.ErrClosed) { // at the end there is nothing to wait for
		l.d.log.problem("setting the alarm", err)
	}
}

// ring is the goroutine that waits for the alarm.
func (l *loop) ring(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = l.alarm.Close() })
	defer stop()
	for l.alarm.Wait() == nil {
		select {
		case l.rings <- struct{}{}:
		default: // the loop has not come to the last one yet
		}
	}
	return nil
}

// take gives the node what the fast path left to it.
func (l *loop) take(now clock.Reading, p parcel) {
	switch {
	case p.gone:
		l.node.Unreachable(now, p.from, &l.out)
	case p.probe:
		l.node.FromProbe(now, p.from, p.frame, &l.out)
	case p.seen != nil:
		l.node.Notice(now, p.seen, &l.out)
	case p.link != 0:
		l.node.FromLink(now, p.link, p.from, p.frame, &l.out)
	default:
		l.node.FromStranger(now, p.from, p.frame, &l.out)
	}
	_ = l.perform(now) // told, and tried again
}

// perform does what the node wants done, in its order: what must survive a restart is on the disk
// before anything that depends on it is sent. When it cannot be, nothing is sent, and the error is
// the disk's; the neighbours ask again.
func (l *loop) perform(now clock.Reading) error {
	err := l.store(now.Up)
	if err == nil {
		for _, g := range l.out.Send {
			from := &l.d.host.sockets
			if g.Probe {
				from = &l.d.host.probes
			}
			if err := from.send(g.B, 0, g.To); err != nil {
				l.d.log.Debug("not sent", "to", g.To.String(), "error", err.Error())
				continue
			}
			l.d.traffic.out[classOf(g.B)].Add(uint64(len(g.B)))
		}
	}
	for _, p := range l.out.Deliver {
		if err := l.d.host.device.Write(p); err != nil {
			l.d.log.Debug("not delivered", "error", err.Error())
		}
	}
	l.report(now, l.out.Events)
	l.out.Reset()
	return err
}

// leave says goodbye.
func (l *loop) leave() {
	now := reading()
	l.d.log.problem("leaving", l.node.Apply(now, node.Leave{}, &l.out))
	_ = l.perform(now) // told already, and nobody is left to try again
}

// offerPacket hands a packet of the host to the node; false means that its queue is full.
func (l *loop) offerPacket(p []byte) bool {
	select {
	case l.packets <- bytes.Clone(p):
		return true
	default:
		return false
	}
}

// do runs f in the node's goroutine and returns when what it caused is done. The error is that of
// the context, or errStopped.
func (l *loop) do(ctx context.Context, f func(now clock.Reading, out *node.Effects)) error {
	_, stopped := l.carryOut(ctx, f)
	return stopped
}

// carryOut is do that also tells why what f wants kept could not be stored. It is tried again, but
// a restart until then undoes it.
func (l *loop) carryOut(ctx context.Context, f func(now clock.Reading, out *node.Effects),
) (unstored, stopped error) {
	c := call{do: f, done: make(chan error, 1)}
	select {
	case l.calls <- c:
		return <-c.done, nil // the goroutine never leaves a call half done
	case <-l.ended:
		return nil, errStopped
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// ask runs f in the node's goroutine for its answer.
func (l *loop) ask(ctx context.Context, f func(n *node.Node, now clock.Reading)) error {
	return l.do(ctx, func(now clock.Reading, _ *node.Effects) { f(l.node, now) })
}

// apply gives the node a command. The error is the node's, or that of do.
func (l *loop) apply(ctx context.Context, c node.Command) error {
	var refused error
	err := l.do(ctx, func(now clock.Reading, out *node.Effects) {
		refused = l.node.Apply(now, c, out)
	})
	return errors.Join(err, refused)
}
