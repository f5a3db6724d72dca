// SPDX-License-Identifier: Apache-2.0

package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

const (
	// WholeRecords is how many signed records a table without a log of its own keeps in memory.
	// The rows of all others are complete but for the signed bytes, which the branch below has.
	WholeRecords = 10_000

	// noEntry is the offset of a row whose bytes were not kept.
	noEntry = math.MaxUint64

	// sweepSlack is how many bytes may be appended before the table cleans up a log at all.
	sweepSlack = 1 << 20
	// sweepStep is how many rows are looked at for each record that is appended meanwhile: a sweep
	// ends long before the log has doubled again.
	sweepStep = 4
)

var (
	// ErrFull says that a log takes no more entries.
	ErrFull = errors.New("log is full")
	// ErrNoEntry says that a log has nothing at an offset.
	ErrNoEntry = errors.New("no such entry")
)

// Log keeps what a table does not hold in memory: the signed bytes of its rows. A table has one for
// itself, fills it from the start, and does not trust what comes back.
//
// An implementation may lay entries one behind the other and give space back only when all of a
// region were dropped: the table copies old entries forward from time to time. Package
// staex/internal/host/disk has one in a directory.
type Log interface {
	// Append keeps an entry of at most 4 kB and says where. The caller owns the entry afterwards.
	Append(entry []byte) (offset uint64, err error)
	// Read returns an entry that was appended and not dropped. The caller owns the result.
	Read(offset uint64) ([]byte, error)
	// Drop says that an entry will never be read again.
	Drop(offset uint64)
}

// Memory is a Log in memory, bounded by the number of its entries.
type Memory struct {
	limit   int
	entries [][]byte
	free    []uint32
}

// NewMemory returns an empty log of at most limit entries, 1 to 2^31.
func NewMemory(limit int) *Memory { return &Memory{limit: limit} }

// Append keeps a copy of the entry, or returns ErrFull.
func (m *Memory) Append(entry []byte) (uint64, error) {
	fresh := append(make([]byte, 0, len(entry)), entry...)
	if last := len(m.free) - 1; last >= 0 {
		i := m.free[last]
		m.free = m.free[:last]
		m.entries[i] = fresh
		return uint64(i), nil
	}
	if len(m.entries) >= m.limit {
		return 0, fmt.Errorf("append to memory of %d entries: %w", m.limit, ErrFull)
	}
	m.entries = append(m.entries, fresh)
	return uint64(len(m.entries) - 1), nil
}

// Read returns an entry, or ErrNoEntry.
func (m *Memory) Read(offset uint64) ([]byte, error) {
	if offset >= uint64(len(m.entries)) || m.entries[offset] == nil {
		return nil, fmt.Errorf("read entry %d: %w", offset, ErrNoEntry)
	}
	return append([]byte(nil), m.entries[offset]...), nil
}

// Drop forgets an entry.
func (m *Memory) Drop(offset uint64) {
	if offset < uint64(len(m.entries)) && m.entries[offset] != nil {
		m.entries[offset] = nil
		m.free = append(m.free, uint32(offset))
	}
}

// journal is a table's use of its log.
//
//	entry: length of the record (2) | record | certificate
type journal struct {
	log     Log
	sweeps  bool
	live    int64 // bytes of the entries that rows point to
	written int64 // bytes appended since the last sweep began
	age     uint8 // of the entries written since then, 0 or 1
	cursor  rowID // the sweep has seen the rows below; noRow when none is under way
}

func newJournal(log Log) journal {
	_, memory := log.(*Memory)
	return journal{log: log, sweeps: !memory, cursor: noRow}
}

// write appends a row's bytes. When the log fails or is full, the row goes on without them.
func (j *journal) write(r *row, encoded, cert []byte) {
	entry := make([]byte, 0, 2+len(encoded)+len(cert))
	entry = binary.BigEndian.AppendUint16(entry, uint16(len(encoded)))
	entry = append(append(entry, encoded...), cert...)
	j.append(r, entry)
}

func (j *journal) append(r *row, entry []byte) {
	j.drop(r)
	offset, err := j.log.Append(entry)
	if err != nil || offset == noEntry || len(entry) > math.MaxUint16 {
		return
	}
	r.offset, r.size, r.age = offset, uint16(len(entry)), j.age
	j.live += int64(len(entry))
	j.written += int64(len(entry))
}

// drop gives a row's bytes up.
func (j *journal) drop(r *row) {
	if r.offset != noEntry {
		j.log.Drop(r.offset)
		j.live -= int64(r.size)
	}
	r.offset, r.size = noEntry, 0
}

// read returns the signed bytes of a row and the certificate that came with them, or nil when they
// are gone or are not what was written.
func (j *journal) read(r *row) (rec *Record, encoded, cert []byte) {
	if r.offset == noEntry {
		return nil, nil, nil
	}
	entry, err := j.log.Read(r.offset)
	if err != nil || len(entry) != int(r.size) || len(entry) < 2 {
		return nil, nil, nil
	}
	n := 2 + int(binary.BigEndian.Uint16(entry))
	if n > len(entry) {
		return nil, nil, nil
	}
	rec, err = parseRecord(entry[2:n])
	if err != nil || rec.Key != r.key || rec.Seq != r.seqNumber() || sumOf(entry[2:n]) != r.sum {
		return nil, nil, nil
	}
	return rec, entry[2:n:n], entry[n:len(entry):len(entry)]
}

// sweep copies old entries forward, a few at each call, once the log holds twice as much dead as
// living: when all rows were seen, nothing points to what was written before.
func (j *journal) sweep(rows *rowStore) {
	if !j.sweeps {
		return
	}
	if j.cursor == noRow {
		if j.written < 2*j.live+sweepSlack {
			return
		}
		j.cursor, j.written = 0, 0
		j.age ^= 1
	}
	for range sweepStep {
		if j.cursor >= rows.used {
			j.cursor = noRow
			return
		}
		r := rows.at(j.cursor)
		j.cursor++
		if r.kind == 0 || r.offset == noEntry || r.age == j.age {
			continue
		}
		entry, err := j.log.Read(r.offset)
		if err != nil {
			j.drop(r)
			continue
		}
		j.append(r, entry)
	}
}
