// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestRecordsBeyondMemoryGoToTheDiskAndComeBack(t *testing.T) {
	dir := t.TempDir()
	const inRAM = 100
	l := newRecordLog(dir, inRAM)
	offsets := make([]uint64, 0, inRAM+10)
	keep := func(i int) {
		at, err := l.Append(fmt.Appendf(nil, "record %d", i))
		if err != nil {
			t.Fatal(err)
		}
		offsets = append(offsets, at)
	}
	for i := range inRAM {
		keep(i)
	}
	if _, err := os.Stat(filepath.Join(dir, recordsDir)); err == nil {
		t.Error("the disk is used although memory is not full")
	}
	for i := range 10 {
		keep(inRAM + i)
	}
	for i, at := range offsets {
		if b, err := l.Read(at); err != nil || string(b) != fmt.Sprintf("record %d", i) {
			t.Fatalf("entry %d: %q, %v", i, b, err)
		}
	}
	for _, i := range []int{0, inRAM} {
		l.Drop(offsets[i])
	}
	if _, err := l.Read(offsets[0]); err == nil {
		t.Error("a dropped entry can be read")
	}
	if at, err := l.Append([]byte("again")); err != nil || at&inMemory == 0 {
		t.Errorf("the free place in memory is not used: %x, %v", at, err)
	}
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, recordsDir)); err != nil || len(left) > 0 {
		t.Errorf("left on the disk: %v, %v", left, err)
	}
}
