// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"staex/internal/clock"
	"staex/internal/host/tcp"
	"staex/internal/host/tun"
	"staex/internal/overlay/node"
)

const (
	// remindSoon is how long a session may settle before programs are reminded of it.
	remindSoon = 200 * time.Millisecond
	// afterStart is for how long a daemon takes what its machine's programs have open for
	// something that an earlier run carried.
	afterStart = time.Minute
	// maxReminded bounds the addresses that wait; with more of them all are meant.
	maxReminded = 64
)

// reminders are whose connections have to show themselves. Only the client of a tunnel opens flows,
// so after a restart at either end what the server sends is dropped until the client has spoken;
// and a program that only reads never speaks. So its kernel is made to.
type reminders struct {
	wake chan struct{} // holds one

	mu    sync.Mutex // guards what follows
	all   bool
	addrs []netip.Prefix
}

func newReminders() *reminders { return &reminders{wake: make(chan struct{}, 1)} }

// ask wants the programs that talk to the addresses to be reminded; none means everybody.
func (r *reminders) ask(addrs ...netip.Addr) {
	r.mu.Lock()
	for _, a := range addrs {
		if a.IsValid() {
			r.addrs = append(r.addrs, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	r.all = r.all || len(addrs) == 0 || len(r.addrs) > maxReminded
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// take returns the ranges that were asked for.
func (r *reminders) take(everybody []netip.Prefix) []netip.Prefix {
	r.mu.Lock()
	defer r.mu.Unlock()
	addrs := r.addrs
	if r.all {
		addrs = everybody
	}
	r.addrs, r.all = nil, false
	return addrs
}

// remind notes what an event means for the connections of programs. It runs in the node's
// goroutine.
func (l *loop) remind(now clock.Reading, e node.Event) {
	switch e.Kind {
	case node.EventSessionUp:
		if lease, ok := l.node.Lease(now, e.Key); ok {
			l.d.reminders.ask(lease.V4, lease.V6)
		}
	case node.EventParentUp, node.EventChildUp:
		if now.Up-l.d.born < afterStart {
			l.d.reminders.ask()
		}
	default:
	}
}

// remindPrograms is the goroutine that makes the kernel repeat its last word on connections through
// the overlay after a restart. The kernel's answer goes through the fast path like any packet.
func (d *daemon) remindPrograms(ctx context.Context) error {
	res := d.files.cfg.Resolver
	everybody := append([]netip.Prefix{res.IPv4, res.IPv6}, d.host.statics...)
	for {
		select {
		case <-d.reminders.wake:
		case <-ctx.Done():
			return nil
		}
		if !sleep(ctx, remindSoon) {
			return nil
		}
		conns, err := tcp.Connections(d.reminders.take(everybody))
		if err != nil {
			d.log.Debug("connections cannot be listed", "error", err.Error())
			continue
		}
		for _, c := range conns {
			packet := append(make([]byte, tun.HeaderSize), c.Reminder()...)
			if err := d.host.device.Write(packet); err != nil {
				d.log.Debug("not reminded", "of", c.Remote.String(), "error", err.Error())
			}
		}
	}
}
