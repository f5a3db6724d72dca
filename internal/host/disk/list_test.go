// SPDX-License-Identifier: Apache-2.0

package disk_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"staex/internal/host/disk"
)

func TestAListIsReadOnceAsItWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deeper", "list")
	want := [][]byte{[]byte("one"), {}, bytes.Repeat([]byte{7}, disk.MaxLogEntry), []byte("four")}
	long := make([]byte, disk.MaxLogEntry+1)
	n, err := disk.WriteList(path, slices.Values(append([][]byte{long}, want...)))
	if err != nil || n != len(want) {
		t.Fatalf("wrote %d, %v", n, err)
	}
	if stat, err := os.Stat(path); err != nil || stat.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", stat.Mode(), err)
	}
	got, err := disk.TakeList(path)
	if err != nil || !slices.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("read %d entries, %v", len(got), err)
	}
	if got, err := disk.TakeList(path); err != nil || got != nil {
		t.Errorf("a second time: %d entries, %v", len(got), err)
	}
	if _, err := disk.WriteList(path, slices.Values(want)); err != nil {
		t.Fatal(err)
	}
	if n, err := disk.WriteList(path, slices.Values([][]byte(nil))); n != 0 || err != nil {
		t.Errorf("wrote %d, %v", n, err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty list leaves a file: %v", err)
	}
}

func TestADamagedListIsRefusedAndRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list")
	words := [][]byte{[]byte("one"), []byte("two")}
	if _, err := disk.WriteList(path, slices.Values(words)); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		flipped := bytes.Clone(good)
		flipped[i] ^= 1
		for _, bad := range [][]byte{flipped, good[:i]} {
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			if got, err := disk.TakeList(path); !errors.Is(err, disk.ErrDamaged) || got != nil {
				t.Fatalf("byte %d: %d entries, %v", i, len(got), err)
			}
			if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("byte %d: the file stays: %v", i, err)
			}
		}
	}
}
