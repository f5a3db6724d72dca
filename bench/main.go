// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command bench measures this network beside others, all in one run on one machine: it builds a
// lab of network namespaces, lets the peers take turns and writes down medians and ratios. It is
// for `make bench-peers`, which builds and installs what it needs, and it never touches anything
// outside the namespaces but the files it is told to write.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"staex/bench/report"
	"staex/test/world"
)

// options are what the person who starts the bench chooses.
type options struct {
	rounds   int
	seconds  time.Duration
	idle     time.Duration
	patience time.Duration
	peers    []string
	tests    []string
	lines    []string
	missing  string
	out      string
	docs     string
}

func main() {
	o := options{}
	flag.IntVar(&o.rounds, "rounds", 5, "how often each measurement is repeated")
	flag.DurationVar(&o.seconds, "seconds", 800*time.Millisecond, "length of a timed run")
	flag.DurationVar(&o.idle, "idle", time.Minute, "how long idle networks are watched")
	flag.DurationVar(&o.patience, "patience", 20*time.Second, "time spent on waiting for quiet")
	peers := flag.String("peers", "", "only these, by name, with commas")
	tests := flag.String("tests", "", "only these: "+strings.Join(testNames(), " "))
	lines := flag.String("lines", "", "only these: "+strings.Join(lineNames(), " "))
	flag.StringVar(&o.missing, "missing", "", "file of what could not be had: NAME<tab>REASON")
	flag.StringVar(&o.out, "out", "dist/bench", "folder of the results")
	flag.StringVar(&o.docs, "docs", "", "make this page from the newest results, measure nothing")
	flag.Parse()
	o.peers, o.tests, o.lines = list(*peers), list(*tests), list(*lines)
	if err := begin(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// list cuts a text at commas and spaces.
func list(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

func begin(o options) error {
	if o.docs != "" {
		return report.Page(o.docs, o.out)
	}
	if err := world.Enter(); err != nil {
		return err
	}
	if err := world.TUN(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b, err := newBench(o)
	if err != nil {
		return err
	}
	failed := b.run(ctx)
	b.report.Took = time.Since(b.report.Date).Seconds()
	if len(b.report.Runs) == 0 {
		return errors.Join(failed, errors.New("nothing was measured"))
	}
	fmt.Println()
	report.Text(os.Stdout, &b.report)
	name, err := report.Write(o.out, &b.report)
	if err == nil {
		fmt.Println("\nresults:", name)
	}
	return errors.Join(failed, err)
}
