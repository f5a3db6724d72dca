// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"staex/internal/api"
	"staex/internal/host/disk"
	"staex/internal/overlay/node"
)

const (
	// leaseSecretName is where the secret behind the local addresses is kept.
	leaseSecretName = "lease-secret"
	leaseSecretSize = 32

	// retryStore is how long a value that the disk refused waits for its next try.
	retryStore = 10 * time.Second
)

// openStore opens the data directory, which belongs to one daemon at a time.
func (d *daemon) openStore() error {
	dir := d.files.cfg.Process.DataDir
	store, err := disk.Open(dir)
	switch {
	case err == nil:
		d.store = store
		d.later(store.Close)
		return nil
	case errors.Is(err, disk.ErrLocked):
		return failf(ExitData, "data-dir: another mccd uses %s", dir).
			withHint("stop it, or choose another data-dir in %s", d.files.path)
	case denied(err):
		return failf(ExitData, "data-dir: no permission to write %s", dir).
			withHint("run as root, or choose another data-dir in %s", d.files.path)
	case full(err):
		return d.damaged(err)
	}
	return failf(ExitData, "data-dir: %s", strings.TrimPrefix(err.Error(), "disk: ")).
		withHint("choose a directory that can be written for data-dir in %s", d.files.path)
}

// stored reads everything that was kept, and the lease secret, which is made at the first start.
func stored(s *disk.Store) (all map[string][]byte, secret [leaseSecretSize]byte, err error) {
	names, err := s.List()
	if err != nil {
		return nil, secret, err
	}
	all = make(map[string][]byte, len(names))
	for _, name := range names {
		if all[name], err = s.Get(name); err != nil {
			return nil, secret, err
		}
	}
	b, there := all[leaseSecretName]
	delete(all, leaseSecretName)
	if !there {
		if _, err := io.ReadFull(rand.Reader, secret[:]); err != nil {
			return nil, secret, fmt.Errorf("make the lease secret: %w", err)
		}
		return all, secret, s.Put(leaseSecretName, secret[:])
	}
	if len(b) != leaseSecretSize {
		return nil, secret, fmt.Errorf("%s has %d bytes, not %d", leaseSecretName, len(b),
			leaseSecretSize)
	}
	return all, [leaseSecretSize]byte(b), nil
}

// keeper writes values to the store and tries again what failed. Only the newest value of a name
// waits, so there are never more than the store may hold.
type keeper struct {
	store   valueStore
	waiting map[string][]byte
	again   time.Duration // when waiting values are tried again
	told    bool          // somebody was told that the store fails
}

// valueStore is what a keeper needs of a disk.Store.
type valueStore interface {
	Put(name string, data []byte) error
	Delete(name string) error
}

func newKeeper(s valueStore) *keeper { return &keeper{store: s, waiting: map[string][]byte{}} }

// put writes values; nil data removes a name. After an error, the first one, everything that is
// not on the disk waits, and what depends on it must not be sent.
func (k *keeper) put(now time.Duration, values []node.Record) error {
	if len(values) == 0 && (len(k.waiting) == 0 || now < k.again) {
		return nil
	}
	for _, v := range values {
		k.waiting[v.Name] = bytes.Clone(v.Data)
	}
	var first error
	for _, name := range slices.Sorted(maps.Keys(k.waiting)) {
		err := k.write(name, k.waiting[name])
		if err == nil {
			delete(k.waiting, name)
		} else if first == nil {
			first = err
		}
	}
	k.again = now + retryStore
	return first
}

func (k *keeper) write(name string, data []byte) error {
	if data == nil {
		err := k.store.Delete(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return k.store.Put(name, data)
}

// due is when put wants to be called although there is nothing new.
func (k *keeper) due() time.Duration {
	if len(k.waiting) == 0 {
		return node.Never
	}
	return k.again
}

// store writes what the node wants kept. The log says once that this fails and once that it works
// again, however often it is tried in between.
func (l *loop) store(now time.Duration) error {
	err := l.keep.put(now, l.out.Store)
	dir := l.d.files.cfg.Process.DataDir
	switch {
	case err != nil && !l.keep.told:
		l.d.log.Warn("the data directory cannot be written; what belongs there waits in memory",
			"dir", dir, "error", err.Error())
		l.keep.told = true
	case l.keep.told && len(l.keep.waiting) == 0:
		l.d.log.Info("the data directory can be written again, and nothing was lost", "dir", dir)
		l.keep.told = false
	}
	return err
}

// unstoredError tells a person whose request was carried out and does not stand on the disk.
func (d *daemon) unstoredError(err error) error {
	return api.Errorf(api.CodeFailed, "done, but not stored: %s",
		strings.TrimPrefix(err.Error(), "disk: ")).
		WithHint("make room in " + d.files.cfg.Process.DataDir +
			"; it is tried again, and a restart until then undoes the change")
}
