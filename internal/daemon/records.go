// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"slices"

	"staex/internal/host/disk"
	"staex/internal/overlay/state"
)

const (
	// recordsDir holds the others, inside the data directory.
	recordsDir = "records"

	// rememberedFile lists, in there, the nodes below a root from one planned stop to the next
	// start.
	rememberedFile = "remembered"

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

// takeRemembered reads what the node remembered when it was stopped. A list that is damaged only
// means that the children tell everything again.
func (d *daemon) takeRemembered() iter.Seq[[]byte] {
	list, err := disk.TakeList(d.rememberedPath())
	d.log.problem("reading the nodes from before the restart", err)
	if len(list) == 0 {
		return nil
	}
	return slices.Values(list)
}

// keepRemembered writes down what the node knows about those below it. The goroutines have ended.
func (d *daemon) keepRemembered() error {
	if d.node == nil {
		return nil
	}
	count, err := disk.WriteList(d.rememberedPath(), d.node.Remember())
	if err != nil {
		return fmt.Errorf("keep the nodes below: %w", err)
	}
	if count > 0 {
		d.log.Info("the nodes below are kept for the next start", "nodes", count)
	}
	return nil
}

func (d *daemon) rememberedPath() string {
	return filepath.Join(d.files.cfg.Process.DataDir, recordsDir, rememberedFile)
}
