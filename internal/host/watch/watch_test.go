// SPDX-License-Identifier: Apache-2.0

//go:build linux

package watch_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"staex/internal/host/disk"
	"staex/internal/host/watch"
)

// patience is how long a change may take to be heard on a busy machine.
const patience = 20 * time.Second

// ear waits in a goroutine, as a daemon does.
func ear(w *watch.Dirs) <-chan bool {
	heard := make(chan bool, 16)
	go func() {
		defer close(heard)
		for w.Wait() {
			w.Add()
			heard <- true
		}
	}()
	return heard
}

func hears(t *testing.T, heard <-chan bool, what string) {
	t.Helper()
	select {
	case ok := <-heard:
		if !ok {
			t.Fatalf("%s: the watch has ended", what)
		}
	case <-time.After(patience):
		t.Fatalf("%s was not heard", what)
	}
}

func write(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWhatHappensToFilesThatMatterIsHeard(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "tunnels")
	w, err := watch.New([]string{dir}, ".conf", ".txt")
	if err != nil {
		t.Fatal(err)
	}
	heard := ear(w)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	hears(t, heard, "a directory that comes later")
	write(t, filepath.Join(dir, "a.conf"))
	write(t, filepath.Join(dir, "a-private-key.txt"))
	hears(t, heard, "new files")
	if err := disk.WriteFile(filepath.Join(dir, "a.conf"), []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	hears(t, heard, "a replaced file")
	if err := os.Remove(filepath.Join(dir, "a.conf")); err != nil {
		t.Fatal(err)
	}
	hears(t, heard, "a removed file")
	if err := os.Rename(dir, filepath.Join(top, "old")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	hears(t, heard, "another directory of the name")
	write(t, filepath.Join(dir, "b.conf"))
	hears(t, heard, "a file in it")
	w.Close()
	for ok := range heard {
		if ok {
			continue // a straggler
		}
	}
	w.Add() // a closed watch is no trap
}

func TestAFileThatIsHalfWrittenOrOfNobodyIsNotHeard(t *testing.T) {
	dir := t.TempDir()
	w, err := watch.New([]string{dir}, ".conf")
	if err != nil {
		t.Fatal(err)
	}
	heard := ear(w)
	for _, name := range []string{".tmp-123", "a.conf.new", "a.conf.old", "notes", ".unfinished"} {
		write(t, filepath.Join(dir, name))
	}
	// What is heard first is what comes after them.
	begin := time.Now()
	write(t, filepath.Join(dir, "a.conf"))
	hears(t, heard, "a file that matters")
	if quiet := time.Since(begin); quiet < watch.Settle {
		t.Errorf("it was told after %v, before the directory was quiet", quiet)
	}
	w.Close()
	for range heard {
		t.Error("something else was heard")
	}
}
