// SPDX-License-Identifier: Apache-2.0

package disk_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"staex/internal/host/disk"
	"staex/internal/host/hosttest"
)

func openLog(t *testing.T, dir string) *disk.RecordLog {
	t.Helper()
	l, err := disk.OpenRecordLog(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func files(t *testing.T, dir string) int {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestTheRecordLogPassesTheSuite(t *testing.T) {
	hosttest.TestLog(t, func(t *testing.T) hosttest.LogDevice {
		return openLog(t, filepath.Join(t.TempDir(), "records"))
	})
}

func TestASegmentGoesWithItsLastEntry(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "records")
	l := openLog(t, dir)
	entry := bytes.Repeat([]byte("x"), disk.MaxLogEntry)
	var old []uint64
	for files(t, dir) < 3 {
		offset, err := l.Append(entry)
		if err != nil {
			t.Fatal(err)
		}
		old = append(old, offset)
	}
	last := old[len(old)-1]
	for i, offset := range old[:len(old)-1] {
		if got, err := l.Read(offset); err != nil || !bytes.Equal(got, entry) {
			t.Fatalf("entry %d: %v", i, err)
		}
		l.Drop(offset)
	}
	if n := files(t, dir); n != 1 {
		t.Errorf("%d files are left", n)
	}
	if _, err := l.Read(old[0]); !errors.Is(err, disk.ErrNoEntry) {
		t.Errorf("what was dropped: %v", err)
	}
	if got, err := l.Read(last); err != nil || !bytes.Equal(got, entry) {
		t.Errorf("the entry that stays: %v", err)
	}
}

func TestARecordLogBeginsEmptyAndEndsWithoutATrace(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "records")
	first := openLog(t, dir)
	offset, err := first.Append([]byte("from before"))
	if err != nil {
		t.Fatal(err)
	}
	second := openLog(t, dir) // after a crash: nobody closed the first
	if _, err := second.Read(offset); !errors.Is(err, disk.ErrNoEntry) {
		t.Errorf("an entry from before: %v", err)
	}
	if _, err := second.Append([]byte("now")); err != nil {
		t.Fatal(err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	if n := files(t, dir); n != 0 {
		t.Errorf("%d files are left", n)
	}
}

func TestAnEntryThatIsTooLongIsRefused(t *testing.T) {
	l := openLog(t, filepath.Join(t.TempDir(), "records"))
	if _, err := l.Append(make([]byte, disk.MaxLogEntry+1)); !errors.Is(err, disk.ErrTooBig) {
		t.Errorf("%v", err)
	}
}

func TestALogWithoutItsDirectoryFailsAndDoesNotPanic(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "records")
	l := openLog(t, dir)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append([]byte("x")); err == nil {
		t.Error("appended to nowhere")
	}
	if _, err := disk.OpenRecordLog(filepath.Join("/dev/null", "records")); err == nil {
		t.Error("opened a log below a device")
	}
}

func BenchmarkRecordLogAppend(b *testing.B) {
	l, err := disk.OpenRecordLog(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	entry := make([]byte, 280)
	for b.Loop() {
		offset, err := l.Append(entry)
		if err != nil {
			b.Fatal(err)
		}
		l.Drop(offset)
	}
}
