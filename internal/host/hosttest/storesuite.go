// SPDX-License-Identifier: Apache-2.0

package hosttest

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
)

// StoreDevice is what the suite asks of a store.
type StoreDevice interface {
	Put(name string, data []byte) error
	Get(name string) ([]byte, error)
	List() ([]string, error)
	Delete(name string) error
	Close() error
}

// StoreHost is an empty store under test.
type StoreHost struct {
	Open   func() (StoreDevice, error)
	Locked error // what Open says while the store is open
}

// TestStore is the suite that the store and its twin both pass. open makes a fresh, empty one.
func TestStore(t *testing.T, open func(t *testing.T) StoreHost) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, h StoreHost)
	}{
		{"what was put can be had, also after reopening", storeKeeps},
		{"names are listed in order", storeLists},
		{"what was deleted is gone", storeDeletes},
		{"it cannot be opened twice", storeLocks},
		{"bad names are refused", storeRefuses},
		{"the caller's bytes stay the caller's", storeCopies},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

func openStore(t *testing.T, h StoreHost) StoreDevice {
	t.Helper()
	s, err := h.Open()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeStore(t *testing.T, s StoreDevice) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func putAll(t *testing.T, s StoreDevice, pairs ...string) {
	t.Helper()
	for pair := range slices.Chunk(pairs, 2) {
		if err := s.Put(pair[0], []byte(pair[1])); err != nil {
			t.Fatal(err)
		}
	}
}

func storeKeeps(t *testing.T, h StoreHost) {
	s := openStore(t, h)
	putAll(t, s, "a", "old", "a", "new", "empty", "")
	closeStore(t, s)
	s = openStore(t, h)
	defer closeStore(t, s)
	for name, want := range map[string]string{"a": "new", "empty": ""} {
		if got, err := s.Get(name); err != nil || string(got) != want {
			t.Errorf("%s holds %q (%v), want %q", name, got, err, want)
		}
	}
}

func storeLists(t *testing.T, h StoreHost) {
	s := openStore(t, h)
	defer closeStore(t, s)
	if names, err := s.List(); err != nil || len(names) != 0 {
		t.Errorf("a fresh store lists %q (%v)", names, err)
	}
	putAll(t, s, "b", "", "a", "", "c.1-x_y", "")
	names, err := s.List()
	if err != nil || !slices.Equal(names, []string{"a", "b", "c.1-x_y"}) {
		t.Errorf("listed %q (%v)", names, err)
	}
}

func storeDeletes(t *testing.T, h StoreHost) {
	s := openStore(t, h)
	defer closeStore(t, s)
	putAll(t, s, "a", "x")
	for range 2 {
		if err := s.Delete("a"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Get("a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
}

func storeLocks(t *testing.T, h StoreHost) {
	s := openStore(t, h)
	if _, err := h.Open(); !errors.Is(err, h.Locked) {
		t.Errorf("opened twice: %v", err)
	}
	closeStore(t, s)
	closeStore(t, openStore(t, h))
}

func storeRefuses(t *testing.T, h StoreHost) {
	s := openStore(t, h)
	defer closeStore(t, s)
	for _, name := range []string{
		"", ".", "..", ".lock", ".tmp-1", "-a", "_a", "A", "a/b", "../a", "a b", "a\x00", "ä",
		strings.Repeat("a", 201),
	} {
		_, get := s.Get(name)
		if s.Put(name, nil) == nil || get == nil || s.Delete(name) == nil {
			t.Errorf("name %q was accepted", name)
		}
	}
	putAll(t, s, strings.Repeat("a", 200), "")
}

func storeCopies(t *testing.T, h StoreHost) {
	s := openStore(t, h)
	defer closeStore(t, s)
	data := []byte("mine")
	if err := s.Put("a", data); err != nil {
		t.Fatal(err)
	}
	data[0] = 'X'
	got, err := s.Get("a")
	if err != nil || string(got) != "mine" {
		t.Fatalf("stored %q (%v)", got, err)
	}
	got[0] = 'Y'
	if again, err := s.Get("a"); err != nil || string(again) != "mine" {
		t.Errorf("stored %q (%v) after a reader changed its copy", again, err)
	}
}
