// SPDX-License-Identifier: Apache-2.0

package drop_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"staex/internal/overlay/drop"
)

func TestEveryReasonHasItsOwnShortName(t *testing.T) {
	shape := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	seen := map[string]bool{}
	for r := range drop.Reason(drop.Count) {
		name := r.String()
		if !shape.MatchString(name) || len(name) > 16 {
			t.Errorf("reason %d is called %q: want short lower case words", r, name)
		}
		if seen[name] {
			t.Errorf("two reasons are called %q", name)
		}
		seen[name] = true
	}
}

func TestAValueThatIsNoReasonStillPrints(t *testing.T) {
	if got := drop.Reason(250).String(); got != "reason-250" {
		t.Errorf("String of 250 = %q", got)
	}
}

// The page has one table row per reason: "| `name` | sentence |".
func TestEveryReasonHasOneLineInTheDocs(t *testing.T) {
	page, err := os.ReadFile("../../../docs/drops.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("^\\| `([^`]+)` \\| .*\\w.* \\|$")
	lines := map[string]int{}
	for line := range strings.Lines(string(page)) {
		if m := row.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			lines[m[1]]++
		}
	}
	for r := drop.None + 1; r < drop.Count; r++ {
		if n := lines[r.String()]; n != 1 {
			t.Errorf("docs/drops.md has %d lines for %q, want 1", n, r)
		}
		delete(lines, r.String())
	}
	for name := range lines {
		t.Errorf("docs/drops.md explains %q, which is no reason", name)
	}
}
