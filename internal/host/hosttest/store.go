// SPDX-License-Identifier: Apache-2.0

package hosttest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
)

// ErrLocked is what a Disk answers when it is open already.
var ErrLocked = errors.New("hosttest: store is in use")

// Disk is a disk in memory: what is on it outlives the Stores opened on it, as a real one
// outlives processes. The zero value is empty.
type Disk struct {
	mu    sync.Mutex // guards what follows
	files map[string][]byte
	owner *Store
	fail  error
}

// Fail makes every later write and removal return err, as a full or broken disk does; nil repairs
// it.
func (d *Disk) Fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = err
}

// Crash takes the disk from whoever has it, as the death of a process does.
func (d *Disk) Crash() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.owner = nil
}

// Open returns the Store of the disk, of which there can be one at a time.
func (d *Disk) Open() (*Store, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.owner != nil {
		return nil, ErrLocked
	}
	if d.files == nil {
		d.files = map[string][]byte{}
	}
	d.owner = &Store{disk: d}
	return d.owner, nil
}

// Store is the twin of a disk.Store.
type Store struct{ disk *Disk }

// Dir returns a name that is no path.
func (s *Store) Dir() string { return "(memory)" }

// Put stores a copy of data.
func (s *Store) Put(name string, data []byte) error {
	return s.change("put", name, func(files map[string][]byte) {
		files[name] = bytes.Clone(data)
	})
}

// Delete removes a name; one without a file is no error.
func (s *Store) Delete(name string) error {
	return s.change("delete", name, func(files map[string][]byte) { delete(files, name) })
}

// Get returns a copy of what is stored; otherwise the error satisfies
// errors.Is(err, fs.ErrNotExist).
func (s *Store) Get(name string) ([]byte, error) {
	d := s.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := check("get", name); err != nil {
		return nil, err
	}
	data, ok := d.files[name]
	if !ok {
		return nil, fmt.Errorf("hosttest: get %s: %w", name, fs.ErrNotExist)
	}
	return append([]byte{}, data...), nil
}

// List returns the names in ascending order.
func (s *Store) List() ([]string, error) {
	s.disk.mu.Lock()
	defer s.disk.mu.Unlock()
	return slices.Sorted(maps.Keys(s.disk.files)), nil
}

// Close lets the disk be opened again.
func (s *Store) Close() error {
	s.disk.mu.Lock()
	defer s.disk.mu.Unlock()
	if s.disk.owner != s {
		return fmt.Errorf("hosttest: close store: %w", fs.ErrClosed)
	}
	s.disk.owner = nil
	return nil
}

func (s *Store) change(op, name string, do func(files map[string][]byte)) error {
	d := s.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := check(op, name); err != nil {
		return err
	}
	if d.owner != s {
		return fmt.Errorf("hosttest: %s %s: %w", op, name, fs.ErrClosed)
	}
	if d.fail != nil {
		return fmt.Errorf("hosttest: %s %s: %w", op, name, d.fail)
	}
	do(d.files)
	return nil
}

// check accepts the names a real Store accepts.
func check(op, name string) error {
	const first = "abcdefghijklmnopqrstuvwxyz0123456789"
	if name == "" || len(name) > 200 || !strings.Contains(first, name[:1]) ||
		strings.Trim(name, first+".-_") != "" {
		return fmt.Errorf("hosttest: %s %q: bad name: %w", op, name, fs.ErrInvalid)
	}
	return nil
}
