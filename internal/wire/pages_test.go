// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"staex/internal/wire"
)

const root = "../.."

// parsePackage returns the syntax of the files of this directory that match the pattern.
func parsePackage(t *testing.T, pattern string) []*ast.File {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	files := make([]*ast.File, 0, len(names))
	for _, name := range names {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

// pictures returns, by the name of the type, the indented lines of its comment.
func pictures(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, file := range parsePackage(t, "[a-z]*[a-z0-9].go") {
		for _, decl := range file.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.TYPE {
				continue
			}
			var picture strings.Builder
			for line := range strings.Lines(gen.Doc.Text()) {
				if drawn, ok := strings.CutPrefix(line, "\t"); ok {
					picture.WriteString(drawn)
				}
			}
			found[gen.Specs[0].(*ast.TypeSpec).Name.Name] = picture.String()
		}
	}
	return found
}

// drawing returns the part of a picture before the table of offsets.
func drawing(picture string) string {
	before, _, _ := strings.Cut(picture, "offset ")
	return before
}

func readPage(t *testing.T, path string) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatalf("every frame has a page: %v", err)
	}
	return string(page)
}

func TestEveryFrameHasAPageWithItsPicture(t *testing.T) {
	drawn := pictures(t)
	for _, f := range wire.Frames() {
		t.Run(f.Name, func(t *testing.T) {
			page := readPage(t, f.Page)
			for _, part := range []string{
				"\n## Fields\n", "\n## Sender\n", "\n## Receiver\n", "\n## Errors\n",
				"internal/wire/testdata/" + f.Name + ".hex",
			} {
				if !strings.Contains(page, part) {
					t.Errorf("%s lacks %q", f.Page, part)
				}
			}
			picture := drawing(drawn[f.Go])
			if !strings.Contains(picture, "+--") {
				t.Errorf("the comment of %s has no picture", f.Go)
			}
			if !strings.Contains(page, "```\n"+picture+"```\n") {
				t.Errorf("%s lacks the picture of %s:\n%s", f.Page, f.Go, picture)
			}
		})
	}
}

func TestTheIndexListsEveryFrameWithItsSizes(t *testing.T) {
	index := readPage(t, "docs/wire/README.md")
	for _, f := range wire.Frames() {
		t.Run(f.Name, func(t *testing.T) {
			if row := indexRow(f); !strings.Contains(index, row) {
				t.Errorf("docs/wire/README.md lacks\n%s", row)
			}
		})
	}
}

// indexRow is the line of a frame in the index: layer, type, name and page, its own
// size, and the sizes of the smallest datagram with it alone over UDP and over IPv4.
func indexRow(f wire.Frame) string {
	const ipv4AndUDP = 20 + 8
	span := func(extra int) string {
		if f.Min == f.Max {
			return strconv.Itoa(f.Min + extra)
		}
		return fmt.Sprintf("%d–%d", f.Min+extra, f.Max+extra)
	}
	number := "–"
	if f.Type != 0 {
		number = strconv.Itoa(int(f.Type))
	}
	udp, ipv4 := span(f.Layer.Overhead()), span(f.Layer.Overhead()+ipv4AndUDP)
	if f.Layer == wire.LayerHandshake || f.Layer == wire.LayerPath {
		udp, ipv4 = "–", "–"
	}
	return fmt.Sprintf("| %s | %s | [%s](%s) | %s | %s | %s |\n",
		f.Layer, number, f.Name, filepath.Base(f.Page), span(0), udp, ipv4)
}

// others are the pages that belong to no frame of this room: the index, and what stands
// inside frames but is laid out by other rooms.
var others = []string{
	"README.md", "compact.md", "signed-record.md", "certificates.md", "revocations.md",
}

func TestEveryPageBelongsToAFrame(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "docs/wire/*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		page := "docs/wire/" + filepath.Base(file)
		known := func(f wire.Frame) bool { return f.Page == page }
		if !slices.Contains(others, filepath.Base(file)) &&
			!slices.ContainsFunc(wire.Frames(), known) {
			t.Errorf("%s belongs to no frame", page)
		}
	}
}

func TestEveryPageHasAFuzzTarget(t *testing.T) {
	targets := map[string]bool{}
	for _, file := range parsePackage(t, "fuzz_test.go") {
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok {
				targets[f.Name.Name] = true
			}
		}
	}
	for _, f := range wire.Frames() {
		t.Run(f.Name, func(t *testing.T) {
			if !targets["Fuzz"+f.Go] {
				t.Errorf("fuzz_test.go lacks Fuzz%s", f.Go)
			}
		})
	}
}
