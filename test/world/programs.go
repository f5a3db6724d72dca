// SPDX-License-Identifier: Apache-2.0

//go:build linux

package world

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// NeedPrograms skips the test aloud where a program of somebody else's is not installed; with
// STAEX_WORLD=require it fails. `make test` installs what it may.
func (w *World) NeedPrograms(names ...string) {
	w.t.Helper()
	var missing []string
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		w.skip("not installed: %s; type: sudo scripts/need clients", strings.Join(missing, " "))
	}
}

// NeedFiles is NeedPrograms for what has no command: modules of somebody else's, by pattern.
func (w *World) NeedFiles(patterns ...string) {
	w.t.Helper()
	for _, p := range patterns {
		if found, err := filepath.Glob(p); err != nil || len(found) == 0 {
			w.skip("not installed: %s; type: sudo scripts/need clients", p)
		}
	}
}

// NeedUsers skips the test aloud where the sandbox has no other user than root, because some
// programs insist on becoming somebody else.
func (w *World) NeedUsers() {
	w.t.Helper()
	text, err := os.ReadFile("/proc/self/uid_map")
	if f := strings.Fields(string(text)); err != nil || len(f) != 3 || f[2] == "1" {
		w.skip("only root exists in this sandbox; type: sudo make test")
	}
}

// skip ends a test that can not run here.
func (w *World) skip(format string, args ...any) {
	w.t.Helper()
	s, ok := w.t.(interface{ Skipf(string, ...any) })
	if !ok || os.Getenv(requireEnv) == "require" {
		w.t.Fatalf(format, args...)
		return
	}
	s.Skipf("SKIPPED: "+format, args...)
}
