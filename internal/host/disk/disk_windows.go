// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

// chmod does nothing: who may read a file is inherited from its directory.
func chmod(*os.File, fs.FileMode) error { return nil }

// checkSecret does nothing, for the same reason.
func checkSecret(string, fs.FileInfo, []int) error { return nil }

// lockFile takes the lock or returns [ErrLocked] at once.
func lockFile(f *os.File) error {
	err := windows.LockFileEx(windows.Handle(f.Fd()),
		windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0,
		&windows.Overlapped{})
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return ErrLocked
	}
	return err
}

// syncDir does nothing: the file system journals its names.
func syncDir(string) error { return nil }
