// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"staex/bench/figure"
	"staex/bench/load"
	"staex/bench/meter"
	"staex/bench/peer"
	"staex/test/world"
)

// etherHeader is what an interface counts in front of each packet of IP.
const etherHeader = 14

// calmTime is how long a network may go on about what it was asked last: to learn what changed, to
// collect garbage, to give memory back.
const calmTime = 45 * time.Second

// idle watches all peers of a line while nobody wants anything of them.
func idle(ctx context.Context, b *bench, st *stand) []figure.Run {
	type reading struct {
		counters world.Counters
		used     []time.Duration
		wakes    []int64
	}
	read := func(s *peer.Site) (r reading, err error) {
		failed := s.Try(func() {
			iface, _ := s.Underlay()
			r.counters = s.Hosts[0].Counters(iface)
		})
		for _, p := range s.Procs {
			used, err := meter.CPU(p.PID())
			wakes, err2 := meter.Wakes(p.PID())
			failed = errors.Join(failed, err, err2)
			r.used, r.wakes = append(r.used, used), append(r.wakes, wakes)
		}
		return r, failed
	}
	before := make([]reading, len(st.sites))
	failures := make([]error, len(st.sites))
	fmt.Printf("%-7s all idle for %v\n", st.line.Name, b.idle)
	time.Sleep(time.Until(st.asked.Add(calmTime)))
	for i, s := range st.sites {
		before[i], failures[i] = read(s)
	}
	begin := time.Now()
	select {
	case <-time.After(b.idle):
	case <-ctx.Done():
		return nil
	}
	var runs []figure.Run
	for i, s := range st.sites {
		after, err := read(s)
		took := time.Since(begin)
		r := figure.Run{Line: st.line.Name, Peer: s.Peer.Name, Test: "idle"}
		if err = errors.Join(failures[i], err); err != nil {
			r.Error = err.Error()
			runs = append(runs, r)
			continue
		}
		d := after.counters.Sub(before[i].counters)
		bytes := d.SentBytes + d.ReceivedBytes -
			etherHeader*(d.SentPackets+d.ReceivedPackets)
		r.Values = map[string]float64{figure.Idle: float64(bytes) / 1024 / took.Hours()}
		if len(s.Procs) > 0 {
			var most time.Duration // of the two ends
			var wakes int64
			for k, used := range after.used {
				most = max(most, used-before[i].used[k])
				wakes = max(wakes, after.wakes[k]-before[i].wakes[k])
			}
			r.Values[figure.IdleCPU] = most.Seconds() * 1000 / took.Minutes()
			r.Values[figure.Wakes] = float64(wakes) / took.Minutes()
		}
		runs = append(runs, r)
	}
	return runs
}

// size is that of the peer's program, without the libraries that it may want.
func size(_ context.Context, _ *bench, s *peer.Site) (map[string]float64, error) {
	name := s.Peer.Program()
	if name == "" {
		return map[string]float64{}, nil
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	return map[string]float64{figure.Size: float64(info.Size()) / 1e6}, nil
}

const (
	// firstGap is the time between the questions to a network that is starting.
	firstGap = 2 * time.Millisecond
	// firstTime is how long it may take to answer.
	firstTime = 10 * time.Second
)

// start ends the program of the first host and starts it again: the time from the start of the
// program to the first answer from the last host, which went on running.
func start(ctx context.Context, _ *bench, s *peer.Site) (map[string]float64, error) {
	if s.Again == nil {
		return map[string]float64{}, nil
	}
	var first time.Duration
	var failed error
	err := s.Try(func() {
		old := -1
		for i, p := range s.Procs {
			if p.First {
				old = i
			}
		}
		s.Procs[old].Stop()
		fresh, release := s.Again()
		s.Procs[old] = fresh
		begin := time.Now()
		released := make(chan error, 1)
		go func() { released <- s.Try(release) }()
		failed = firstAnswer(ctx, s.Path, begin)
		first = time.Since(begin)
		failed = errors.Join(failed, <-released)
	})
	if err = errors.Join(err, failed); err != nil {
		return nil, err
	}
	return map[string]float64{figure.Start: float64(first.Microseconds()) / 1000}, nil
}

// firstAnswer asks until somebody answers, with a new socket where the old one has no way out.
func firstAnswer(ctx context.Context, p load.Path, begin time.Time) error {
	for time.Since(begin) < firstTime {
		e, err := load.OpenEcho(ctx, p)
		if err != nil {
			time.Sleep(firstGap) // there is no way out yet
			continue
		}
		err = e.First(firstTime-time.Since(begin), firstGap)
		e.Close()
		return err
	}
	return fmt.Errorf("no answer within %v", firstTime)
}
