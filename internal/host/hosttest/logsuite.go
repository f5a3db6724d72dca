// SPDX-License-Identifier: Apache-2.0

package hosttest

import (
	"bytes"
	"fmt"
	"testing"
)

// LogDevice is what the suite asks of a log of records.
type LogDevice interface {
	Append(entry []byte) (offset uint64, err error)
	Read(offset uint64) ([]byte, error)
	Drop(offset uint64)
}

// TestLog is the suite that every log of records passes. open makes a fresh, empty one.
func TestLog(t *testing.T, open func(t *testing.T) LogDevice) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, l LogDevice)
	}{
		{"what was appended can be read", logKeeps},
		{"the caller's bytes stay the caller's", logCopies},
		{"what was dropped leaves the others alone", logDrops},
		{"an offset that was never given is an error", logRefuses},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

func appendTo(t *testing.T, l LogDevice, entry []byte) uint64 {
	t.Helper()
	offset, err := l.Append(entry)
	if err != nil {
		t.Fatal(err)
	}
	return offset
}

func reads(t *testing.T, l LogDevice, offset uint64, want []byte) {
	t.Helper()
	if got, err := l.Read(offset); err != nil || !bytes.Equal(got, want) {
		t.Errorf("at %d: %.40q, %v, want %.40q", offset, got, err, want)
	}
}

func logEntry(i int) []byte { return bytes.Repeat([]byte(fmt.Sprint("entry ", i)), 1+i%60) }

func logKeeps(t *testing.T, l LogDevice) {
	var offsets []uint64
	for i := range 300 {
		offsets = append(offsets, appendTo(t, l, logEntry(i)))
	}
	for i, offset := range offsets {
		reads(t, l, offset, logEntry(i))
	}
}

func logCopies(t *testing.T, l LogDevice) {
	entry := []byte("entry")
	offset := appendTo(t, l, entry)
	clear(entry)
	got, err := l.Read(offset)
	if err != nil {
		t.Fatal(err)
	}
	reads(t, l, offset, []byte("entry"))
	clear(got)
	reads(t, l, offset, []byte("entry"))
}

func logDrops(t *testing.T, l LogDevice) {
	kept := map[uint64]int{}
	for i := range 300 {
		offset := appendTo(t, l, logEntry(i))
		if i%7 == 0 {
			kept[offset] = i
		} else {
			l.Drop(offset)
		}
	}
	for offset, i := range kept {
		reads(t, l, offset, logEntry(i))
		l.Drop(offset)
	}
	reads(t, l, appendTo(t, l, []byte("behind")), []byte("behind"))
}

func logRefuses(t *testing.T, l LogDevice) {
	offset := appendTo(t, l, []byte("one"))
	for _, wrong := range []uint64{offset + 1<<20, offset + 1<<40, 1<<64 - 1} {
		if got, err := l.Read(wrong); err == nil {
			t.Errorf("at %d: %q", wrong, got)
		}
	}
}
