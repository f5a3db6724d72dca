// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"time"

	"staex/bench/figure"
	"staex/bench/load"
	"staex/bench/meter"
	"staex/bench/peer"
)

// The names of what is measured.
const (
	rate  = "rate"  // Gbit/s, or packets a second
	all   = "all"   // processor time of everything that runs here, and of the kernel's threads
	relay = "relay" // of it: the relay's process
	code  = "code"  // of it: the program in the kernel, without what it hands the packet to
	batch = "batch" // datagrams that the program takes at a time
	half  = "half"  // round trip, median, µs
)

// way is who switches the labels.
type way struct {
	name  string
	site  *peer.Site
	table *Table // nil: nobody, or user space
}

// begin puts the program in front of the relay, if that is the way.
func (w way) begin() (end func() error, err error) {
	if w.table == nil {
		return func() error { return nil }, nil
	}
	if err := attach(w.site, w.table); err != nil {
		return nil, errors.Join(err, w.table.Detach())
	}
	return w.table.Detach, nil
}

// test is one kind of traffic.
type test struct {
	name string
	unit float64 // processor time is given in seconds for so many of what is counted
	// open prepares the traffic and returns what counts it and what makes it.
	open func(ctx context.Context, w way) (traffic, error)
}

// traffic is what runs during a measurement.
type traffic struct {
	count func() int64
	run   func(d time.Duration) error
	close func()
}

// Units of processor time: seconds for a gigabyte, seconds for a million packets.
const (
	gigabyte = 1e9
	million  = 1e6
)

// warmUp is how long traffic runs before it counts, and drain how long its end may be on its way.
const warmUp, drain = 300 * time.Millisecond, 50 * time.Millisecond

// tunnelTests run through the real ends of a tunnel.
func tunnelTests() []test {
	return []test{
		{name: "tcp", unit: gigabyte, open: openStream},
		{name: "udp64", unit: million, open: openFlood(64, 0)},
		{name: "paced64", unit: million, open: openFlood(64, 20_000)},
	}
}

func openStream(ctx context.Context, w way) (traffic, error) {
	s, err := load.OpenStream(ctx, w.site.Path, 1)
	if err != nil {
		return traffic{}, err
	}
	return traffic{count: s.Received, close: s.Close, run: sleep}, nil
}

// fullFrame is a large frame, in bytes. A relay believes any link to carry it, also one whose far
// end does not answer its size probes any more.
const fullFrame = 1200

// generatedTests run between a generator and a sink. The one fills super-packets, as an end does
// under load; a frame of 64 bytes carries about 40 of a tunnel's.
func generatedTests(row Row) []test {
	return []test{
		{name: "full", unit: gigabyte, open: openEnds(row, fullFrame, sendMax/fullFrame)},
		{name: "large", unit: gigabyte, open: openEnds(row, fullFrame, 1)},
		{name: "eights", unit: million, open: openEnds(row, 64, 8)},
		{name: "singly", unit: million, open: openEnds(row, 64, 1)},
	}
}

func openEnds(row Row, size, together int) func(context.Context, way) (traffic, error) {
	return func(_ context.Context, w way) (traffic, error) {
		hosts := w.site.Hosts
		last := len(hosts) - 1
		to, sink := row.At, row.To
		if last == 1 { // nobody stands between
			sink = to
		}
		e, err := OpenEnds(hosts[0], hosts[last], row.From, sink)
		if err != nil {
			return traffic{}, err
		}
		count := e.frames.Load
		if size >= fullFrame {
			count = e.bytes.Load
		}
		run := func(d time.Duration) error { return e.Send(to, row.Label, size, together, d) }
		return traffic{count: count, close: e.Close, run: run}, nil
	}
}

func sleep(d time.Duration) error {
	time.Sleep(d)
	return nil
}

func openFlood(size, rate int) func(context.Context, way) (traffic, error) {
	return func(ctx context.Context, w way) (traffic, error) {
		f, err := load.OpenFlood(ctx, w.site.Path, size, 1)
		if err != nil {
			return traffic{}, err
		}
		run := func(d time.Duration) error {
			_, err := f.Send(rate, d)
			return err
		}
		return traffic{count: f.Received, close: f.Close, run: run}, nil
	}
}

// measure runs a test once.
func (b *bench) measure(ctx context.Context, t test, w way) (v map[string]float64, err error) {
	end, err := w.begin()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, end()) }()
	tr, err := t.open(ctx, w)
	if err != nil {
		return nil, err
	}
	defer tr.close()
	if err := tr.run(warmUp); err != nil {
		return nil, err
	}
	var before, after reading
	if before, err = b.read(w, tr); err != nil {
		return nil, err
	}
	begin := time.Now()
	err = tr.run(b.seconds)
	took := time.Since(begin)
	time.Sleep(drain)
	after, failed := b.read(w, tr)
	if err = errors.Join(err, failed); err != nil {
		return nil, err
	}
	return after.values(before, took, t.unit)
}

// reading is what stands in all counters at one moment.
type reading struct {
	over       bool // a relay
	kernel     bool // which has a table
	done       int64
	all, relay time.Duration
	code       time.Duration
	uses       Use
}

func (b *bench) read(w way, tr traffic) (r reading, err error) {
	r.done, r.kernel = tr.count(), w.table != nil
	if r.all, err = b.foreign.Ours(); err != nil {
		return r, err
	}
	for _, p := range w.site.Procs {
		if p.Relay {
			r.over = true
			if r.relay, err = meter.CPU(p.PID()); err != nil {
				return r, err
			}
		}
	}
	if r.kernel {
		if r.code, err = w.table.Took(); err != nil {
			return r, err
		}
		r.uses, err = w.table.Uses()
	}
	return r, err
}

// values are what happened between two readings.
func (r reading) values(before reading, took time.Duration, unit float64,
) (map[string]float64, error) {
	done := float64(r.done - before.done)
	if done <= 0 {
		return nil, errors.New("nothing arrived")
	}
	v := map[string]float64{
		rate: done / took.Seconds(),
		all:  (r.all - before.all).Seconds() * unit / done,
	}
	if unit == gigabyte {
		v[rate] *= 8 / 1e9
	}
	if r.over {
		v[relay] = (r.relay - before.relay).Seconds() * unit / done
	}
	if !r.kernel {
		return v, nil
	}
	frames := float64(r.uses.Frames - before.uses.Frames)
	if frames == 0 {
		return nil, errors.New("the kernel switched no label: the rows are not the relay's")
	}
	v[batch] = frames / float64(r.uses.Packets-before.uses.Packets)
	v[code] = (r.code - before.code).Seconds() * unit / done
	return v, nil
}

// roundTrip asks through a tunnel and returns the median of how long the answers took.
func (b *bench) roundTrip(ctx context.Context, w way) (v map[string]float64, err error) {
	end, err := w.begin()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, end()) }()
	micro, err := load.RoundTrips(ctx, w.site.Path, b.seconds)
	if err != nil {
		return nil, err
	}
	return map[string]float64{half: figure.Quantile(micro, 0.5)}, nil
}
