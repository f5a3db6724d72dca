// SPDX-License-Identifier: Apache-2.0

// Package figure holds what the bench has measured and what follows from it: medians, spreads and
// ratios. It never measures.
package figure

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Run is one measurement of one peer.
type Run struct {
	Round int    `json:"round"`
	Line  string `json:"line"` // the topology
	Peer  string `json:"peer"`
	Test  string `json:"test"`
	// Commit is what was measured.
	Commit string `json:"commit,omitempty"`
	// Foreign is how many cores others kept busy meanwhile.
	Foreign float64 `json:"foreign"`
	// Values are what was measured, by name; their units stand in Columns.
	Values map[string]float64 `json:"values,omitempty"`
	// Error says why there are no values.
	Error string `json:"error,omitempty"`
}

// Missing is something that was wanted and could not be had.
type Missing struct {
	Wanted string `json:"wanted"`
	Reason string `json:"reason"`
}

// secrets of a machine are no reason: where its files are and whom it asks.
var secrets = regexp.MustCompile(`(^|\s|["'(=])/|://|^(dial|lookup) `)

// Reason is the part of an error's text that a reader elsewhere can use, in one line: what names
// files, addresses or servers of the machine is left out.
func Reason(text string) string {
	const most = 160 // bytes
	text = strings.Join(strings.Fields(text), " ")
	parts := slices.DeleteFunc(strings.Split(text, ": "), secrets.MatchString)
	text = strings.Join(parts, ": ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + " …"
	}
	return text
}

// Report is everything that one start of the bench has found out.
type Report struct {
	Date    time.Time         `json:"date"`
	Commit  string            `json:"commit"`
	Machine string            `json:"machine"`
	Kernel  string            `json:"kernel"`
	Go      string            `json:"go"`
	Rounds  int               `json:"rounds"`
	Seconds float64           `json:"seconds"` // of each timed run
	Took    float64           `json:"took"`    // seconds, the whole
	Peers   map[string]string `json:"peers"`   // what each one is, with its version
	Lines   map[string]string `json:"lines"`   // how the hosts of each line are set up
	Missing []Missing         `json:"missing"`
	Runs    []Run             `json:"runs"`
}

// QuietMax is how many cores others may keep busy during a run that counts as quiet.
const QuietMax = 0.35

// quietMin is how many quiet runs make the others unnecessary.
const quietMin = 2

// Quiet returns the runs during which the machine did little else; where there are fewer than two
// of them, the two that were disturbed least.
func Quiet(runs []Run) []Run {
	good := slices.DeleteFunc(slices.Clone(runs), func(r Run) bool {
		return r.Error != "" || len(r.Values) == 0
	})
	slices.SortStableFunc(good, func(a, b Run) int {
		switch {
		case a.Foreign < b.Foreign:
			return -1
		case a.Foreign > b.Foreign:
			return 1
		}
		return 0
	})
	quiet := slices.IndexFunc(good, func(r Run) bool { return r.Foreign > QuietMax })
	if quiet < 0 {
		return good
	}
	return good[:min(len(good), max(quiet, quietMin))]
}

// Spread is a median with the smallest and the largest value around it.
type Spread struct {
	Median, Min, Max float64
	// Count is of how many values.
	Count int
}

// Of makes a Spread. Of nothing it is the zero Spread.
func Of(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	v := slices.Clone(values)
	slices.Sort(v)
	n := len(v)
	return Spread{Median: (v[(n-1)/2] + v[n/2]) / 2, Min: v[0], Max: v[n-1], Count: n}
}

// Quantile is the value below which the part q (0 to 1) of the values lies. Values are sorted.
func Quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// Key names one cell of the report's tables.
type Key struct{ Line, Test, Peer, Value string }

// select returns the runs of a key's peer.
func (r *Report) runs(k Key) []Run {
	var found []Run
	for _, run := range r.Runs {
		if run.Line == k.Line && run.Test == k.Test && run.Peer == k.Peer {
			found = append(found, run)
		}
	}
	return found
}

// Cell is the spread of one value over the runs that count: the quiet ones, or, for what the
// processor's own account says (accounts), all.
func (r *Report) Cell(k Key, accounts bool) Spread {
	runs := r.runs(k)
	if !accounts {
		runs = Quiet(runs)
	}
	var values []float64
	for _, run := range runs {
		if v, ok := run.Values[k.Value]; ok {
			values = append(values, v)
		}
	}
	return Of(values)
}

// Ratio is the spread of a value over that of another key, each pair taken from the same round:
// what disturbed one of them then mostly disturbed the other.
func (r *Report) Ratio(k, base Key) Spread {
	other := map[int]float64{}
	for _, run := range r.runs(base) {
		if v, ok := run.Values[base.Value]; ok && v > 0 {
			other[run.Round] = v
		}
	}
	var ratios []float64
	for _, run := range r.runs(k) {
		v, ok := run.Values[k.Value]
		if o := other[run.Round]; ok && o > 0 {
			ratios = append(ratios, v/o)
		}
	}
	return Of(ratios)
}

// Renewed is the report with what a newer one has found out: all runs of a test on a line come from
// one of the two, because only runs of one start can be compared.
func (r *Report) Renewed(newer *Report) *Report {
	type place struct{ line, test string }
	again := map[place]bool{}
	for _, run := range newer.Runs {
		again[place{run.Line, run.Test}] = true
	}
	all := *newer
	newer.sign()
	all.Runs = slices.DeleteFunc(slices.Clone(r.Runs), func(run Run) bool {
		return again[place{run.Line, run.Test}]
	})
	all.Runs = append(all.Runs, newer.Runs...)
	all.Took += r.Took
	all.Peers, all.Lines = joined(r.Peers, newer.Peers), joined(r.Lines, newer.Lines)
	all.Missing = slices.Clone(r.Missing)
	for _, m := range newer.Missing {
		if !slices.Contains(all.Missing, m) {
			all.Missing = append(all.Missing, m)
		}
	}
	return &all
}

// sign notes the commit at each run.
func (r *Report) sign() {
	for i := range r.Runs {
		if r.Runs[i].Commit == "" {
			r.Runs[i].Commit = r.Commit
		}
	}
}

// Commits are those of the runs, each once, in the order of the runs.
func (r *Report) Commits() []string {
	r.sign()
	var all []string
	for _, run := range r.Runs {
		if !slices.Contains(all, run.Commit) {
			all = append(all, run.Commit)
		}
	}
	return all
}

func joined(older, newer map[string]string) map[string]string {
	all := map[string]string{}
	maps.Copy(all, older)
	maps.Copy(all, newer)
	return all
}

// Disturbance is how many cores others kept busy during the runs in which time counts.
func (r *Report) Disturbance() Spread {
	var all []float64
	for _, run := range r.Runs {
		for _, timed := range []string{Gbps, Packets, Median} {
			if _, ok := run.Values[timed]; ok {
				all = append(all, run.Foreign)
				break
			}
		}
	}
	return Of(all)
}
