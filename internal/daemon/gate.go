// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"staex/internal/host/udp"
)

// A gate is how data leaves by a socket of a lane: at once, unless it goes to a next hop whose line
// is slow. What the node itself says does not come this way: it is little, and waits for nobody.
type gate struct {
	stock
	slow  *shapers
	pause time.Duration // until when no next hop gets a shaper; guarded by the stock's lock
}

// send sends b as datagrams of seg bytes each, now or as soon as there is room; sent tells which.
func (g *gate) send(now time.Duration, b []byte, seg int, to netip.AddrPort,
) (sent bool, err error) {
	s := g.slow.find(now, to)
	if s == nil {
		if size := weight(len(b), seg); g.add(now, size) && g.isSlow(now, size) {
			s = g.slow.assign(now, to)
		}
	}
	if s != nil {
		return s.send(now, b, seg, to)
	}
	return true, g.out.Write(b, seg, to)
}

// isSlow looks whether the kernel needs too long for what it holds. Perhaps that is not the next
// hop's whose turn it is; then both get shapers, and one does without soon.
func (g *gate) isSlow(now time.Duration, size int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	slow, _ := g.look(now, size)
	if slow { // what is slow leaves by a shaper from now on
		g.limit.Reset()
		g.most.Store(int64(g.limit.Bytes()))
	}
	if !slow || now < g.pause {
		return false
	}
	g.pause = now + shaperPause
	return true
}

// shapers are those of one family, for all lanes. Each has a socket of its own, because the kernel
// tells of a socket, not of a receiver, how much it holds.
type shapers struct {
	list []*shaper // those for one hop first; none where the system cannot
	used atomic.Int32
	mu   sync.Mutex // held while a hop gets a shaper or loses it
}

// find is the shaper of a next hop, or nil. One that was calm for long is taken back.
func (l *shapers) find(now time.Duration, to netip.AddrPort) *shaper {
	if l.used.Load() == 0 {
		return nil
	}
	for _, s := range l.list {
		switch {
		case !s.serves(to):
		case !s.isCalm(now):
			return s
		default:
			l.mu.Lock()
			l.take(now, s)
			l.mu.Unlock()
			return nil
		}
	}
	return nil
}

// take takes a shaper back if it is calm, and reports whether it is free: the next hop that has it
// may be gone.
func (l *shapers) take(now time.Duration, s *shaper) bool {
	if s.hop.Load() == nil {
		return true
	}
	if !s.isCalm(now) || !s.giveBack() {
		return false
	}
	s.hop.Store(nil)
	l.used.Add(-1)
	return true
}

// assign gives a next hop a free shaper, if there is one. Another lane may have been faster.
func (l *shapers) assign(now time.Duration, to netip.AddrPort) *shaper {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.list {
		if hop := s.hop.Load(); hop != nil && *hop == to && !s.isCalm(now) {
			return s
		}
	}
	for _, s := range l.list {
		if l.take(now, s) {
			s.last.Store(int64(now))
			s.hop.Store(&to)
			l.used.Add(1)
			return s
		}
	}
	return nil
}

// drain is the goroutine of all shapers: it sleeps until something waits in one. It ends with the
// context.
func (d *daemon) drain(ctx context.Context) error {
	tick := time.NewTimer(0)
	defer tick.Stop()
	for {
		select {
		case <-d.waiting:
		case <-ctx.Done():
			return nil
		}
		for d.fill() {
			tick.Reset(shaperTick)
			select {
			case <-tick.C:
			case <-ctx.Done():
				return nil
			}
		}
	}
}

// fill gives the kernel what it has room for, and reports whether anything waits still.
func (d *daemon) fill() (more bool) {
	now := up()
	for _, s := range d.shapers {
		if s.fill(now) {
			more = true
		}
	}
	return more
}

// openGates puts a gate before each socket, and opens a socket for each shaper. Where that cannot
// be, all data leaves at once and waits in the kernel.
func (d *daemon) openGates(o udp.Options) {
	d.waiting = make(chan struct{}, 1)
	o.Unreachable = nil // the other sockets are told
	for _, c := range d.host.sockets.all() {
		slow := &shapers{}
		for i := range shaperCount + 1 {
			out, err := c.Aside(o)
			if err != nil {
				if !errors.Is(err, errors.ErrUnsupported) {
					d.log.problem("opening sockets for slow lines", err)
				}
				break
			}
			d.host.asides = append(d.host.asides, out)
			s := &shaper{
				all: i == shaperCount, bytes: o.BufferBytes, wake: d.waiting, count: d.sentData,
			}
			s.init(out, o.BufferBytes)
			slow.list = append(slow.list, s)
		}
		d.shapers = append(d.shapers, slow.list...)
		for i := range d.host.lanes {
			d.host.lanes[i].guard(c.LocalAddr().Addr(), slow, o.BufferBytes)
		}
	}
}
