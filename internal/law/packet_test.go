// SPDX-License-Identifier: Apache-2.0

package law

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestThePacketsWayNamesFunctionsThatExist holds docs/follow-a-packet.md to the code.
func TestThePacketsWayNamesFunctionsThatExist(t *testing.T) {
	root := filepath.Join("..", "..")
	page, err := os.ReadFile(filepath.Join(root, "docs", "follow-a-packet.md"))
	if err != nil {
		t.Fatal(err)
	}
	code := functions(t, filepath.Join(root, "internal"))
	named := regexp.MustCompile("`(?:[A-Za-z]+\\.)?([A-Za-z]+)`")
	seen := 0
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		for _, m := range named.FindAllStringSubmatch(cells[len(cells)-2], -1) {
			seen++
			if !code[m[1]] {
				t.Errorf("docs/follow-a-packet.md names %s, which is no function here", m[0])
			}
		}
	}
	if seen < 30 {
		t.Errorf("only %d names found: the page or this test changed its form", seen)
	}
}

// functions are the names of all functions and methods below a folder, tests excluded.
func functions(t *testing.T, dir string) map[string]bool {
	t.Helper()
	declared := regexp.MustCompile(`(?m)^func (?:\([^)]*\) )?([A-Za-z]+)`)
	found := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		for _, m := range declared.FindAllStringSubmatch(string(b), -1) {
			found[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
