// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Playing the table takes long. That every check it takes away is still there, once, takes no
// time.
func TestEveryCheckIsWhereTheTableSaysItIs(t *testing.T) {
	for _, m := range mutants {
		code, err := os.ReadFile(filepath.Join("../../../..", filepath.FromSlash(m.file)))
		if err != nil {
			t.Errorf("%s: %v", m.name, err)
			continue
		}
		if n := strings.Count(string(code), m.old); n != 1 {
			t.Errorf("%s: %s has the check %d times; mend the table", m.name, m.file, n)
		}
	}
}
