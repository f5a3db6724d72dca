// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"staex/bench/figure"
	"staex/bench/link"
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
		{
			Name: "lossy", About: "two nodes, 25 ms and 0.5 % loss each way: 50 ms, 1 %",
			Lossy: true, Way: link.Way{Delay: 25 * time.Millisecond, Loss: 0.005, Seed: 1},
		},
		{
			Name: "board", Board: true,
			About: "two nodes, each kept to one processor by its affinity and to 64 MiB by a " +
				"control group, with GOMAXPROCS=1 and GOMEMLIMIT=64MiB; ours with profile = small",
		},
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
}

// stand is a line with the peers that run on it and the tests that they face.
type stand struct {
	line  peer.Line
	tests []test
	sites []*peer.Site
	asked time.Time // when its networks have carried their first answers
}

func newBench(o options) (*bench, error) {
	foreign, err := meter.NewForeign(world.Machine())
	if err != nil {
		return nil, err
	}
	b := &bench{options: o, foreign: foreign}
	b.report = figure.Report{
		Date: time.Now().UTC(), Rounds: o.rounds, Seconds: o.seconds.Seconds(),
		Peers: map[string]string{}, Lines: map[string]string{}, Commit: os.Getenv("BENCH_COMMIT"),
		Go: os.Getenv("BENCH_GO"),
	}
	b.report.Machine, b.report.Kernel = machine()
	if err := peer.Bounded(); err != nil {
		b.report.Missing = append(b.report.Missing, figure.Missing{
			Wanted: "board, its 64 MiB", Reason: figure.Reason(err.Error()),
		})
	}
	if o.missing == "" {
		return b, nil
	}
	text, err := os.ReadFile(o.missing)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		name, reason, _ := strings.Cut(strings.TrimSpace(line), "\t")
		b.report.Missing = append(b.report.Missing, figure.Missing{
			Wanted: name, Reason: figure.Reason(reason),
		})
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

// run starts everything, so that all have settled when the first is measured, and measures line
// by line. Nobody who waits for his turn uses the machine.
func (b *bench) run(ctx context.Context) error {
	var stands []*stand
	defer func() {
		for _, st := range stands {
			b.down(st)
		}
	}()
	for _, line := range lines() {
		st := &stand{line: line, tests: slices.DeleteFunc(testsOf(line), func(t test) bool {
			return !wanted(b.tests, t.name)
		})}
		if !wanted(b.lines, line.Name) || len(st.tests) == 0 {
			continue
		}
		fmt.Printf("%s: %s\n", line.Name, line.About)
		b.up(ctx, st)
		stands = append(stands, st)
		if len(stands) == 1 {
			b.ready(ctx, st) // while the others are set up it comes to rest
		}
	}
	for i, st := range stands {
		if i > 0 {
			b.ready(ctx, st)
		}
		for _, t := range st.tests {
			b.turns(ctx, st, t)
		}
		b.down(st)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// up starts every peer on a line.
func (b *bench) up(ctx context.Context, st *stand) {
	for _, p := range peer.All() {
		if !wanted(b.peers, p.Name) || ctx.Err() != nil {
			continue
		}
		s, err := peer.Up(p, st.line)
		if errors.Is(err, peer.ErrNotMade) {
			continue // what it is says so
		}
		if err != nil {
			b.miss(p.Name, st.line, err)
			continue
		}
		b.report.Peers[p.Name], b.report.Lines[st.line.Name] = p.About, st.line.About
		st.sites = append(st.sites, s)
	}
}

// ready waits for the answers of every peer of a line and goes on without who does not give any.
func (b *bench) ready(ctx context.Context, st *stand) {
	st.sites = slices.DeleteFunc(st.sites, func(s *peer.Site) bool {
		err := s.Ready(ctx)
		if err != nil {
			b.miss(s.Peer.Name, st.line, err)
			s.Down()
		}
		return err != nil
	})
	st.asked = time.Now()
}

// miss notes that a peer could not be had on a line, once for all lines if the reason is the same.
func (b *bench) miss(name string, line peer.Line, why error) {
	reason := figure.Reason(why.Error())
	fmt.Printf("not measured: %s, %s: %s\n", name, line.Name, why)
	for i, m := range b.report.Missing {
		if strings.HasPrefix(m.Wanted, name+", ") && m.Reason == reason {
			b.report.Missing[i].Wanted += " " + line.Name
			return
		}
	}
	b.report.Missing = append(b.report.Missing,
		figure.Missing{Wanted: name + ", " + line.Name, Reason: reason})
}

func (b *bench) down(st *stand) {
	for _, s := range st.sites {
		s.Down()
	}
	st.sites = nil
}

// fewRounds are enough for what decides no goal.
const fewRounds = 2

// turns lets the peers take turns at a test, every second round backwards: what slowly changes on
// the machine then favours nobody.
func (b *bench) turns(ctx context.Context, st *stand, t test) {
	if t.together != nil {
		for _, r := range t.together(ctx, b, st) {
			b.note(r)
		}
		return
	}
	if t.counts {
		b.atOnce(ctx, st, t)
		return
	}
	failed := map[*peer.Site]bool{} // at this test
	for round := range b.roundsMost(t) {
		sites := slices.DeleteFunc(slices.Clone(st.sites), func(s *peer.Site) bool {
			return round >= fewRounds && !figure.Decides(st.line.Name, t.name, s.Peer.Name)
		})
		if round%2 == 1 {
			slices.Reverse(sites)
		}
		for _, s := range sites {
			if ctx.Err() != nil {
				return
			}
			if failed[s] || (s.Peer.BulkOnly && !t.bulk) {
				continue // it would again, and take its time
			}
			failed[s] = !b.measure(ctx, s, figure.Run{
				Round: round, Line: st.line.Name, Peer: s.Peer.Name, Test: t.name,
			}, t)
		}
	}
}

// roundsMost is how often a test is made where it decides a goal.
func (b *bench) roundsMost(t test) int {
	if t.once {
		return 1
	}
	return b.rounds * max(1, t.times)
}

// atOnce measures all peers of a line side by side, once.
func (b *bench) atOnce(ctx context.Context, st *stand, t test) {
	runs := make([]figure.Run, len(st.sites))
	var wait sync.WaitGroup
	for i, s := range st.sites {
		if s.Peer.BulkOnly && !t.bulk {
			continue
		}
		wait.Go(func() {
			values, err := t.run(ctx, b, s)
			runs[i] = figure.Run{
				Line: st.line.Name, Peer: s.Peer.Name, Test: t.name, Values: values,
			}
			if err != nil {
				runs[i].Values, runs[i].Error = nil, err.Error()
			}
		})
	}
	wait.Wait()
	for _, r := range runs {
		if r.Peer != "" {
			b.note(r)
		}
	}
}

// note keeps a run and says what came out of it.
func (b *bench) note(r figure.Run) {
	b.report.Runs = append(b.report.Runs, r)
	fmt.Printf("%-7s %2d %-9s %-13s foreign %.2f  %s%s\n", r.Line, r.Round, r.Test, r.Peer,
		r.Foreign, figure.Show(r.Values), r.Error)
}

// measure makes one run and says whether it succeeded.
func (b *bench) measure(ctx context.Context, s *peer.Site, r figure.Run, t test) bool {
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
	b.note(r)
	return err == nil
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
