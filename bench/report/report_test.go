// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"staex/bench/figure"
	"staex/bench/report"
)

// sample is a report of two peers, two rounds and one thing that is missing.
func sample() *figure.Report {
	r := &figure.Report{
		Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Machine: "2 × a processor",
		Rounds: 2, Peers: map[string]string{"us": "ours"},
		Missing: []figure.Missing{{Wanted: "them", Reason: "no\n  a|b"}},
	}
	for round, gbps := range []float64{4, 6} {
		r.Runs = append(r.Runs, figure.Run{
			Round: round, Line: "direct", Peer: "us", Test: "tcp1",
			Values: map[string]float64{figure.Gbps: gbps, figure.Ends: 1.5},
		}, figure.Run{
			Round: round, Line: "direct", Peer: report.Reference, Test: "tcp1",
			Values: map[string]float64{figure.Gbps: 2, figure.Ends: 3},
		})
	}
	return r
}

func TestResultsAreReadAsTheyWereWritten(t *testing.T) {
	name, err := report.Write(t.TempDir(), sample())
	if err != nil {
		t.Fatal(err)
	}
	r, err := report.Read(name)
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Base(name) != "2026-01-02T0304.json" || len(r.Runs) != 4 ||
		r.Runs[2].Values[figure.Gbps] != 6 {
		t.Errorf("%s: %+v", name, r)
	}
}

func TestTheTablesShowMediansSpreadsAndRatios(t *testing.T) {
	var b strings.Builder
	report.Text(&b, sample())
	for _, want := range []string{
		"TCP, one stream – direct", "5.00 (4.00–6.00)", "2.50 (2.00–3.00)", "not had: them",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "relays, s/GB") {
		t.Error("a column in which nothing was measured is shown")
	}
}

func TestThePageIsMadeFromTheNewestResults(t *testing.T) {
	dir := t.TempDir()
	page, raw := filepath.Join(dir, "page.md"), filepath.Join(dir, "raw")
	if err := report.Page(page, raw); err == nil {
		t.Error("without results there was no error")
	}
	old := sample()
	old.Date = old.Date.Add(-time.Hour)
	old.Machine = "an old machine"
	for _, r := range []*figure.Report{sample(), old} {
		if _, err := report.Write(raw, r); err != nil {
			t.Fatal(err)
		}
	}
	if err := report.Page(page, raw); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"2 × a processor", "(raw/medians.svg)",
		"[raw](raw)", "| us | ours |", "| them | no a\\|b |",
		"| us | 5.00 (4.00–6.00) | 2.50 (2.00–3.00) | 1.50 | 0.50 |",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestThePageLeadsFromAMissedGoalToTheWallsAndTellsWhatALineIs(t *testing.T) {
	dir := t.TempDir()
	r := sample()
	r.Lines = map[string]string{"direct": "two nodes", "relay": "not measured"}
	r.Commit = "abc"
	r.Runs = append(r.Runs, figure.Run{
		Line: "direct", Peer: "staex", Test: "size", Commit: "def",
		Values: map[string]float64{figure.Size: 999},
	})
	raw, page := filepath.Join(dir, "raw"), filepath.Join(dir, "page.md")
	if _, err := report.Write(raw, r); err != nil {
		t.Fatal(err)
	}
	if err := report.Page(page, raw); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for want, times := range map[string]int{
		"| 999 | [**no**](why-it-is-fast.md#the-walls) |": 1,
		"| direct | two nodes |":                          1,
		"not measured":                                    0,
		"at commits abc, def":                             1,
	} {
		if n := strings.Count(string(text), want); n != times {
			t.Errorf("%d times %q, want %d, in\n%s", n, want, times, text)
		}
	}
}

func TestThePictureShowsWhatWasMeasuredAndNoMore(t *testing.T) {
	got := report.Picture(sample())
	if err := xml.Unmarshal([]byte(got), new(struct{})); err != nil {
		t.Fatal(err)
	}
	for want, times := range map[string]int{
		"<g ": 2, ">us<": 2, ">5.00<": 1, "memory": 0, "width=\"256.0\"": 2,
	} {
		if n := strings.Count(got, want); n != times {
			t.Errorf("%d times %q, want %d, in\n%s", n, want, times, got)
		}
	}
}
