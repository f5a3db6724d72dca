// SPDX-License-Identifier: Apache-2.0

package law

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// requirement finds a module and its version on a line of go.mod.
var requirement = regexp.MustCompile(`(?m)^(?:require)?\s+(\S+\.\S+/\S+) (v\S+)`)

// listed finds the modules of DEPENDENCIES.md: the first cell of a table's row.
var listed = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|")

// required returns the modules of go.mod.
func required(t *testing.T) []string {
	t.Helper()
	var modules []string
	for _, m := range requirement.FindAllStringSubmatch(read(t, "go.mod"), -1) {
		modules = append(modules, m[1])
	}
	if len(modules) == 0 {
		t.Fatal("found no module in go.mod")
	}
	return modules
}

func TestEveryModuleIsInDependenciesAndTheReverse(t *testing.T) {
	text := read(t, "DEPENDENCIES.md")
	direct, _, ok := strings.Cut(text, "\n## Indirect")
	if !ok {
		t.Fatal("DEPENDENCIES.md has no section Indirect")
	}
	names := func(text string) []string {
		var modules []string
		for _, m := range listed.FindAllStringSubmatch(text, -1) {
			modules = append(modules, m[1])
		}
		return modules
	}
	modules := required(t)
	for _, m := range modules {
		if !slices.Contains(names(text), m) {
			t.Errorf("go.mod requires %s, DEPENDENCIES.md does not say what for", m)
		}
	}
	for _, m := range names(text) {
		if !slices.Contains(modules, m) {
			t.Errorf("DEPENDENCIES.md lists %s, go.mod does not require it", m)
		}
	}
	for _, f := range tree(t) {
		for _, path := range f.imports() {
			i := slices.IndexFunc(modules, func(m string) bool {
				return path == m || strings.HasPrefix(path, m+"/")
			})
			if i >= 0 && !slices.Contains(names(direct), modules[i]) {
				t.Errorf("%s imports %s, which DEPENDENCIES.md calls indirect", f.path, path)
			}
		}
	}
}

// sole finds the modules of which DEPENDENCIES.md says that one room alone imports them.
var sole = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|.*only `([^`]+)` imports it")

func TestAModuleOfOneRoomIsImportedByNoOther(t *testing.T) {
	rows := sole.FindAllStringSubmatch(read(t, "DEPENDENCIES.md"), -1)
	if len(rows) == 0 {
		t.Fatal("DEPENDENCIES.md keeps no module to one room")
	}
	for _, f := range tree(t) {
		if f.test {
			continue // tests may look at the same things another way
		}
		for _, path := range f.imports() {
			for _, row := range rows {
				if (path == row[1] || strings.HasPrefix(path, row[1]+"/")) &&
					f.room != row[2] {
					t.Errorf("%s imports %s, which belongs to %s alone", f.path, path, row[2])
				}
			}
		}
	}
}

func TestNoModuleIsReplaced(t *testing.T) {
	for _, path := range []string{"go.mod", "tools/go.mod", "tools/packages.mod"} {
		if regexp.MustCompile(`(?m)^\s*replace\b`).MatchString(read(t, path)) {
			t.Errorf("%s replaces a module: nobody else would build what we test", path)
		}
	}
}
