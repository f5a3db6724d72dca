// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// This test is inside the room: from outside nobody can pull the plug between two of its steps.

// contents is what stands in a directory, apart from what a crash may leave beside.
func contents(t *testing.T, dir string, all bool) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		suffix := filepath.Ext(e.Name())
		if !all && (suffix == newSuffix || suffix == oldSuffix || suffix == markName) {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, fmt.Sprintf("%s=%s", e.Name(), data))
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// node makes a directory with two files and returns three to write, one of them new.
func node(t *testing.T) (dir string, files []File) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range []string{"key", "cert"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("before"), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, File{filepath.Join(dir, name), []byte("after"), 0o600, false})
	}
	return dir, append(files, File{filepath.Join(dir, "names"), []byte("after"), 0o600, false})
}

const (
	before = "cert=before key=before"
	after  = "cert=after key=after names=after"
)

func TestFilesWrittenTogetherStandAndNothingElse(t *testing.T) {
	dir, files := node(t)
	for range 2 {
		if err := WriteFiles(files); err != nil {
			t.Fatal(err)
		}
		if got := contents(t, dir, true); got != after {
			t.Errorf("the directory holds %s", got)
		}
	}
	if err := WriteFiles(nil); err != nil {
		t.Error(err)
	}
}

func TestAFileThatHasToBeNewIsNeverReplaced(t *testing.T) {
	dir, files := node(t)
	files[1].New, files[2].New = true, true
	if err := WriteFiles(files); !errors.Is(err, fs.ErrExist) {
		t.Errorf("it was replaced: %v", err)
	}
	if got := contents(t, dir, true); got != before {
		t.Errorf("the directory holds %s", got)
	}
	if err := WriteFiles(files[2:]); err != nil {
		t.Error(err)
	}
}

func TestACrashAtAnyStepLeavesTheOldOrTheNewFiles(t *testing.T) {
	dir, files := node(t)
	steps := len((&together{dir: dir, files: files}).steps())
	seen := map[string]int{}
	for crash := range steps + 1 {
		dir, files := node(t)
		w := &together{dir: dir, files: files}
		if err := w.begin(); err != nil {
			t.Fatal(err)
		}
		for _, step := range w.steps()[:crash] {
			if err := step(); err != nil {
				t.Fatal(err)
			}
		}
		w.mark.Close() // the process is gone, and its lock with it
		// So is the first one that tries to recover, half way.
		if again := (&together{dir: dir}); Unfinished(dir) {
			text, err := ReadFile(filepath.Join(dir, markName))
			if err != nil {
				t.Fatal(err)
			}
			again.lines = strings.Split(strings.TrimSpace(string(text)), "\n")[1:]
			again.mark, err = os.Open(os.DevNull)
			if err != nil {
				t.Fatal(err)
			}
			_ = again.putBack() // it cannot clear the mark
			again.mark.Close()
		}
		if err := Recover(dir); err != nil {
			t.Fatal(err)
		}
		got := contents(t, dir, false)
		if got != before && got != after {
			t.Errorf("after a crash at step %d of %d: %s", crash, steps, got)
		}
		seen[got]++
		if err := WriteFiles(files); err != nil {
			t.Fatal(err)
		}
		if got := contents(t, dir, true); got != after {
			t.Errorf("written again after a crash at step %d: %s", crash, got)
		}
	}
	if seen[before] == 0 || seen[after] == 0 {
		t.Errorf("the crashes left %v", seen)
	}
}

func TestAnErrorAtAnyFileLeavesTheOldOnes(t *testing.T) {
	for _, name := range []string{"key", "cert", "names"} {
		dir, files := node(t)
		target := filepath.Join(dir, name)
		if err := errors.Join(removeIfThere(target), os.Mkdir(target, 0o700)); err != nil {
			t.Fatal(err)
		}
		if err := WriteFiles(files); err == nil {
			t.Errorf("a directory %s was replaced by a file", name)
		}
		if err := os.Remove(target); err != nil {
			t.Fatal(err)
		}
		for part := range strings.FieldsSeq(contents(t, dir, true)) {
			if !strings.HasSuffix(part, "=before") {
				t.Errorf("with a bad %s: %s is left", name, part)
			}
		}
	}
}

func TestAnErrorWhileFilesAreMovedLeavesTheOldOnes(t *testing.T) {
	dir, files := node(t)
	w := &together{dir: dir, files: files}
	if err := w.begin(); err != nil {
		t.Fatal(err)
	}
	steps := w.steps()
	for _, step := range steps[:len(steps)-7] { // two are moved, the third not yet
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	if got := contents(t, dir, false); got != "cert=after key=after" {
		t.Fatalf("half way the directory holds %s", got)
	}
	if err := w.undo(); err != nil {
		t.Fatal(err)
	}
	w.end()
	if got := contents(t, dir, true); got != before {
		t.Errorf("undone, the directory holds %s", got)
	}
}

func TestTwoDoNotWriteTogether(t *testing.T) {
	dir, files := node(t)
	w := &together{dir: dir, files: files}
	if err := w.begin(); err != nil {
		t.Fatal(err)
	}
	if err := WriteFiles(files); !errors.Is(err, ErrLocked) {
		t.Errorf("got %v, want ErrLocked", err)
	}
	w.end()
	if err := WriteFiles(files); err != nil {
		t.Error(err)
	}
	elsewhere := append(slices.Clone(files), File{Path: filepath.Join(t.TempDir(), "x")})
	if err := WriteFiles(elsewhere); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("got %v, want ErrInvalid", err)
	}
	if got := contents(t, dir, true); got != after {
		t.Errorf("the directory holds %s", got)
	}
}
