// SPDX-License-Identifier: Apache-2.0

//go:build linux

package priv

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// needed are the capabilities that Become and Give use.
var needed = []Capability{chown, setGID, setUID, setPCap}

// Give makes a file, directory or socket belong to an account. It follows no symbolic link and
// leaves a file with several names alone: whoever could write to its directory may have put a link
// to somebody else's file there. What is not there is no error.
func Give(path string, to Account) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("priv: give %s: %w", path, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("priv: give %s: %w", path, err)
	}
	kind := st.Mode & unix.S_IFMT
	switch {
	case kind == unix.S_IFLNK, kind == unix.S_IFREG && st.Nlink > 1:
		return fmt.Errorf("priv: give %s: %w", path, ErrLinked)
	case int(st.Uid) == to.UID && int(st.Gid) == to.GID:
		return nil
	}
	if err := unix.Fchownat(fd, "", to.UID, to.GID, unix.AT_EMPTY_PATH); err != nil {
		return fmt.Errorf("priv: give %s: %w", path, err)
	}
	return nil
}

// Owner tells whom a file or directory belongs to.
func Owner(path string) (Account, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return Account{}, fmt.Errorf("priv: owner of %s: %w", path, err)
	}
	return Account{int(st.Uid), int(st.Gid)}, nil
}

// GiveFiles gives a directory and those of its files whose names are chosen. A directory that is
// not there is no error.
func GiveFiles(dir string, to Account, chosen func(name string) bool) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("priv: %w", err)
	}
	errs := []error{Give(dir, to)}
	for _, e := range entries {
		if e.Type().IsRegular() && chosen(e.Name()) {
			errs = append(errs, Give(filepath.Join(dir, e.Name()), to))
		}
	}
	return errors.Join(errs...)
}

// MayBecome tells why this process cannot become an account, or nil: it lacks a capability that
// is needed, or its user namespace does not know the account. The error satisfies
// errors.Is(err, os.ErrPermission).
func MayBecome(to Account) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("priv: read capabilities: %w", err)
	}
	for _, c := range needed {
		if data[c/32].Effective&(1<<(c%32)) == 0 {
			return fmt.Errorf("priv: capability %d is missing: %w", c, os.ErrPermission)
		}
	}
	for file, id := range map[string]int{"uid_map": to.UID, "gid_map": to.GID} {
		text, err := os.ReadFile("/proc/self/" + file)
		if err == nil && !mapped(string(text), id) {
			return fmt.Errorf("priv: this user namespace has no number %d: %w", id,
				os.ErrPermission)
		}
	}
	return nil
}

// mapped reads /proc/self/uid_map (user_namespaces(7)).
func mapped(text string, id int) bool {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line) // first inside, first outside, count
		const columns = 3
		if len(fields) != columns {
			continue
		}
		first, err := strconv.ParseInt(fields[0], 10, 64)
		count, err2 := strconv.ParseInt(fields[2], 10, 64)
		if err == nil && err2 == nil && int64(id) >= first && int64(id)-first < count {
			return true
		}
	}
	return false
}
