// SPDX-License-Identifier: Apache-2.0

package law

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// An entry is a row of test/manual.txt.
type entry struct{ kind, owner, name, short, value string }

// manual reads the table of what the reference manual names.
func manual(t *testing.T) []entry {
	t.Helper()
	var all []entry
	for line := range strings.Lines(read(t, "test/manual.txt")) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		cells := strings.Split(line, "|")
		if len(cells) != 5 {
			t.Fatalf("test/manual.txt: %q has %d columns, want 5", line, len(cells))
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		all = append(all, entry{cells[0], cells[1], cells[2], cells[3], cells[4]})
	}
	return all
}

// section is the part of docs/status.md that has the rows of an owner.
func (e entry) section() string {
	switch program, _, _ := strings.Cut(e.owner, " "); program {
	case "mcc":
		return "mcc, the command line"
	case "mccd":
		return "mccd, the daemon"
	case "tunnel":
		return "Tunnel files"
	case "forwarding":
		return "Forwarding rules file"
	case "libnss_mcc.so.2":
		return "Name service module, libnss_mcc.so.2"
	case "staex-web.conf":
		return "staex-web"
	default:
		return program
	}
}

// elsewhere are defaults that the product has on purpose another way: docs/status.md shows ours.
var elsewhere = map[string]string{
	"cert-update-addr": "none here", // nobody is called unasked
}

// wants are the expressions that a row's feature has to match, each of them.
func (e entry) wants() []string {
	switch {
	case e.kind == "key" || e.kind == "words" && path.Ext(e.owner) == ".conf":
		all := []string{"^`" + regexp.QuoteMeta(e.name) + "`"}
		value := strings.TrimPrefix(e.value, "/etc/mcc/")
		if e.kind == "key" && e.owner == "mcc.conf" && value != "" {
			if ours, there := elsewhere[e.name]; there {
				value = ours
			}
			if e.name != "dependent-nodes" { // its row says that it is deprecated
				all = append(all, `\(`+regexp.QuoteMeta(value)+`[;)]`)
			}
		}
		return all
	case e.kind == "line" || e.kind == "variable":
		return []string{"^`" + regexp.QuoteMeta(e.name) + "`"}
	}
	all := []string{"^`" + regexp.QuoteMeta(e.owner) + "(`| )"}
	for _, w := range []string{e.name, e.short} {
		if w != "" && e.kind != "words" {
			all = append(all, "(?i)"+word(w))
		}
	}
	return all
}

// word is an expression for a word that stands by itself.
func word(w string) string {
	return "(?:^|[\\s\"'`=,(])" + regexp.QuoteMeta(w) + "(?:$|[\\s\"'`=,)])"
}

// proofs are the expressions that what a test says has to match, each set in one saying.
func (e entry) proofs() [][]string {
	program, command, _ := strings.Cut(e.owner, " ")
	inside := []string{word(program)}
	if program == "mcc" {
		inside = nil // scripts say mcc, programs give its arguments alone
	}
	if command != "" {
		inside = append(inside, word(command))
	}
	with := func(w string) []string { return append(slices.Clip(inside), w) }
	var all [][]string
	switch e.kind {
	case "command":
		all = append(all, inside)
	case "flag":
		for _, w := range []string{e.name, e.short} {
			if w != "" {
				all = append(all, with(word(w)))
			}
		}
	case "key":
		all = append(all, []string{`(?:^|[^\w.-])` + regexp.QuoteMeta(e.name) + `\s*=`})
		if program == "staex-web.conf" {
			all = append(all, []string{"staex-web"})
		}
	case "variable":
		all = append(all, []string{word(e.name)})
	case "columns":
		all = append(all, []string{strings.ReplaceAll(e.value, " ", "  +")})
	}
	return all
}

func TestEverythingInTheManualHasARowAndWhatWorksATestThatUsesIt(t *testing.T) {
	rows, sources := statusRows(t), readSources(t)
	for _, e := range manual(t) {
		features := []entry{e}
		if e.kind == "words" && strings.HasPrefix(e.owner, "mcc ") {
			features = nil
			for w := range strings.FieldsSeq(e.value) {
				features = append(features, entry{"flag", e.owner, w, "", ""})
			}
		}
		for _, f := range features {
			if complaint := unproven(f, rows, sources); complaint != "" {
				t.Error(complaint)
			}
		}
	}
}

// unproven says what an entry lacks: a row, or in what proves it a test that uses it.
func unproven(e entry, rows []statusRow, s *sources) string {
	var own []statusRow
	for _, r := range rows {
		if r.section == e.section() && matches(r.feature, e.wants()) {
			own = append(own, r)
		}
	}
	if len(own) == 0 {
		return fmt.Sprintf("docs/status.md, %s, has no row for %s %s %s %s", e.section(), e.owner,
			e.name, e.short, e.value)
	}
	for _, want := range e.proofs() {
		if !proven(own, want, s) {
			return fmt.Sprintf("no test that docs/status.md names for %s %s %s says %q", e.owner,
				e.name, e.short, want)
		}
	}
	return ""
}

func TestAFeatureWithoutAProofIsFound(t *testing.T) {
	s := readSources(t)
	e := entry{kind: "key", owner: "mcc.conf", name: "dns-enable", value: "true"}
	row := func(feature, state string, tests ...string) []statusRow {
		return []statusRow{{"mcc.conf", feature, state, tests}}
	}
	const honest, another = "TestKeysOfFilesAndOfTheSocketMoveThem", "TestEveryHostHasItsOwnFiles"
	for name, c := range map[string]struct {
		rows []statusRow
		want string
	}{
		"proven":         {row("`dns-enable` (true)", "works", honest), ""},
		"no row":         {row("`dns-names`", "works", honest), "has no row"},
		"other default":  {row("`dns-enable` (false)", "works", honest), "has no row"},
		"no test":        {row("`dns-enable` (true)", "works"), "no test"},
		"another's test": {row("`dns-enable` (true)", "thin", another), "no test"},
		"not promised":   {row("`dns-enable` (true)", "not yet"), ""},
	} {
		got := unproven(e, c.rows, s)
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: want %q, got %q", name, c.want, got)
		}
	}
}

// proven tells whether a test of one of the rows says what is wanted, or the rows promise nothing.
func proven(rows []statusRow, want []string, s *sources) bool {
	promised := false
	for _, r := range rows {
		promised = promised || states[r.state]
		for _, test := range r.tests {
			for _, saying := range s.sayings(test) {
				if matches(saying, want) {
					return true
				}
			}
		}
	}
	return !promised
}

func matches(text string, all []string) bool {
	for _, expression := range all {
		if !regexp.MustCompile(expression).MatchString(text) {
			return false
		}
	}
	return true
}

// A statusRow is a row of docs/status.md.
type statusRow struct {
	section, feature, state string
	tests                   []string // names of tests and paths below test/
}

// statusRows reads docs/status.md.
func statusRows(t *testing.T) []statusRow {
	t.Helper()
	var rows []statusRow
	section := ""
	for line := range strings.Lines(read(t, "docs/status.md")) {
		if title, isTitle := strings.CutPrefix(line, "## "); isTitle {
			section = strings.TrimSpace(title)
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if !strings.HasPrefix(line, "| ") || len(cells) != 3 || cells[1] == "state" {
			continue
		}
		r := statusRow{
			section: section, feature: strings.TrimSpace(cells[0]),
			state: strings.TrimSpace(cells[1]),
		}
		for _, m := range proof.FindAllStringSubmatch(cells[2], -1) {
			r.tests = append(r.tests, m[1])
		}
		rows = append(rows, r)
	}
	return rows
}

func TestTheTableOfTheManualIsWhole(t *testing.T) {
	kinds := map[string]int{}
	for _, e := range manual(t) {
		kinds[e.kind]++
		if path.Ext(e.owner) == ".conf" && e.kind == "key" && e.name == "" {
			t.Errorf("a key without a name: %v", e)
		}
	}
	for kind, least := range map[string]int{
		"command": 13, "flag": 25, "argument": 13, "words": 4, "columns": 1, "key": 70, "line": 1,
		"variable": 1,
	} {
		if kinds[kind] < least {
			t.Errorf("test/manual.txt has %d entries of kind %s, want at least %d", kinds[kind],
				kind, least)
		}
	}
}
