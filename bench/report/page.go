// SPDX-License-Identifier: Apache-2.0

package report

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"staex/bench/figure"
)

// Page makes the page of the documentation from all results of a folder. What several of them have
// measured is shown as the newest has found it.
func Page(page, dir string) error {
	all, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return errors.New("no results in " + dir)
	}
	slices.Sort(all) // their names are their dates
	r := &figure.Report{}
	for _, name := range all {
		next, err := Read(name)
		if err != nil {
			return err
		}
		r = r.Renewed(next)
	}
	newest := all[len(all)-1]
	raw, err := filepath.Rel(filepath.Dir(page), dir)
	if err != nil {
		return err
	}
	picture := filepath.Join(filepath.Dir(newest), "medians.svg")
	if err := os.WriteFile(picture, []byte(Picture(r)), 0o644); err != nil {
		return err
	}
	return os.WriteFile(page, []byte(markdown(r, raw)), 0o644)
}

const head = `# Benchmarks

<!-- Made by "scripts/bench-peers docs" from the raw data; do not edit. -->

This network beside others on one machine, each table measured in one run:
%s, Linux %s, %s, %s, %s, %.0f minutes in all.
Every program shares the processors with whoever makes the traffic:
**compare the columns of one table, never two runs**.
Meanwhile others kept %.2f cores busy in the median (%.2f–%.2f): the figures themselves are those of
a machine that has other things to do.
Raw data: [%s](%s). Repeat it with ` + "`make bench-peers`" + `.

A cell is the median with the smallest and the largest value in parentheses. Throughput and times
count the runs during which others kept at most %.2f cores busy, or the two least disturbed;
processor time counts every run. A ratio to %s pairs the runs of one round.
Processor time is that of the network's own programs, with what the kernel does in their name.
What decides a goal is measured in every round and its start twice as often, everything else twice.
A queue before a relay is made by stopping the relay until bursts have filled its socket; what being
stopped and waking up costs it, known from rounds without a burst, is taken off.

`

// toWall is how the page marks a goal that is missed.
const toWall = "[" + missed + "](why-it-is-fast.md#the-walls)"

// commits names what was measured.
func commits(r *figure.Report) string {
	all := r.Commits()
	if len(all) == 1 {
		return "at commit " + all[0]
	}
	return "at commits " + strings.Join(all, ", ")
}

// markdown writes the page.
func markdown(r *figure.Report, raw string) string {
	var b strings.Builder
	busy := r.Disturbance()
	fmt.Fprintf(&b, head, r.Machine, r.Kernel, r.Go, commits(r), r.Date.Format("2 January 2006"),
		r.Took/60, busy.Median, busy.Min, busy.Max, raw, raw, figure.QuietMax, Reference)
	fmt.Fprintf(&b, "![the medians as bars](%s/medians.svg)\n\n", raw)
	b.WriteString("| name | what |\n|---|---|\n")
	for _, name := range names(r, func(run figure.Run) string { return run.Peer }) {
		fmt.Fprintf(&b, "| %s | %s |\n", name, r.Peers[name])
	}
	if len(r.Lines) > 0 {
		b.WriteString("\n| line | what |\n|---|---|\n")
	}
	for _, name := range names(r, func(run figure.Run) string { return run.Line }) {
		if about, ok := r.Lines[name]; ok {
			fmt.Fprintf(&b, "| %s | %s |\n", name, about)
		}
	}
	for _, g := range grids(r) {
		fmt.Fprintf(&b, "\n## %s\n\n", g.title)
		for i, row := range g.rows {
			text := strings.ReplaceAll(strings.Join(row, " | "), missed, toWall)
			fmt.Fprintf(&b, "| %s |\n", text)
			if i == 0 {
				b.WriteString(strings.Repeat("|---", len(row)) + "|\n")
			}
		}
	}
	if len(r.Missing) > 0 {
		b.WriteString("\n## What could not be had\n\n| wanted | why not |\n|---|---|\n")
	}
	for _, m := range r.Missing {
		why := figure.Reason(m.Reason) // older results have all of it
		fmt.Fprintf(&b, "| %s | %s |\n", m.Wanted, strings.ReplaceAll(why, "|", `\|`))
	}
	return b.String()
}
