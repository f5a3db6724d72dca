// SPDX-License-Identifier: Apache-2.0

//go:build linux || darwin || freebsd || netbsd || openbsd

package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// chmod sets the permissions before any content is there, whatever the umask.
func chmod(f *os.File, perm fs.FileMode) error { return f.Chmod(perm) }

// checkSecret judges owner and permissions of an opened key file.
func checkSecret(path string, stat fs.FileInfo, owners []int) error {
	if mode := stat.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("%w: %s has mode %04o; type: chmod 600 %s", ErrExposed, path, mode, path)
	}
	sys, ok := stat.Sys().(*syscall.Stat_t)
	if ok && sys.Uid != 0 && int(sys.Uid) != os.Geteuid() &&
		!slices.Contains(owners, int(sys.Uid)) {
		return fmt.Errorf("%w: %s belongs to user %d; type: chown %d %s",
			ErrExposed, path, sys.Uid, os.Geteuid(), path)
	}
	return nil
}

// lockFile takes the lock or returns [ErrLocked] at once.
func lockFile(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrLocked
	}
	return err
}

// syncDir makes renames and removals in a directory survive a crash.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) {
		err = nil // some network and FUSE file systems cannot, and keep order by themselves
	}
	return errors.Join(err, d.Close())
}
