// SPDX-License-Identifier: Apache-2.0

package disk_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"staex/internal/host/disk"
	"staex/internal/host/hosttest"
)

func TestTheStoreBehavesLikeItsTwin(t *testing.T) {
	hosttest.TestStore(t, func(t *testing.T) hosttest.StoreHost {
		dir := filepath.Join(t.TempDir(), "data")
		return hosttest.StoreHost{
			Locked: disk.ErrLocked,
			Open:   func() (hosttest.StoreDevice, error) { return disk.Open(dir) },
		}
	})
}

func TestWriteFileReplacesWithTheGivenPermissions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for _, perm := range []fs.FileMode{0o600, 0o644, 0o400} {
		want := []byte(perm.String())
		if err := disk.WriteFile(path, want, perm); err != nil {
			t.Fatal(err)
		}
		stat, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := disk.ReadFile(path)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("read %q (%v), want %q", got, err, want)
		}
		if runtime.GOOS != "windows" && stat.Mode().Perm() != perm {
			t.Errorf("mode %v, want %v", stat.Mode(), perm)
		}
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("%d files remain (%v), want 1", len(entries), err)
	}
}

func TestAFailedWriteLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.MkdirAll(filepath.Join(path, "child"), 0o700); err != nil {
		t.Fatal(err)
	}
	if disk.WriteFile(path, []byte("x"), 0o600) == nil {
		t.Error("a directory was replaced by a file")
	}
	if disk.WriteFile(filepath.Join(dir, "no", "f"), []byte("x"), 0o600) == nil {
		t.Error("a file was written into a directory that is not there")
	}
	err := disk.WriteFile(filepath.Join(dir, "big"), make([]byte, disk.MaxFile+1), 0o600)
	if !errors.Is(err, disk.ErrTooBig) {
		t.Errorf("got %v, want ErrTooBig", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("%d files remain (%v), want 1", len(entries), err)
	}
}

func TestOpenRemovesWhatACrashLeft(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{".tmp-123", "kept"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := disk.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := os.Stat(filepath.Join(dir, ".tmp-123")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the leftover is still there: %v", err)
	}
	if got, err := s.List(); err != nil || !slices.Equal(got, []string{"kept"}) {
		t.Errorf("List gives %q (%v)", got, err)
	}
}

func TestForeignFilesAreNotListed(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "UPPER CASE"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := disk.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got, err := s.List(); err != nil || len(got) != 0 {
		t.Errorf("List gives %q (%v), want nothing", got, err)
	}
}

func TestASecretThatOthersMayReadIsRefusedWithASentence(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("permissions mean something else here; run this test on a Unix system")
	}
	path := filepath.Join(t.TempDir(), "key")
	for _, tc := range []struct {
		mode fs.FileMode
		ok   bool
	}{
		{0o600, true},
		{0o400, true},
		{0o640, false},
		{0o604, false},
		{0o620, false},
		{0o777, false},
	} {
		if err := disk.WriteFile(path, []byte("secret"), tc.mode); err != nil {
			t.Fatal(err)
		}
		got, err := disk.ReadSecretFile(path)
		if tc.ok && (err != nil || string(got) != "secret") {
			t.Errorf("mode %o: %q, %v", tc.mode, got, err)
		}
		if !tc.ok && !errors.Is(err, disk.ErrExposed) {
			t.Errorf("mode %o: got %v, want ErrExposed", tc.mode, err)
		}
		if !tc.ok && !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("mode %o: the sentence is %q, want advice", tc.mode, err)
		}
	}
}

func TestWhatIsNoKeyFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	if _, err := disk.ReadSecretFile(dir); err == nil {
		t.Error("a directory was read")
	}
	if _, err := disk.ReadSecretFile(filepath.Join(dir, "no")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
	big := filepath.Join(dir, "big")
	if err := disk.WriteFile(big, make([]byte, disk.MaxSecret+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := disk.ReadSecretFile(big); !errors.Is(err, disk.ErrTooBig) {
		t.Errorf("got %v, want ErrTooBig", err)
	}
}

// TestMain is the other process of the next test when told so.
func TestMain(m *testing.M) {
	if dir := os.Getenv("DISK_TEST_OPEN"); dir != "" {
		if _, err := disk.Open(dir); errors.Is(err, disk.ErrLocked) {
			os.Exit(42)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestAnotherProcessCannotOpenTheDirectory(t *testing.T) {
	dir := t.TempDir()
	other := func() int {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "DISK_TEST_OPEN="+dir)
		err := cmd.Run()
		if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return cmd.ProcessState.ExitCode()
	}
	s, err := disk.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := other(); got != 42 {
		t.Errorf("while open, the other process ended with %d, want 42", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := other(); got != 0 {
		t.Errorf("after Close, the other process ended with %d, want 0", got)
	}
}
