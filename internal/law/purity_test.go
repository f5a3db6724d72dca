// SPDX-License-Identifier: Apache-2.0

package law

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// impure are the packages that a pure room may not import, with the reason. A name ending in
// "/" stands for everything below it.
var impure = map[string]string{
	"os":                "files and environment belong to host",
	"os/":               "files and environment belong to host",
	"io/fs":             "files belong to host",
	"net":               "sockets belong to host; addresses are in net/netip",
	"net/http":          "sockets belong to host",
	"log":               "the core returns events",
	"log/slog":          "the core returns events",
	"math/rand":         "randomness comes in as an io.Reader",
	"math/rand/v2":      "randomness comes in as an io.Reader",
	"crypto/rand":       "randomness comes in as an io.Reader",
	"syscall":           "the operating system belongs to host",
	"runtime":           "the core does not know what it runs on",
	"context":           "the core never waits",
	"unsafe":            "memory tricks belong to host",
	"C":                 "there is no C in the core",
	"reflect":           "types are known here",
	"expvar":            "the core returns events",
	"time/tzdata":       "the core knows no places",
	"testing":           "tests stand in test files",
	"plugin":            "there are none",
	"embed":             "files belong to host",
	"golang.org/x/sys/": "the operating system belongs to host",
}

// pureModules are the only foreign modules that a pure room may import.
var pureModules = []string{
	"filippo.io/edwards25519", "github.com/flynn/noise", "golang.org/x/crypto",
}

// clocks are the functions of package time that read a clock or start one.
var clocks = []string{
	"After", "AfterFunc", "NewTicker", "NewTimer", "Now", "Since", "Sleep", "Tick", "Until",
}

func TestPureRoomsDoNoIO(t *testing.T) {
	rooms := parseFloors(floors)
	globals := map[string][]string{}
	files := tree(t)
	for _, f := range files {
		if r, ok := find(rooms, f.room); ok && r.pure && !f.test {
			globals[f.room] = append(globals[f.room], globalNames(f)...)
		}
	}
	for _, f := range files {
		if r, ok := find(rooms, f.room); ok && r.pure && !f.test {
			for _, complaint := range impurities(f, globals[f.room]) {
				t.Error(complaint)
			}
		}
	}
}

// impurities lists what a file of a pure room does that it may not. globals are the names of
// the room's package-level variables.
func impurities(f file, globals []string) []string {
	var found []string
	complain := func(n ast.Node, format string, args ...any) {
		found = append(found, f.at(n)+": "+fmt.Sprintf(format, args...))
	}
	for i, path := range f.imports() {
		for name, reason := range impure {
			if path == name || strings.HasSuffix(name, "/") && strings.HasPrefix(path, name) {
				complain(f.ast.Imports[i], "a pure room imports %s: %s", path, reason)
			}
		}
		foreign := strings.Contains(strings.Split(path, "/")[0], ".")
		if foreign && !slices.ContainsFunc(pureModules, func(m string) bool {
			return path == m || strings.HasPrefix(path, m+"/")
		}) {
			complain(f.ast.Imports[i], "a pure room imports %s: not one of %v", path, pureModules)
		}
	}
	clock := f.importName("time")
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			complain(n, "a pure room starts a goroutine")
		case *ast.ChanType:
			complain(n, "a pure room has a channel")
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && clock != "" && x.Name == clock &&
				slices.Contains(clocks, n.Sel.Name) {
				complain(n, "a pure room reads a clock: time.%s", n.Sel.Name)
			}
		case *ast.FuncDecl:
			for _, change := range changes(n, globals) {
				complain(n, "a pure room changes its package-level variable %s", change)
			}
		}
		return true
	})
	for _, spec := range variables(f) {
		if len(spec.Values) == 0 {
			complain(spec, "a pure room has a package-level variable without a value: %s",
				spec.Names[0].Name)
		}
	}
	return found
}

// changes lists the package-level variables that a function assigns to.
func changes(f *ast.FuncDecl, globals []string) []string {
	var found []string
	own := locals(f)
	see := func(e ast.Expr) {
		name := written(e)
		if name != "_" && slices.Contains(globals, name) && !own[name] {
			found = append(found, name)
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, left := range n.Lhs {
				see(left)
			}
		case *ast.IncDecStmt:
			see(n.X)
		}
		return true
	})
	return found
}

// variables are the package-level variables of a file.
func variables(f file) []*ast.ValueSpec {
	var specs []*ast.ValueSpec
	for _, decl := range f.ast.Decls {
		d, ok := decl.(*ast.GenDecl)
		if !ok || d.Tok != token.VAR {
			continue
		}
		for _, spec := range d.Specs {
			specs = append(specs, spec.(*ast.ValueSpec))
		}
	}
	return specs
}

func globalNames(f file) []string {
	var names []string
	for _, spec := range variables(f) {
		for _, name := range spec.Names {
			names = append(names, name.Name)
		}
	}
	return names
}

// written returns the name at the root of what an assignment changes: x of x.y[i].z.
func written(e ast.Expr) string {
	for {
		switch x := e.(type) {
		case *ast.IndexExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

// locals are the names that a function declares anywhere inside: whoever shadows a
// package-level variable is believed to mean his own.
func locals(f *ast.FuncDecl) map[string]bool {
	names := map[string]bool{}
	add := func(e ast.Expr) {
		if name, ok := e.(*ast.Ident); ok {
			names[name.Name] = true
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok == token.DEFINE {
				for _, left := range n.Lhs {
					add(left)
				}
			}
		case *ast.RangeStmt:
			if n.Tok == token.DEFINE {
				add(n.Key)
				add(n.Value)
			}
		case *ast.ValueSpec:
			for _, name := range n.Names {
				add(name)
			}
		case *ast.Field:
			for _, name := range n.Names {
				add(name)
			}
		}
		return true
	})
	return names
}

func TestTheRulesOfPurityBite(t *testing.T) {
	for name, c := range map[string]struct{ source, want string }{
		"a file":      {`import "os"; var _ = os.Args`, "imports os"},
		"below os":    {`import "os/exec"; var _ = exec.Command`, "imports os/exec"},
		"a socket":    {`import "net"; type a = net.IP`, "imports net"},
		"an address":  {`import "net/netip"; type a = netip.Addr`, ""},
		"a log":       {`import "log/slog"; var _ = slog.Info`, "imports log/slog"},
		"dice":        {`import "crypto/rand"; var _ = rand.Reader`, "imports crypto/rand"},
		"a clock":     {`import "time"; func f() { time.Now() }`, "time.Now"},
		"a timer":     {`import "time"; func f() { time.AfterFunc(1, f) }`, "time.AfterFunc"},
		"renamed":     {`import u "time"; func f() { u.Sleep(1) }`, "time.Sleep"},
		"a duration":  {`import "time"; const d = 3 * time.Second`, ""},
		"goroutine":   {`func f() { go f() }`, "goroutine"},
		"channel":     {`type a struct { c chan int }`, "channel"},
		"stranger":    {`import "example.org/x"; var _ = x.Y`, "not one of"},
		"noise":       {`import "github.com/flynn/noise"; type a = noise.DHKey`, ""},
		"state":       {`var n int`, "without a value"},
		"an error":    {`import "errors"; var ErrX = errors.New("x")`, ""},
		"a table":     {`var names = [...]string{"a", "b"}`, ""},
		"counter":     {`var n = 0; func f() { n++ }`, "changes its package-level variable n"},
		"cache":       {`var m = map[int]int{}; func f() { m[1] = 2 }`, "variable m"},
		"shadowed":    {`var n = 0; func f() { n := 1; n++ }`, ""},
		"a parameter": {`var n = 0; func f(n int) { n++ }`, ""},
		"a field":     {`var n = 0; type a struct{ n int }; func (x *a) f() { x.n = 1 }`, ""},
	} {
		f := parse(t, "internal/ident/x.go", "package ident\n"+c.source)
		got := strings.Join(impurities(f, globalNames(f)), "\n")
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: want %q, got %q", name, c.want, got)
		}
	}
}
