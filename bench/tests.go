// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"staex/bench/figure"
	"staex/bench/load"
	"staex/bench/meter"
	"staex/bench/peer"
)

// test is one way to measure a peer.
type test struct {
	name string
	once bool // another round would say the same
	// counts: no clock touches what is measured, so all peers of a line are asked at once.
	counts bool
	// times is how many starts make one round: a start is short, and no two are alike; 0 means 1.
	times int
	bulk  bool // it is for peers that differ in nothing else, too
	run   func(ctx context.Context, b *bench, s *peer.Site) (map[string]float64, error)
	// together measures all peers of a line at once, in place of run.
	together func(ctx context.Context, b *bench, st *stand) []figure.Run
}

// testsOf are the tests of a line.
func testsOf(line peer.Line) []test {
	all := []test{
		{name: "size", once: true, run: size},
		{name: "idle", together: idle},
		{name: "memory", once: true, run: memoryIdle},
		{name: "wire", once: true, counts: true, run: wire},
		{name: "rtt", run: roundTrip},
		{name: "tcp1", bulk: true, run: streams(1)},
		{name: "tcp4", bulk: true, run: streams(4)},
		{name: "udp64", run: flood(64)},
		{name: "udp200", run: flood(200)},
		{name: "paced64", run: paced(64)},
		{name: "queue1200", run: queue(1200, 50)},
		{name: "queue64", run: queue(64, 64)},
		{name: "queue8", run: queue(64, 8)},
		{name: "peak", once: true, run: memoryPeak},
		{name: "start", times: 2, run: start}, // the last: who does not come back is missing
	}
	only := map[string][]string{
		"relay": {
			"memory", "wire", "start", "rtt", "tcp1", "tcp4", "udp64", "paced64", "queue1200",
			"queue64", "queue8", "peak",
		},
		"relays": {"rtt", "tcp1", "paced64"},
		"plain":  {"tcp1"},
		"lossy":  {"rtt", "tcp1"},
		"board":  {"memory", "tcp1", "udp64", "peak"},
	}[line.Name]
	return slices.DeleteFunc(all, func(t test) bool {
		if only == nil {
			return strings.HasPrefix(t.name, "queue") && line.Name != "" // it is for relays
		}
		return !slices.Contains(only, t.name)
	})
}

func testNames() []string {
	var names []string
	for _, t := range testsOf(peer.Line{}) {
		names = append(names, t.name)
	}
	return names
}

// lossyTimes is how much longer a stream runs where one round trip is a good part of a run.
const lossyTimes = 4

// warmUp is how long a stream runs before it counts.
const warmUp = 300 * time.Millisecond

// account is the processor time of a site's programs at one moment.
type account struct{ ends, relays time.Duration }

func accounts(s *peer.Site) (account, error) {
	var a account
	for _, p := range s.Procs {
		used, err := meter.CPU(p.PID())
		if err != nil {
			return a, err
		}
		if p.Relay {
			a.relays += used
		} else {
			a.ends += used
		}
	}
	return a, nil
}

// window counts something and the processor time that it takes, while f lasts.
func window(s *peer.Site, count func() int64, f func()) (done int64, took time.Duration,
	used account, err error,
) {
	before, err := accounts(s)
	if err != nil {
		return 0, 0, used, err
	}
	first, begin := count(), time.Now()
	f()
	done, took = count()-first, time.Since(begin)
	after, err := accounts(s)
	used = account{ends: after.ends - before.ends, relays: after.relays - before.relays}
	if err == nil && done <= 0 {
		err = errors.New("nothing arrived")
	}
	return done, took, used, err
}

// per divides the processor time by what was carried, in seconds per unit. Where no program runs
// there is nothing to say.
func per(s *peer.Site, values map[string]float64, used account, units float64) {
	if len(s.Procs) == 0 {
		return
	}
	values[figure.Ends] = used.ends.Seconds() / units
	if len(s.Hosts) > 2 {
		values[figure.Relays] = used.relays.Seconds() / units
	}
}

func streams(n int) func(context.Context, *bench, *peer.Site) (map[string]float64, error) {
	return func(ctx context.Context, b *bench, s *peer.Site) (map[string]float64, error) {
		stream, err := load.OpenStream(ctx, s.Path, n)
		if err != nil {
			return nil, err
		}
		defer stream.Close()
		time.Sleep(warmUp)
		d := b.seconds
		if s.Line.Lossy {
			d *= lossyTimes
		}
		bytes, took, used, err := window(s, stream.Received, func() { time.Sleep(d) })
		if err != nil {
			return nil, err
		}
		values := map[string]float64{figure.Gbps: float64(bytes) * 8 / took.Seconds() / 1e9}
		per(s, values, used, float64(bytes)/1e9)
		return values, nil
	}
}

// drainTime is how long the last datagrams of a flood may be on their way.
const drainTime = 100 * time.Millisecond

// flood offers many datagrams, then as many as there can be, and keeps the better of both.
func flood(size int) func(context.Context, *bench, *peer.Site) (map[string]float64, error) {
	return func(ctx context.Context, b *bench, s *peer.Site) (map[string]float64, error) {
		f, err := load.OpenFlood(ctx, s.Path, size, 1)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		best := map[string]float64{}
		for _, rate := range []int{100_000, 0} {
			values, err := offer(s, f, rate, b.seconds/2)
			if err != nil {
				return nil, err
			}
			if values[figure.Packets] > best[figure.Packets] {
				best = values
			}
		}
		return best, nil
	}
}

// offer sends a flood at a rate and returns what arrives of it a second, and its price.
func offer(s *peer.Site, f *load.Flood, rate int, d time.Duration) (map[string]float64, error) {
	var sent int
	var failed error
	begin := time.Now()
	var lasted time.Duration
	n, _, used, err := window(s, f.Received, func() {
		sent, failed = f.Send(rate, d)
		lasted = time.Since(begin)
		time.Sleep(drainTime)
	})
	if err = errors.Join(err, failed); err != nil {
		return nil, err
	}
	values := map[string]float64{
		figure.Packets: float64(n) / lasted.Seconds(),
		figure.Lost:    max(0, 1-float64(n)/float64(max(sent, 1))),
	}
	per(s, values, used, float64(n)/1e6) // seconds per million are microseconds each
	return values, nil
}

// pacedRate is how many datagrams a second every peer carries without losing many.
const pacedRate = 20_000

func paced(size int) func(context.Context, *bench, *peer.Site) (map[string]float64, error) {
	return func(ctx context.Context, b *bench, s *peer.Site) (map[string]float64, error) {
		f, err := load.OpenFlood(ctx, s.Path, size, 1)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if _, err := f.Send(pacedRate, drainTime); err != nil {
			return nil, err
		}
		return offer(s, f, pacedRate, b.seconds)
	}
}

func roundTrip(ctx context.Context, b *bench, s *peer.Site) (map[string]float64, error) {
	micro, err := load.RoundTrips(ctx, s.Path, b.seconds)
	if err != nil {
		return nil, err
	}
	return map[string]float64{
		figure.Median: figure.Quantile(micro, 0.5), figure.P99: figure.Quantile(micro, 0.99),
	}, nil
}

func memory(s *peer.Site, values map[string]float64, name string, peak bool) error {
	for _, p := range s.Procs {
		now, most, err := meter.Memory(p.PID())
		if err != nil {
			return err
		}
		key := name
		if p.Relay {
			key += figure.OfRelay
		}
		if peak {
			now = most
		}
		values[key] = max(values[key], float64(now)/(1<<20))
	}
	return nil
}

func memoryIdle(_ context.Context, _ *bench, s *peer.Site) (map[string]float64, error) {
	values := map[string]float64{}
	return values, memory(s, values, figure.Resident, false)
}

func memoryPeak(_ context.Context, _ *bench, s *peer.Site) (map[string]float64, error) {
	values := map[string]float64{}
	return values, memory(s, values, figure.Peak, true)
}
