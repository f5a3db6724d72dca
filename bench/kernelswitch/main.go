// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command kernelswitch measures what it would gain to switch the labels of a relay in the kernel.
// It is the experiment of docs/adr/0017: `make bench-label` runs it as root in network namespaces.
// Real daemons run on both ends and at the relay; the relay's rows are read off its cables, put
// into a table of the kernel, and traffic takes turns between
//
//	none    no relay: the same two ends with a cable between them
//	user    the relay as it ships
//	kernel  the relay, with a program at its interfaces that takes the plain frames
//
// Then the ends are ended and a generator and a sink take their places, so that what costs is
// little but the relay. It is no part of the product and in none of its programs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"staex/bench/figure"
	"staex/bench/load"
	"staex/bench/meter"
	"staex/bench/peer"
	"staex/test/world"
)

// firstAddress is where the first host of every chain lives.
var firstAddress = netip.AddrFrom4([4]byte{10, 20, 0, 1})

type bench struct {
	rounds   int
	seconds  time.Duration
	patience time.Duration // left for waiting until others are quiet
	plain    bool
	foreign  *meter.Foreign
	runs     []figure.Run
}

func main() {
	b := &bench{}
	flag.IntVar(&b.rounds, "rounds", 5, "how often each measurement is repeated")
	flag.DurationVar(&b.seconds, "seconds", 800*time.Millisecond, "length of a timed run")
	flag.DurationVar(&b.patience, "patience", time.Minute, "time spent on waiting for quiet")
	flag.BoolVar(&b.plain, "plain", false, "cables without segmentation offload, as most cards are")
	flag.Parse()
	if err := b.begin(); err != nil {
		fmt.Fprintln(os.Stderr, "kernelswitch:", err)
		os.Exit(1)
	}
}

func (b *bench) begin() error {
	if err := ready(); err != nil {
		return err
	}
	if err := world.Enter(); err != nil {
		return err
	}
	if err := world.TUN(); err != nil {
		return err
	}
	var err error
	if b.foreign, err = meter.NewForeign(world.Machine()); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err = b.tunnels(ctx)
	b.report(os.Stdout)
	return err
}

// up starts our own network with so many relays and waits until it carries answers.
func (b *bench) up(ctx context.Context, relays int) (*peer.Site, error) {
	all := peer.All()
	i := slices.IndexFunc(all, func(p peer.Peer) bool { return p.Name == "staex" })
	s, err := peer.Up(all[i], peer.Line{
		Name: fmt.Sprint(relays), Relays: relays, Plain: b.plain,
	})
	if err != nil {
		return nil, err
	}
	if err := s.Ready(ctx); err != nil {
		s.Down()
		return nil, err
	}
	return s, nil
}

// questions makes traffic both ways through a tunnel, for learn.
func questions(ctx context.Context, s *peer.Site) error {
	e, err := load.OpenEcho(ctx, s.Path)
	if err != nil {
		return err
	}
	defer e.Close()
	_, err = e.Ask(20, time.Millisecond, time.Second)
	return err
}

// tunnels measures through real ends, then with a generator in their places.
func (b *bench) tunnels(ctx context.Context) error {
	direct, err := b.up(ctx, 0)
	if err != nil {
		return err
	}
	defer direct.Down()
	over, err := b.up(ctx, 1)
	if err != nil {
		return err
	}
	defer over.Down()
	rows, err := learn(over, func() error { return questions(ctx, over) })
	if err != nil {
		return err
	}
	t, err := NewTable()
	if err != nil {
		return err
	}
	defer t.Close()
	stats, err := CountTime()
	if err != nil {
		return err
	}
	defer stats.Close()
	for _, r := range rows {
		fmt.Printf("row %06x from %v at %v → %06x from %v to %v\n",
			r.Label, r.From, r.At, r.Next, r.Out, r.To)
		if err := t.Set(r); err != nil {
			return err
		}
	}
	ways := []way{
		{name: "none", site: direct},
		{name: "user", site: over},
		{name: "kernel", site: over, table: t},
	}
	for _, x := range tunnelTests() {
		err = errors.Join(err, b.turns(ctx, x.name, ways, func(w way) (map[string]float64, error) {
			return b.measure(ctx, x, w)
		}))
	}
	err = errors.Join(err, b.turns(ctx, "rtt", ways, func(w way) (map[string]float64, error) {
		return b.roundTrip(ctx, w)
	}))
	return errors.Join(err, b.generated(ctx, ways, rows))
}

// generated ends the ends of the tunnels and lets a generator and a sink take their places. The
// relay does not know, and it gives up neighbours that do not answer: there is little time.
func (b *bench) generated(ctx context.Context, ways []way, rows []Row) error {
	for _, w := range ways {
		for _, p := range w.site.Procs {
			if !p.Relay {
				p.Kill()
			}
		}
	}
	i := slices.IndexFunc(rows, func(r Row) bool { return r.From.Addr() == firstAddress })
	if i < 0 {
		return errors.New("no row leads from the first host")
	}
	var failed error
	for _, x := range generatedTests(rows[i]) {
		err := b.turns(ctx, x.name, ways, func(w way) (map[string]float64, error) {
			return b.measure(ctx, x, w)
		})
		failed = errors.Join(failed, err)
	}
	return failed
}

// turns lets the ways take turns, every second round backwards.
func (b *bench) turns(ctx context.Context, name string, ways []way,
	f func(way) (map[string]float64, error),
) error {
	for round := range b.rounds {
		order := slices.Clone(ways)
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, w := range order {
			if err := b.turn(ctx, figure.Run{Round: round, Peer: w.name, Test: name},
				func() (map[string]float64, error) { return f(w) }); err != nil {
				return fmt.Errorf("%s, %s: %w", name, w.name, err)
			}
		}
	}
	return nil
}

// turn makes one run, when the machine is quiet or patience has ended.
func (b *bench) turn(ctx context.Context, r figure.Run, f func() (map[string]float64, error),
) (err error) {
	const look = 150 * time.Millisecond
	for {
		if err := errors.Join(ctx.Err(), b.since(&r.Foreign)); err != nil {
			return err
		}
		time.Sleep(look)
		if err := b.since(&r.Foreign); err != nil {
			return err
		}
		if r.Foreign <= figure.QuietMax || b.patience <= 0 {
			break
		}
		b.patience -= look
	}
	if r.Values, err = f(); err != nil {
		return err
	}
	err = b.since(&r.Foreign)
	b.runs = append(b.runs, r)
	fmt.Printf("%d %-8s %-7s foreign %.2f %v\n", r.Round, r.Test, r.Peer, r.Foreign, r.Values)
	return err
}

// since sets how many cores others kept busy since it was asked last.
func (b *bench) since(cores *float64) (err error) {
	*cores, err = b.foreign.Since()
	return err
}
