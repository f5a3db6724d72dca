// SPDX-License-Identifier: Apache-2.0

package law

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// module is the name in go.mod, the first element of our import paths.
const module = "staex"

// file is one parsed Go file of the tree.
type file struct {
	path string // from the top of the tree
	room string // as in the law: "overlay/flow", "cmd/mcc"; empty outside internal and cmd
	test bool   // *_test.go
	text string
	set  *token.FileSet
	ast  *ast.File
}

// top is the folder of go.mod.
func top(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// read returns a file of the tree.
func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top(t), path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// tree parses every Go file of internal, cmd, nss, packaging, test and bench, in the order of their
// paths.
func tree(t *testing.T) []file {
	t.Helper()
	var files []file
	root := os.DirFS(top(t))
	for _, floor := range []string{"internal", "cmd", "nss", "packaging", "test", "bench"} {
		err := fs.WalkDir(root, floor, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil && path == floor:
				return fs.SkipDir // not built yet
			case err != nil:
				return err
			case d.IsDir() && d.Name() == "testdata":
				return fs.SkipDir
			case d.IsDir() || !strings.HasSuffix(path, ".go"):
				return nil
			}
			files = append(files, parse(t, path, read(t, path)))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// parse makes a file of a path and its text.
func parse(t *testing.T, path, text string) file {
	t.Helper()
	f := file{path: path, test: strings.HasSuffix(path, "_test.go"), text: text}
	f.room, _ = roomOf(module + "/" + filepath.ToSlash(filepath.Dir(path)))
	f.set = token.NewFileSet()
	var err error
	const mode = parser.ParseComments | parser.SkipObjectResolution
	f.ast, err = parser.ParseFile(f.set, path, text, mode)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// roomOf turns an import path of ours into the room's name in the law.
func roomOf(path string) (string, bool) {
	if name, ok := strings.CutPrefix(path, module+"/internal/"); ok {
		return name, true
	}
	if strings.HasPrefix(path, module+"/cmd/") {
		return strings.TrimPrefix(path, module+"/"), true
	}
	return "", false
}

// imports returns the import paths of the file.
func (f file) imports() []string {
	var paths []string
	for _, spec := range f.ast.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			panic(err) // the parser has accepted it
		}
		paths = append(paths, path)
	}
	return paths
}

// at is the place of a node, to stand in front of a complaint.
func (f file) at(n ast.Node) string {
	return f.set.Position(n.Pos()).String()
}

// importName is the name under which the file knows a package, or "" if it does not.
func (f file) importName(path string) string {
	for _, spec := range f.ast.Imports {
		if spec.Path.Value != strconv.Quote(path) {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path[strings.LastIndex(path, "/")+1:]
	}
	return ""
}
