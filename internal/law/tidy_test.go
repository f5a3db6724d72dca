// SPDX-License-Identifier: Apache-2.0

package law

import (
	"fmt"
	"go/ast"
	"path"
	"regexp"
	"strings"
	"testing"
)

const (
	licence = "// SPDX-License-Identifier: Apache-2.0\n\n"
	// linesMax bounds a file, linesMaxTest a file of tests: what is longer is two things.
	linesMax, linesMaxTest = 500, 800
)

// issueless finds a note for later that names no issue.
var issueless = regexp.MustCompile(`\b(TODO|FIXME|XXX)\b(?:\(#\d+\))?`)

func TestEveryFileIsTidy(t *testing.T) {
	for _, f := range tree(t) {
		for _, complaint := range untidy(f) {
			t.Error(complaint)
		}
	}
}

// untidy lists what one file owes its reader.
func untidy(f file) []string {
	var found []string
	complain := func(format string, args ...any) {
		found = append(found, f.path+": "+fmt.Sprintf(format, args...))
	}
	if !strings.HasPrefix(f.text, licence) {
		complain("does not begin with %q and an empty line", strings.TrimSpace(licence))
	}
	limit := linesMax
	if f.test {
		limit = linesMaxTest
	}
	if lines := strings.Count(f.text, "\n"); lines > limit {
		complain("%d lines, at most %d", lines, limit)
	}
	for _, group := range f.ast.Comments {
		for _, note := range issueless.FindAllString(group.Text(), -1) {
			if !strings.HasSuffix(note, ")") {
				complain("%s without an issue: write TODO(#12)", note)
			}
		}
	}
	clock := f.importName("time")
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Name.Name == "init" && n.Recv == nil {
				complain("func init: nothing happens because of an import")
			}
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			tests := f.test || strings.HasPrefix(f.path, "test/")
			if ok && tests && clock != "" && x.Name == clock && n.Sel.Name == "Sleep" {
				complain("a test sleeps: wait for a condition with a deadline")
			}
		}
		return true
	})
	for _, path := range f.imports() {
		host := strings.HasPrefix(f.room, "host/")
		if (path == "unsafe" || path == "C") && !host {
			complain("imports %s: only host may", path)
		}
	}
	return found
}

func TestTheRulesOfTidinessBite(t *testing.T) {
	const code, test, host = "internal/a/a.go", "internal/a/a_test.go", "internal/host/a/a.go"
	long := strings.Repeat("\n", linesMax)
	for name, c := range map[string]struct{ path, source, want string }{
		"tidy":      {code, "", ""},
		"too long":  {code, long, "lines"},
		"long test": {test, long, ""},
		"later":     {code, "// TODO: mend\n", "without an issue"},
		"issue 12":  {code, "// TODO(#12): mend\n", ""},
		"init":      {code, "func init() {}\n", "func init"},
		"method":    {code, "func (a) init() {}\n", ""},
		"sleep":     {test, "import \"time\"\n\nfunc f() { time.Sleep(1) }\n", "sleeps"},
		"unsafe":    {code, "import \"unsafe\"\n", "imports unsafe"},
		"host":      {host, "import \"unsafe\"\n", ""},
	} {
		f := parse(t, c.path, licence+"package a\n\n"+c.source)
		got := strings.Join(untidy(f), "\n")
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: want %q, got %q", name, c.want, got)
		}
	}
}

func TestAFileWithoutLicenceIsUntidy(t *testing.T) {
	if got := untidy(parse(t, "internal/a/a.go", "package a\n")); len(got) != 1 {
		t.Errorf("got %q", got)
	}
}

func TestEveryRoomHasOneDocCommentThatBeginsWithItsName(t *testing.T) {
	docs := map[string][]string{}
	names := map[string]string{}
	for _, f := range tree(t) {
		dir := path.Dir(f.path)
		if f.test {
			continue
		}
		names[dir] = "Package " + f.ast.Name.Name + " "
		if f.ast.Name.Name == "main" {
			names[dir] = "Command " + path.Base(dir) + " "
		}
		if f.ast.Doc != nil {
			docs[dir] = append(docs[dir], f.ast.Doc.Text())
		}
		if name := path.Base(dir); strings.ContainsAny(name, "-_") && f.ast.Name.Name != "main" {
			t.Errorf("%s: a room's name is one word", dir)
		}
	}
	for dir, want := range names {
		switch {
		case len(docs[dir]) != 1:
			t.Errorf("%s has %d package comments, want one", dir, len(docs[dir]))
		case !strings.HasPrefix(docs[dir][0], want):
			t.Errorf("%s: the package comment does not begin with %q", dir, want)
		}
	}
}
