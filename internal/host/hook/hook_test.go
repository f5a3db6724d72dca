// SPDX-License-Identifier: Apache-2.0

//go:build unix

package hook_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"staex/internal/host/hook"
)

// from is a configuration file with permissions.
func from(t *testing.T, perm fs.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mcc.conf")
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chmod(path, perm)); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestACommandRunsAndItsFailureHasItsWords(t *testing.T) {
	file := from(t, 0o644)
	made := filepath.Join(t.TempDir(), "made")
	if err := hook.Run(t.Context(), file, "echo done > "+made); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(made); err != nil {
		t.Error(err)
	}
	err := hook.Run(t.Context(), file, "echo no such service >&2; exit 3")
	if err == nil || !strings.Contains(err.Error(), "exit status 3: no such service") {
		t.Errorf("got %v", err)
	}
	long := hook.Run(t.Context(), file, "head -c 5000 /dev/zero | tr '\\0' x; exit 1")
	if long == nil || len(long.Error()) > 500 {
		t.Errorf("an error of %d bytes", len(long.Error()))
	}
}

func TestNothingRunsFromAFileThatOthersMayChange(t *testing.T) {
	made := filepath.Join(t.TempDir(), "made")
	for _, perm := range []fs.FileMode{0o664, 0o646, 0o666} {
		err := hook.Run(t.Context(), from(t, perm), "touch "+made)
		if !errors.Is(err, hook.ErrOwner) {
			t.Errorf("%v: got %v", perm, err)
		}
	}
	if err := hook.Run(t.Context(), filepath.Join(t.TempDir(), "none"), "touch "+made); err == nil {
		t.Error("a command from no file was run")
	}
	if _, err := os.Stat(made); err == nil {
		t.Error("a command was run")
	}
}

func TestACommandThatDoesNotEndIsEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := hook.Run(ctx, from(t, 0o600), "sleep 1000"); err == nil {
		t.Error("no error")
	}
}
