// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"io"
	"slices"

	"staex/bench/figure"
)

// column is one of the report's: a value in the unit of the test.
type column struct {
	title  string
	figure func(r figure.Run, base map[string]float64) (float64, bool)
}

// columns are what the report shows. The cost of a relay is what everything takes with it, without
// what everything takes where there is none, in the same round.
func columns() []column {
	value := func(name string) func(figure.Run, map[string]float64) (float64, bool) {
		return func(r figure.Run, _ map[string]float64) (float64, bool) {
			v, ok := r.Values[name]
			return v, ok
		}
	}
	return []column{
		{"Gbit/s or packets/s", value(rate)},
		{"all, s/GB or µs", value(all)},
		{"more than none", func(r figure.Run, base map[string]float64) (float64, bool) {
			v, ok := r.Values[all]
			none, had := base[all]
			return v - none, ok && had && r.Peer != "none"
		}},
		{"relay's process", value(relay)},
		{"program", value(code)},
		{"datagrams each", value(batch)},
		{"round trip, µs", value(half)},
	}
}

// report writes a table: medians, with the smallest and the largest in parentheses.
func (b *bench) report(to io.Writer) {
	fmt.Fprint(to, "\n| traffic | labels |")
	for _, c := range columns() {
		fmt.Fprintf(to, " %s |", c.title)
	}
	fmt.Fprint(to, "\n|---|---|---|---|---|---|---|---|---|\n")
	var seen []string
	for _, r := range b.runs {
		name := r.Test + "\x00" + r.Peer
		if slices.Contains(seen, name) {
			continue
		}
		seen = append(seen, name)
		fmt.Fprintf(to, "| %s | %s |", r.Test, r.Peer)
		for _, c := range columns() {
			fmt.Fprintf(to, " %s |", b.cell(r.Test, r.Peer, c))
		}
		fmt.Fprintln(to)
	}
}

// cell is a column's values of all rounds of a test and a way.
func (b *bench) cell(test, way string, c column) string {
	base := map[int]map[string]float64{}
	for _, r := range b.runs {
		if r.Test == test && r.Peer == "none" {
			base[r.Round] = r.Values
		}
	}
	var values []float64
	for _, r := range b.runs {
		if r.Test != test || r.Peer != way {
			continue
		}
		if v, ok := c.figure(r, base[r.Round]); ok {
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		return "–"
	}
	s := figure.Of(values)
	return fmt.Sprintf("%.3g (%.3g–%.3g)", s.Median, s.Min, s.Max)
}
