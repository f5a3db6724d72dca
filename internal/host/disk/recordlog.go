// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	// MaxLogEntry bounds one entry of a RecordLog in bytes: a record and a certificate have less
	// than 1 kB.
	MaxLogEntry = 4096

	// segmentSize is the size in bytes at which a segment is full: a million records fill some
	// twenty files, all of them open.
	segmentSize = 16 << 20

	segmentPrefix = "segment-"
	entryHead     = 2
)

// ErrNoEntry is returned by RecordLog.Read when there is nothing at an offset.
var ErrNoEntry = errors.New("disk: no such entry in the log")

// RecordLog is a log of small entries in a directory of its own. It is a place for what does not
// fit in memory and can be had again, so nothing is synced and nothing survives a restart.
//
// Entries are appended to segments; a segment is removed when the last entry in it was dropped.
// Whoever uses the log copies the survivors of old segments forward, else they stay on the disk.
//
//	segment: { length of the entry (2, big endian) | entry } ...
//	offset:  number of the segment (32 bits) | position in it (32 bits)
//
// A RecordLog is used by one goroutine at a time.
type RecordLog struct {
	dir      string
	segments map[uint32]*segment
	last     uint32 // number of the segment that grows
}

type segment struct {
	file *os.File
	size int64
	live int // entries that were not dropped
}

// OpenRecordLog makes the directory (mode 0700) unless it exists and removes what an earlier
// process left in it.
func OpenRecordLog(dir string) (*RecordLog, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("disk: open log: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("disk: open log: %w", err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), segmentPrefix) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return nil, fmt.Errorf("disk: open log: remove leftover: %w", err)
		}
	}
	return &RecordLog{dir: dir, segments: map[uint32]*segment{}}, nil
}

// Append writes an entry of at most MaxLogEntry bytes and returns where it lies. A later entry has
// a higher offset. When it fails, as on a full disk, the log stays usable.
func (l *RecordLog) Append(entry []byte) (offset uint64, err error) {
	if len(entry) > MaxLogEntry {
		return 0, fmt.Errorf("disk: append %d bytes to log: %w", len(entry), ErrTooBig)
	}
	s := l.segments[l.last]
	if s == nil || s.size+entryHead+int64(len(entry)) > segmentSize {
		if s, err = l.begin(); err != nil {
			return 0, err
		}
	}
	b := binary.BigEndian.AppendUint16(make([]byte, 0, entryHead+len(entry)), uint16(len(entry)))
	if _, err := s.file.WriteAt(append(b, entry...), s.size); err != nil {
		return 0, fmt.Errorf("disk: append to log: %w", err) // the next one overwrites the torn one
	}
	offset = uint64(l.last)<<32 | uint64(s.size)
	s.size += entryHead + int64(len(entry))
	s.live++
	return offset, nil
}

// begin starts another segment.
func (l *RecordLog) begin() (*segment, error) {
	name := filepath.Join(l.dir, fmt.Sprintf("%s%08x", segmentPrefix, l.last+1))
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("disk: begin a segment of the log: %w", err)
	}
	full := l.last
	l.last++
	s := &segment{file: f}
	l.segments[l.last] = s
	if old := l.segments[full]; old != nil && old.live == 0 {
		l.remove(full, old)
	}
	return s, nil
}

// Read returns an entry. For an offset without one the error satisfies errors.Is(err, ErrNoEntry).
func (l *RecordLog) Read(offset uint64) ([]byte, error) {
	number, at := uint32(offset>>32), int64(offset&0xffffffff)
	s := l.segments[number]
	if s == nil || at+entryHead > s.size {
		return nil, fmt.Errorf("disk: read log at %x: %w", offset, ErrNoEntry)
	}
	var head [entryHead]byte
	if _, err := s.file.ReadAt(head[:], at); err != nil {
		return nil, fmt.Errorf("disk: read log at %x: %w", offset, err)
	}
	entry := make([]byte, binary.BigEndian.Uint16(head[:]))
	if len(entry) > MaxLogEntry || at+entryHead+int64(len(entry)) > s.size {
		return nil, fmt.Errorf("disk: read log at %x: %w", offset, ErrNoEntry)
	}
	if _, err := s.file.ReadAt(entry, at+entryHead); err != nil {
		return nil, fmt.Errorf("disk: read log at %x: %w", offset, err)
	}
	return entry, nil
}

// Drop says that an entry will not be read again. Each offset may be dropped once.
func (l *RecordLog) Drop(offset uint64) {
	number := uint32(offset >> 32)
	s := l.segments[number]
	if s == nil {
		return
	}
	if s.live--; s.live <= 0 && number != l.last {
		l.remove(number, s)
	}
}

// remove gives a segment back. Should its file stay behind, the next start removes it.
func (l *RecordLog) remove(number uint32, s *segment) {
	delete(l.segments, number)
	name := s.file.Name()
	_, _ = s.file.Close(), os.Remove(name)
}

// Close removes the log.
func (l *RecordLog) Close() error {
	var errs []error
	for number, s := range l.segments {
		delete(l.segments, number)
		errs = append(errs, s.file.Close())
		if err := os.Remove(s.file.Name()); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("disk: close log: %w", err)
	}
	return nil
}
