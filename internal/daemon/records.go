// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"path/filepath"

	"staex/internal/host/disk"
	"staex/internal/overlay/state"
)

const (
	// recordsDir holds the others, inside the data directory.
	recordsDir = "records"

	// inMemory marks the offsets of entries in memory. The disk's never reach it.
	inMemory = 1 << 63
)

// recordLog keeps the first records in memory and the others on the disk. The node's goroutine
// owns it.
type recordLog struct {
	dir    string
	memory *state.Memory
	disk   *disk.RecordLog // nil until memory is full
}

func newRecordLog(dataDir string, inMemory int) *recordLog {
	return &recordLog{
		dir: filepath.Join(dataDir, recordsDir), memory: state.NewMemory(inMemory),
	}
}

// Append keeps an entry and says where.
func (l *recordLog) Append(entry []byte) (uint64, error) {
	at, err := l.memory.Append(entry)
	if !errors.Is(err, state.ErrFull) {
		return at | inMemory, err
	}
	if l.disk == nil {
		if l.disk, err = disk.OpenRecordLog(l.dir); err != nil {
			return 0, err
		}
	}
	return l.disk.Append(entry)
}

// Read returns an entry.
func (l *recordLog) Read(at uint64) ([]byte, error) {
	if at&inMemory != 0 {
		return l.memory.Read(at &^ inMemory)
	}
	if l.disk == nil {
		return nil, state.ErrNoEntry
	}
	return l.disk.Read(at)
}

// Drop forgets an entry.
func (l *recordLog) Drop(at uint64) {
	switch {
	case at&inMemory != 0:
		l.memory.Drop(at &^ inMemory)
	case l.disk != nil:
		l.disk.Drop(at)
	}
}

// close removes what is on the disk.
func (l *recordLog) close() error {
	if l.disk == nil {
		return nil
	}
	return l.disk.Close()
}
