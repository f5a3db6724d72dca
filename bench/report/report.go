// SPDX-License-Identifier: Apache-2.0

// Package report writes what the bench has found as text, JSON, pictures and a page of the
// documentation. It never measures and it never judges.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"staex/bench/figure"
)

// Reference is the peer that ratios are taken to.
const Reference = "wireguard-go"

// Write puts the results into a folder, under the name of their date, and returns the file's name.
func Write(dir string, r *figure.Report) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, r.Date.Format("2006-01-02T1504")+".json")
	return name, os.WriteFile(name, append(text, '\n'), 0o644)
}

// Read reads results that Write has written.
func Read(name string) (*figure.Report, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	r := &figure.Report{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}

// names lists the values of one field of the runs, each once, in the order of their first run.
func names(r *figure.Report, field func(figure.Run) string) []string {
	var found []string
	for _, run := range r.Runs {
		if name := field(run); !slices.Contains(found, name) {
			found = append(found, name)
		}
	}
	return found
}

// grid is one table: a header and rows of cells.
type grid struct {
	title string
	rows  [][]string
}

// missed marks a goal that is not met.
const missed = "**no**"

// verdicts is the table of the goals.
func verdicts(r *figure.Report) (grid, bool) {
	g := grid{title: "Goals", rows: [][]string{{"", "goal", "found", "met"}}}
	for _, v := range r.Judge(figure.Goals()) {
		wanted := "≥ " + cell(figure.Of([]float64{v.Least}), figure.Significant)
		if v.Most > 0 {
			wanted = "≤ " + cell(figure.Of([]float64{v.Most}), figure.Significant)
		}
		met := missed
		if v.Met {
			met = "yes"
		}
		g.rows = append(g.rows, []string{v.What, wanted, cell(v.Found, figure.Significant), met})
	}
	return g, len(g.rows) > 1
}

// grids makes the tables of a report: the goals, then by test and line.
func grids(r *figure.Report) []grid {
	var all []grid
	if g, ok := verdicts(r); ok {
		all = append(all, g)
	}
	for _, t := range figure.Tables() {
		for _, line := range names(r, func(run figure.Run) string { return run.Line }) {
			if g, ok := table(r, t, line); ok {
				all = append(all, g)
			}
		}
	}
	return all
}

// table makes the table of a test on a line; not ok if nothing was measured there.
func table(r *figure.Report, t figure.Table, line string) (grid, bool) {
	g := grid{title: t.Title + " – " + line}
	columns := slices.DeleteFunc(slices.Clone(t.Columns), func(c figure.Column) bool {
		return !slices.ContainsFunc(r.Runs, func(run figure.Run) bool {
			_, ok := run.Values[c.Value]
			return ok && run.Line == line && run.Test == t.Test
		})
	})
	if len(columns) == 0 {
		return g, false
	}
	head := []string{""}
	for _, c := range columns {
		head = append(head, c.Title)
		if c.Ratio {
			head = append(head, "× "+Reference)
		}
	}
	g.rows = append(g.rows, head)
	for _, peer := range names(r, func(run figure.Run) string {
		if run.Line == line && run.Test == t.Test {
			return run.Peer
		}
		return ""
	}) {
		if peer != "" {
			g.rows = append(g.rows, row(r, figure.Key{Line: line, Test: t.Test, Peer: peer},
				columns))
		}
	}
	return g, true
}

// row makes the cells of one peer.
func row(r *figure.Report, k figure.Key, columns []figure.Column) []string {
	cells := []string{k.Peer}
	for _, c := range columns {
		k.Value = c.Value
		cells = append(cells, cell(r.Cell(k, c.Account), c.Digits))
		if c.Ratio {
			base := k
			base.Peer = Reference
			cells = append(cells, cell(r.Ratio(k, base), 2))
		}
	}
	return cells
}

// cell writes a median and, if there is more than one value, its spread.
func cell(s figure.Spread, digits int) string {
	number := func(v float64) string {
		if digits == figure.Significant {
			return fmt.Sprintf("%.*f", max(0, 2-int(math.Floor(math.Log10(max(v, 1e-9))))), v)
		}
		return fmt.Sprintf("%.*f", digits, v)
	}
	switch {
	case s.Count == 0:
		return "–"
	case s.Count == 1 || number(s.Min) == number(s.Max):
		return number(s.Median)
	}
	return fmt.Sprintf("%s (%s–%s)", number(s.Median), number(s.Min), number(s.Max))
}

// Text writes the tables for a terminal.
func Text(w io.Writer, r *figure.Report) {
	for _, g := range grids(r) {
		fmt.Fprintf(w, "%s\n", g.title)
		width := make([]int, len(g.rows[0]))
		for _, row := range g.rows {
			for i, c := range row {
				width[i] = max(width[i], len([]rune(c)))
			}
		}
		for _, row := range g.rows {
			for i, c := range row {
				pad := strings.Repeat(" ", width[i]-len([]rune(c)))
				fmt.Fprintf(w, "  %s%s", c, pad)
			}
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w)
	}
	for _, m := range r.Missing {
		fmt.Fprintf(w, "not had: %s: %s\n", m.Wanted, m.Reason)
	}
}
