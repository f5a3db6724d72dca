// SPDX-License-Identifier: Apache-2.0

package law

import (
	"go/ast"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestEveryRoomIsInTheArchitecture(t *testing.T) {
	text := read(t, "docs/architecture.md")
	seen := map[string]bool{}
	for _, f := range tree(t) {
		if f.room == "" || seen[f.room] {
			continue
		}
		seen[f.room] = true
		if !strings.Contains(text, "`"+f.room+"`") {
			t.Errorf("docs/architecture.md does not mention `%s`", f.room)
		}
	}
}

func TestTheArchitectureShowsTheLawAsItIs(t *testing.T) {
	if !strings.Contains(read(t, "docs/architecture.md"), "```"+floors+"```") {
		t.Error("the law in docs/architecture.md is not the text in internal/law/rooms_test.go")
	}
}

// states are what a row of docs/status.md may say; those that promise need a proof.
var states = map[string]bool{"works": true, "thin": true, "not yet": false}

// proof finds the names of tests, fuzz targets and scripts in the last cell of a row.
var proof = regexp.MustCompile("`((?:Test|Fuzz|Benchmark)\\w+|test/\\S+)`")

func TestEveryPromiseInTheStatusHasATestThatExists(t *testing.T) {
	tests := map[string]bool{}
	for _, f := range tree(t) {
		for _, decl := range f.ast.Decls {
			if d, ok := decl.(*ast.FuncDecl); ok && f.test {
				tests[d.Name.Name] = true
			}
		}
	}
	rows := 0
	for line := range strings.Lines(read(t, "docs/status.md")) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if !strings.HasPrefix(line, "| ") || len(cells) != 3 || cells[1] == "state" {
			continue
		}
		rows++
		feature, state := strings.TrimSpace(cells[0]), strings.TrimSpace(cells[1])
		promises, known := states[state]
		if !known {
			t.Errorf("%s: %q is not one of works, thin, not yet", feature, state)
		}
		names := proof.FindAllStringSubmatch(cells[2], -1)
		if promises && len(names) == 0 {
			t.Errorf("%s: %s, and no test is named", feature, state)
		}
		for _, m := range names {
			if strings.HasPrefix(m[1], "test/") {
				read(t, m[1])
			} else if !tests[m[1]] {
				t.Errorf("%s: there is no %s", feature, m[1])
			}
		}
	}
	if rows < 100 {
		t.Errorf("only %d rows were understood; the manual has more features", rows)
	}
}

// link finds the target of a link in Markdown.
var link = regexp.MustCompile(`\]\(([^)#\s]+)(?:#[^)]*)?\)`)

func TestLinksBetweenDocumentsLeadSomewhere(t *testing.T) {
	root := os.DirFS(top(t))
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (name == ".git" || name == "bin" || name == "dist"):
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(name) != ".md":
			return nil
		}
		for _, m := range link.FindAllStringSubmatch(read(t, name), -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			if _, err := fs.Stat(root, path.Join(path.Dir(name), m[1])); err != nil {
				t.Errorf("%s: the link to %s leads nowhere", name, m[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
