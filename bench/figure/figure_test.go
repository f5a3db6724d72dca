// SPDX-License-Identifier: Apache-2.0

package figure_test

import (
	"math"
	"strings"
	"testing"

	"staex/bench/figure"
)

func TestTheMedianStandsBetweenTheMiddleTwo(t *testing.T) {
	for _, c := range []struct {
		values           []float64
		median, min, max float64
	}{
		{nil, 0, 0, 0},
		{[]float64{7}, 7, 7, 7},
		{[]float64{9, 1}, 5, 1, 9},
		{[]float64{9, 1, 2}, 2, 1, 9},
		{[]float64{4, 9, 1, 2}, 3, 1, 9},
	} {
		got := figure.Of(c.values)
		if got.Median != c.median || got.Min != c.min || got.Max != c.max ||
			got.Count != len(c.values) {
			t.Errorf("%v: %+v", c.values, got)
		}
	}
}

func TestMakingASpreadLeavesTheValuesInTheirOrder(t *testing.T) {
	v := []float64{3, 1, 2}
	figure.Of(v)
	if v[0] != 3 || v[1] != 1 {
		t.Errorf("%v", v)
	}
}

func TestAQuantileIsAValueThatWasMeasured(t *testing.T) {
	v := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	for q, want := range map[float64]float64{0: 1, 0.5: 6, 0.99: 10, 1: 10} {
		if got := figure.Quantile(v, q); got != want {
			t.Errorf("%v: %v", q, got)
		}
	}
	if figure.Quantile(nil, 0.5) != 0 {
		t.Error("of nothing")
	}
}

// run makes one with a value x.
func run(round int, peer string, x, foreign float64) figure.Run {
	return figure.Run{
		Round: round, Line: "l", Test: "t", Peer: peer, Foreign: foreign,
		Values: map[string]float64{"x": x},
	}
}

func TestQuietRunsCountAndWithoutThemTheTwoLeastDisturbed(t *testing.T) {
	busy := []figure.Run{run(0, "a", 1, 1.5), run(1, "a", 2, 0.9), run(2, "a", 3, 1.2)}
	if got := figure.Quiet(busy); len(got) != 2 || got[0].Foreign != 0.9 || got[1].Foreign != 1.2 {
		t.Errorf("all busy: %+v", got)
	}
	mixed := append(busy, run(3, "a", 4, 0.1), run(4, "a", 5, 0.2), run(5, "a", 6, 0.3))
	if got := figure.Quiet(mixed); len(got) != 3 || got[2].Foreign != 0.3 {
		t.Errorf("mixed: %+v", got)
	}
	failed := []figure.Run{{Error: "no answer"}, run(0, "a", 1, 0)}
	if got := figure.Quiet(failed); len(got) != 1 {
		t.Errorf("failed: %+v", got)
	}
}

func TestACellTakesQuietRunsAndAnAccountTakesAll(t *testing.T) {
	r := figure.Report{Runs: []figure.Run{
		run(0, "a", 10, 0), run(1, "a", 12, 0), run(2, "a", 50, 2), run(0, "b", 99, 0),
	}}
	k := figure.Key{Line: "l", Test: "t", Peer: "a", Value: "x"}
	if got := r.Cell(k, false); got.Median != 11 || got.Count != 2 {
		t.Errorf("quiet: %+v", got)
	}
	if got := r.Cell(k, true); got.Median != 12 || got.Count != 3 || got.Max != 50 {
		t.Errorf("all: %+v", got)
	}
}

func TestARatioPairsTheRunsOfARound(t *testing.T) {
	r := figure.Report{Runs: []figure.Run{
		run(0, "a", 20, 0), run(0, "b", 10, 0), // 2
		run(1, "a", 3, 2), run(1, "b", 1, 2), // 3, both disturbed alike
		run(2, "a", 40, 0), run(2, "b", 10, 0), // 4
		run(3, "a", 1000, 0), // nobody to compare with
		run(4, "a", 1000, 0), run(4, "b", 0, 0),
	}}
	a := figure.Key{Line: "l", Test: "t", Peer: "a", Value: "x"}
	b := a
	b.Peer = "b"
	got := r.Ratio(a, b)
	if got.Median != 3 || got.Min != 2 || got.Max != 4 || got.Count != 3 {
		t.Errorf("%+v", got)
	}
	if none := r.Ratio(figure.Key{Peer: "z"}, b); none.Count != 0 || math.IsNaN(none.Median) {
		t.Errorf("%+v", none)
	}
}

func TestAGoalIsMetByItsMedianAndSilentWithoutOne(t *testing.T) {
	r := figure.Report{Runs: []figure.Run{
		run(0, "a", 20, 0), run(0, "b", 10, 0), run(1, "a", 30, 0), run(1, "b", 10, 0),
	}}
	a := figure.Key{Line: "l", Test: "t", Peer: "a", Value: "x"}
	b, nobody := a, a
	b.Peer, nobody.Peer = "b", "nobody"
	got := r.Judge([]figure.Goal{
		{What: "twice", Key: a, To: b, Least: 2},
		{What: "thrice", Key: a, To: b, Least: 3},
		{What: "at most 25", Key: a, Most: 25},
		{What: "at most 24", Key: a, Most: 24},
		{What: "nobody", Key: nobody, Most: 1},
		{What: "beside nobody", Key: a, To: nobody, Most: 1},
	})
	if len(got) != 4 {
		t.Fatalf("%d verdicts: %+v", len(got), got)
	}
	for i, met := range []bool{true, false, true, false} {
		if got[i].Met != met {
			t.Errorf("%s: %+v", got[i].What, got[i].Found)
		}
	}
}

func TestTheGoalsSpeakOfWhatIsMeasured(t *testing.T) {
	known := map[string]bool{}
	for _, table := range figure.Tables() {
		for _, c := range table.Columns {
			known[table.Test+" "+c.Value] = true
		}
	}
	for _, g := range figure.Goals() {
		if !known[g.Key.Test+" "+g.Key.Value] {
			t.Errorf("%s: nobody measures %s of %s", g.What, g.Key.Value, g.Key.Test)
		}
		if (g.Least == 0) == (g.Most == 0) {
			t.Errorf("%s: want one bound", g.What)
		}
	}
}

func TestANewerReportReplacesWholeTestsAndKeepsTheRest(t *testing.T) {
	other := run(0, "a", 7, 0)
	other.Test = "u"
	older := &figure.Report{
		Took: 1, Runs: []figure.Run{run(0, "a", 1, 0), run(0, "b", 1, 0), other},
		Missing: []figure.Missing{{Wanted: "x", Reason: "y"}},
	}
	newer := &figure.Report{
		Took: 2, Commit: "new", Runs: []figure.Run{run(0, "a", 2, 0)}, Missing: older.Missing,
	}
	got := older.Renewed(newer)
	if len(got.Runs) != 2 || got.Runs[0].Test != "u" || got.Runs[1].Values["x"] != 2 {
		t.Errorf("%+v", got.Runs)
	}
	if got.Commit != "new" || got.Took != 3 || len(got.Missing) != 1 || len(older.Runs) != 3 {
		t.Errorf("%+v", got)
	}
}

func TestOnlyRunsInWhichTimeCountsAreDisturbed(t *testing.T) {
	fast, wire := run(0, "a", 1, 0.5), run(0, "a", 1, 2)
	fast.Values = map[string]float64{figure.Gbps: 1}
	r := figure.Report{Runs: []figure.Run{fast, wire}}
	if got := r.Disturbance(); got.Count != 1 || got.Median != 0.5 {
		t.Errorf("%+v", got)
	}
}

func TestRunsOfSeveralStartsKeepTheirCommits(t *testing.T) {
	other := run(0, "a", 7, 0)
	other.Test = "u"
	older := &figure.Report{Commit: "one", Runs: []figure.Run{run(0, "a", 1, 0), other}}
	newer := &figure.Report{Commit: "two", Runs: []figure.Run{run(0, "a", 2, 0)}}
	last := &figure.Report{Commit: "three", Runs: []figure.Run{run(0, "a", 3, 0)}}
	r := (&figure.Report{}).Renewed(older).Renewed(newer).Renewed(last)
	if got := strings.Join(r.Commits(), " "); got != "one three" { // of two nothing is left
		t.Errorf("%q", got)
	}
}

func TestAReasonNamesNothingOfTheMachine(t *testing.T) {
	for text, want := range map[string]string{
		"no such thing": "no such thing",
		"/home/me/go/pkg/x@v1/y.go:2:1: a.org/z@v1: reading https://cache.example/z.zip: 403 Gone": "" +
			"a.org/z@v1: 403 Gone",
		"get a.org/z: dial tcp 10.0.0.1:443: connect: refused":    "get a.org/z: connect: refused",
		"a.org/z: lookup cache.example on 10.0.0.1: no such host": "a.org/z: no such host",
		"open \"/etc/x\": denied":                                 "denied",
		"one\n  two":                                              "one two",
	} {
		if got := figure.Reason(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := figure.Reason(strings.Repeat("é", 500)); len(got) > 200 {
		t.Errorf("%d bytes", len(got))
	}
}

func TestWhatDecidesAGoalIsKnownByItsLineTestAndPeer(t *testing.T) {
	for _, c := range []struct {
		line, test, peer string
		want             bool
	}{
		{"direct", "tcp1", "bound", true},
		{"direct", "tcp1", "staex", true},
		{"direct", "tcp4", "wireguard-go", true},
		{"direct", "tcp1", "nebula", false},
		{"relay", "rtt", "tinc", true},
		{"direct", "udp200", "staex", false},
		{"lossy", "tcp1", "wireguard-go", false},
	} {
		if got := figure.Decides(c.line, c.test, c.peer); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
