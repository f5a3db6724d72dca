// SPDX-License-Identifier: Apache-2.0

package law

import (
	"go/ast"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// stories are the tests that play scripts: what they say stands in a folder.
var stories = map[string]string{"TestTheCommandLineTellsItsStories": "test/script"}

// sources is what the tests of the tree say: the text of each function of a test file and of
// the worlds below test, with the names that it uses.
type sources struct {
	t     *testing.T
	pages map[string][]piece // by the folder and the name: "test/netns.story"
	homes map[string]string  // the folder of a test
	said  map[string][]string
}

// A piece is a declaration.
type piece struct {
	text string
	uses []string // identifiers
	docs []string // texts in quotation marks that name a page
}

// worlds is where the tests of namespaces have their tools.
const worlds = "test/world"

func readSources(t *testing.T) *sources {
	t.Helper()
	s := &sources{
		t: t, pages: map[string][]piece{}, homes: map[string]string{}, said: map[string][]string{},
	}
	for _, f := range tree(t) {
		if !f.test && !strings.HasPrefix(f.path, "test/") {
			continue
		}
		dir := path.Dir(f.path)
		for _, decl := range f.ast.Decls {
			p := f.piece(decl)
			for _, name := range declared(decl) {
				s.pages[dir+"."+name] = append(s.pages[dir+"."+name], p)
				if strings.HasPrefix(name, "Test") || strings.HasPrefix(name, "Fuzz") {
					s.homes[name] = dir
				}
			}
		}
	}
	return s
}

// piece takes a declaration out of its file.
func (f file) piece(decl ast.Decl) piece {
	p := piece{text: f.text[f.offset(decl.Pos()):f.offset(decl.End())]}
	ast.Inspect(decl, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Ident:
			p.uses = append(p.uses, n.Name)
		case *ast.BasicLit:
			text, err := strconv.Unquote(n.Value)
			if err == nil && n.Kind == token.STRING && path.Ext(text) == ".md" {
				p.docs = append(p.docs, text)
			}
		}
		return true
	})
	return p
}

func (f file) offset(at token.Pos) int { return f.set.Position(at).Offset }

// declared are the names of a declaration; a method goes by its own.
func declared(decl ast.Decl) (names []string) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		names = append(names, d.Name.Name)
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			if v, ok := spec.(*ast.ValueSpec); ok {
				for _, name := range v.Names {
					names = append(names, name.Name)
				}
			}
		}
	}
	return names
}

// sayings are the texts in which a test may name what it uses: itself with all that it calls as
// one text, and each line of the scripts and of the pages that it plays.
func (s *sources) sayings(test string) []string {
	if all, known := s.said[test]; known {
		return all
	}
	dir, there := s.homes[test]
	if !there {
		return nil // another test complains
	}
	var text strings.Builder
	text.WriteString(path.Base(dir) + "\n") // a program's own tests give its arguments alone
	var lines []string
	seen := map[string]bool{}
	queue := []string{dir + "." + test}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		if seen[at] {
			continue
		}
		seen[at] = true
		home := at[:strings.LastIndexByte(at, '.')]
		for _, p := range s.pages[at] {
			text.WriteString(p.text + "\n")
			for _, name := range p.uses {
				queue = append(queue, home+"."+name, worlds+"."+name)
			}
			for _, page := range p.docs {
				lines = append(lines, s.linesOf(filepath.Join("docs", "how-to", page))...)
			}
		}
	}
	if folder := stories[test]; folder != "" {
		lines = append(lines, s.linesOf(folder)...)
	}
	s.said[test] = append(lines, text.String())
	return s.said[test]
}

// linesOf are the lines of a file or of the files of a folder, those that continue put together.
func (s *sources) linesOf(name string) (lines []string) {
	top := top(s.t)
	names := []string{name}
	if entries, err := os.ReadDir(filepath.Join(top, name)); err == nil {
		names = nil
		for _, e := range entries {
			names = append(names, filepath.Join(name, e.Name()))
		}
	}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(top, name))
		if err != nil {
			continue // not a page of ours
		}
		joined := strings.ReplaceAll(string(text), "\\\n", " ")
		for line := range strings.Lines(joined) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}
