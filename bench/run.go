// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"staex/bench/figure"
	"staex/bench/meter"
	"staex/bench/peer"
	"staex/test/world"
)

// lines are the chains on which the peers run, each with its tests.
func lines() []peer.Line {
	return []peer.Line{
		{Name: "direct", About: "two nodes and a cable between them"},
		{Name: "relay", About: "one node in between", Relays: 1},
		{Name: "relays", About: "four nodes in between", Relays: 4},
		{Name: "plain", About: "two nodes, a cable without segmentation offload", Plain: true},
	}
}

func lineNames() []string {
	var names []string
	for _, l := range lines() {
		names = append(names, l.Name)
	}
	return names
}

// bench is one start of the program.
type bench struct {
	options
	report  figure.Report
	foreign *meter.Foreign
	// sites are the peers that stand on the present line.
	sites []*peer.Site
}

func newBench(o options) (*bench, error) {
	foreign, err := meter.NewForeign(world.Machine())
	if err != nil {
		return nil, err
	}
	b := &bench{options: o, foreign: foreign}
	b.report = figure.Report{
		Date: time.Now().UTC(), Rounds: o.rounds, Seconds: o.seconds.Seconds(),
		Peers: map[string]string{}, Commit: os.Getenv("BENCH_COMMIT"),
		Go: os.Getenv("BENCH_GO"),
	}
	b.report.Machine, b.report.Kernel = machine()
	if o.missing == "" {
		return b, nil
	}
	text, err := os.ReadFile(o.missing)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		name, reason, _ := strings.Cut(strings.TrimSpace(line), "\t")
		b.report.Missing = append(b.report.Missing, figure.Missing{Wanted: name, Reason: reason})
	}
	return b, nil
}

// machine describes processors and kernel.
func machine() (processors, kernel string) {
	model, count := "unknown", 0
	text, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.Lines(string(text)) {
			key, value, _ := strings.Cut(line, ":")
			switch strings.TrimSpace(key) {
			case "processor":
				count++
			case "model name":
				model = strings.TrimSpace(value)
			}
		}
	}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		kernel = unix.ByteSliceToString(name.Release[:])
	}
	return fmt.Sprintf("%d × %s", count, model), kernel
}

// wanted says whether a list of choices holds a name; an empty list holds every name.
func wanted(choices []string, name string) bool {
	return len(choices) == 0 || slices.Contains(choices, name)
}

func (b *bench) run(ctx context.Context) error {
	for _, line := range lines() {
		if !wanted(b.lines, line.Name) {
			continue
		}
		todo := slices.DeleteFunc(testsOf(line), func(t test) bool {
			return !wanted(b.tests, t.name)
		})
		if len(todo) == 0 {
			continue
		}
		fmt.Printf("%s: %s\n", line.Name, line.About)
		b.up(ctx, line)
		for _, t := range todo {
			b.turns(ctx, line, t)
		}
		b.down()
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// up starts every peer on a line.
func (b *bench) up(ctx context.Context, line peer.Line) {
	for _, p := range peer.All() {
		if !wanted(b.peers, p.Name) || ctx.Err() != nil {
			continue
		}
		s, err := peer.Up(ctx, p, line)
		if err != nil {
			b.miss(p.Name+", "+line.Name, err)
			continue
		}
		b.report.Peers[p.Name] = p.About
		b.sites = append(b.sites, s)
	}
}

func (b *bench) down() {
	for _, s := range b.sites {
		s.Down()
	}
	b.sites = nil
}

// turns lets the peers take turns at a test, every second round backwards: what slowly changes on
// the machine then favours nobody.
func (b *bench) turns(ctx context.Context, line peer.Line, t test) {
	rounds := b.rounds
	if t.rounds > 0 {
		rounds = min(rounds, t.rounds)
	}
	for round := range rounds {
		sites := slices.Clone(b.sites)
		if round%2 == 1 {
			slices.Reverse(sites)
		}
		for _, s := range sites {
			if ctx.Err() != nil {
				return
			}
			b.measure(ctx, s, figure.Run{
				Round: round, Line: line.Name, Peer: s.Peer.Name, Test: t.name,
			}, t)
		}
	}
}

// measure makes one run.
func (b *bench) measure(ctx context.Context, s *peer.Site, r figure.Run, t test) {
	b.waitForQuiet()
	values, err := t.run(ctx, b, s)
	foreign, failed := b.foreign.Since()
	if err == nil {
		err = failed
	}
	r.Values, r.Foreign = values, foreign
	if err != nil {
		r.Values, r.Error = nil, err.Error()
	}
	b.report.Runs = append(b.report.Runs, r)
	fmt.Printf("%-7s %d %-8s %-13s foreign %.2f  %s%s\n", r.Line, r.Round, r.Test, r.Peer,
		r.Foreign, figure.Show(r.Values), r.Error)
}

// waitForQuiet waits until others use little of the machine, as long as there is patience left.
func (b *bench) waitForQuiet() {
	const look = 150 * time.Millisecond
	for {
		_, err := b.foreign.Since()
		time.Sleep(look)
		foreign, failed := b.foreign.Since()
		if err != nil || failed != nil || foreign <= figure.QuietMax || b.patience <= 0 {
			return
		}
		b.patience -= look
	}
}
