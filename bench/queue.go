// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"staex/bench/figure"
	"staex/bench/load"
	"staex/bench/peer"
)

const (
	// queueBytes wait in front of a stopped relay: what the socket of a relay of ours takes, whose
	// 1 MiB the kernel doubles for what it counts beside.
	queueBytes = 1536 << 10
	// datagramMore and burstMore are what a datagram and a burst take there beside the payload.
	datagramMore, burstMore = 64, 1 << 10
	// emptyRounds without a burst show what a round takes by itself.
	emptyRounds = 10
	// burstGap is the time between two bursts: the first node has done with one before the next.
	burstGap = 200 * time.Microsecond
	// quietTime without an arrival means that a queue is empty.
	quietTime = 20 * time.Millisecond
	// lostMost is what may be lost where the ends' work for a packet that arrives says anything.
	lostMost = 0.1
	// bulkBytes is the payload from which on bytes count rather than packets.
	bulkBytes = 1000
)

// queue measures a relay that has more to do than it can, on a machine on which the ends need more
// for a packet than the relay does: it is stopped until a queue stands in front of it, and then
// works that off. The datagrams come in bursts, and each arrives at the relay as one batch. What it
// costs a relay to be stopped, to wake up and to find nothing more is no part of that: rounds
// without a burst tell, and it is taken off.
func queue(size, burst int) func(context.Context, *bench, *peer.Site) (map[string]float64, error) {
	return func(ctx context.Context, b *bench, s *peer.Site) (map[string]float64, error) {
		if len(s.Procs) == 0 {
			return map[string]float64{}, nil // there is nobody to stop
		}
		f, err := load.OpenFlood(ctx, s.Path, size, burst)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		q := queued{flood: f, site: s}
		bursts := queueBytes / (burst*(size+datagramMore) + burstMore)
		if err := q.round(bursts); err != nil { // flows and processors are warm then
			return nil, err
		}
		empty, err := q.empty()
		if err != nil {
			return nil, err
		}
		before, err := s.Batches()
		if err != nil {
			return nil, err
		}
		q.sent, q.working = 0, 0
		var failed error
		rounds := 0
		n, _, used, err := window(s, f.Received, func() {
			end := time.Now().Add(b.seconds)
			for ; failed == nil && time.Now().Before(end); rounds++ {
				failed = q.round(bursts)
			}
		})
		if err = errors.Join(err, failed); err != nil {
			return nil, err
		}
		used.relays -= time.Duration(rounds) * empty
		after, err := s.Batches()
		values := map[string]float64{
			figure.Packets: float64(n) / q.working.Seconds(),
			figure.Lost:    max(0, 1-float64(n)/float64(q.sent)),
		}
		if calls := after.Calls - before.Calls; calls > 0 {
			values[figure.Fill] = (after.Datagrams - before.Datagrams) / calls
		}
		if size < bulkBytes {
			per(s, values, used, float64(n)/1e6)
		} else {
			per(s, values, used, float64(n)*float64(size)/1e9)
			values[figure.Gbps] = values[figure.Packets] * float64(size) * 8 / 1e9
		}
		if values[figure.Lost] > lostMost {
			delete(values, figure.Ends)
		}
		return values, err
	}
}

// queued is what queue does again and again.
type queued struct {
	flood   *load.Flood
	site    *peer.Site
	sent    int           // datagrams
	working time.Duration // from the release of the relay to the last arrival
}

// empty is what a round without a burst costs the relays.
func (q *queued) empty() (time.Duration, error) {
	before, err := accounts(q.site)
	for i := 0; i < emptyRounds && err == nil; i++ {
		err = q.round(0)
	}
	if err != nil {
		return 0, err
	}
	after, err := accounts(q.site)
	return (after.relays - before.relays) / emptyRounds, err
}

// round makes a queue and has it worked off.
func (q *queued) round(bursts int) error {
	if err := q.signal(unix.SIGSTOP); err != nil {
		return err
	}
	n, err := q.flood.Bursts(bursts, burstGap)
	time.Sleep(quietTime)
	q.sent += n
	seen, begin := q.flood.Received(), time.Now()
	if err = errors.Join(err, q.signal(unix.SIGCONT)); err != nil {
		return err
	}
	last := begin
	for now := begin; now.Sub(last) < quietTime; now = time.Now() {
		if arrived := q.flood.Received(); arrived != seen {
			last, seen = now, arrived
		}
		time.Sleep(time.Millisecond)
	}
	q.working += last.Sub(begin)
	return nil
}

func (q *queued) signal(s unix.Signal) error {
	var failed error
	for _, p := range q.site.Procs {
		if p.Relay {
			failed = errors.Join(failed, unix.Kill(p.PID(), s))
		}
	}
	return failed
}
