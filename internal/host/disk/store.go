// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	// MaxName is the longest name in bytes of a stored file. Common file systems take 255; the
	// rest is room for suffixes of other programs.
	MaxName = 200

	// MaxEntries bounds the files of one Store, so that listing it is bounded too: 4,096 tunnels
	// and room for as many other things.
	MaxEntries = 8192

	lockName = ".lock"
)

// Store is a directory of named files that one process owns.
//
// Its methods may be called by several goroutines for different names.
type Store struct {
	dir  string
	lock *os.File
}

// Open makes the directory (mode 0700) unless it exists, takes its lock and removes what a crash
// left half written. When another process has the lock, the error satisfies
// errors.Is(err, ErrLocked). The lock ends with the process, however that dies.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("disk: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("disk: %w", err)
	}
	if err := lockFile(lock); err != nil {
		return nil, errors.Join(fmt.Errorf("disk: open %s: %w", dir, err), lock.Close())
	}
	s := &Store{dir: dir, lock: lock}
	if err := s.sweep(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return s, nil
}

// sweep removes temporary files; under the lock they can only be leftovers.
func (s *Store) sweep() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("disk: %w", err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), tempPrefix) {
			continue
		}
		if err := os.Remove(filepath.Join(s.dir, e.Name())); err != nil {
			return fmt.Errorf("disk: remove leftover: %w", err)
		}
	}
	return nil
}

// Dir returns the directory.
func (s *Store) Dir() string { return s.dir }

// Close gives the lock back. The Store must not be used afterwards.
func (s *Store) Close() error {
	if err := s.lock.Close(); err != nil {
		return fmt.Errorf("disk: close %s: %w", s.dir, err)
	}
	return nil
}

// Put stores data (at most MaxFile bytes) under a name, readable by this user only. When it
// returns nil the content survives a power cut.
func (s *Store) Put(name string, data []byte) error {
	path, err := s.path(name)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		names, err := s.List()
		if err != nil {
			return err
		}
		if len(names) >= MaxEntries {
			return fmt.Errorf("disk: %s holds %d files: %w", s.dir, len(names), ErrTooBig)
		}
	}
	return WriteFile(path, data, 0o600)
}

// Get returns what is stored under a name. For a name without a file the error satisfies
// errors.Is(err, fs.ErrNotExist).
func (s *Store) Get(name string) ([]byte, error) {
	path, err := s.path(name)
	if err != nil {
		return nil, err
	}
	return ReadFile(path)
}

// List returns the stored names in ascending order.
func (s *Store) List() ([]string, error) {
	entries, err := os.ReadDir(s.dir) // sorted by name
	if err != nil {
		return nil, fmt.Errorf("disk: %w", err)
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() && ValidName(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// Delete removes a name for good. A name without a file is no error.
func (s *Store) Delete(name string) error {
	path, err := s.path(name)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return fmt.Errorf("disk: %w", err)
	}
	if err := syncDir(s.dir); err != nil {
		return fmt.Errorf("disk: delete %s: %w", name, err)
	}
	return nil
}

func (s *Store) path(name string) (string, error) {
	if !ValidName(name) {
		return "", fmt.Errorf("disk: name %q: %w", name, ErrName)
	}
	return filepath.Join(s.dir, name), nil
}

// ValidName reports whether a name may be stored: 1 to MaxName of the characters a-z, 0-9, dot,
// dash and underscore, of which the first is a letter or digit. Upper case is left out because
// some file systems do not tell it from lower case.
func ValidName(name string) bool {
	if name == "" || len(name) > MaxName {
		return false
	}
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		case i > 0 && (c == '.' || c == '-' || c == '_'):
		default:
			return false
		}
	}
	return true
}
