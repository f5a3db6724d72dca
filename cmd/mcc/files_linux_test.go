// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestACommandThatHoldsADirectoryForTooLongIsNamed(t *testing.T) {
	dir := t.TempDir()
	lock, err := os.Create(filepath.Join(dir, ".unfinished"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	err = writeWithin(0, []file{{filepath.Join(dir, "x"), nil, publicPerm}}, false)
	f := asFailure(err)
	if f.exit != exitFailed || !strings.Contains(f.message, dir) || f.hint == "" {
		t.Errorf("%d, %s, %s", f.exit, f.message, f.hint)
	}
}
