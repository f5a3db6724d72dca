// SPDX-License-Identifier: Apache-2.0

//go:build linux

package watch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	watchInside = unix.IN_CREATE | unix.IN_CLOSE_WRITE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM |
		unix.IN_DELETE | unix.IN_ATTRIB | unix.IN_ONLYDIR
	watchAbove = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_ONLYDIR
)

// Dirs tells when files in a few directories change (inotify(7)). It also watches the directories
// above, because those it is about may not exist yet. One goroutine at a time may wait; the other
// methods may be called by any.
type Dirs struct {
	dirs     []string
	suffixes []string
	file     *os.File // nil where the system has no watches left
}

// New begins to watch files whose names end in one of the suffixes. After an error, as when the
// system has no watches left, the result is usable and hears nothing.
func New(dirs []string, suffixes ...string) (*Dirs, error) {
	w := &Dirs{dirs: dirs, suffixes: suffixes}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return w, fmt.Errorf("watch: %s: %w", strings.Join(dirs, ", "), err)
	}
	w.file = os.NewFile(uintptr(fd), "inotify")
	w.Add()
	return w, nil
}

// Add watches what is there now: after a change some directory may be a new one of its name. What
// is watched already stays so.
func (w *Dirs) Add() {
	if w.file == nil {
		return
	}
	raw, err := w.file.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { // an error means that the watch is closed
		// A directory that is not there cannot be watched; the one above tells when it comes.
		for _, dir := range w.dirs {
			_, _ = unix.InotifyAddWatch(int(fd), filepath.Dir(dir), watchAbove)
		}
		for _, dir := range w.dirs {
			_, _ = unix.InotifyAddWatch(int(fd), dir, watchInside)
		}
	})
}

// Close ends the watch and whoever waits for it.
func (w *Dirs) Close() {
	if w.file != nil {
		_ = w.file.Close() // closed already is as good
	}
}

// Wait returns true when a directory has changed and is quiet again, false when the watch is
// closed or hears nothing.
func (w *Dirs) Wait() bool {
	if w.file == nil {
		return false
	}
	buf := make([]byte, 4096)
	relevant := false
	var last time.Time // when waiting for quiet ends in any case
	for {
		deadline := time.Time{}
		if relevant {
			if deadline = time.Now().Add(Settle); deadline.After(last) {
				deadline = last
			}
		}
		if err := w.file.SetReadDeadline(deadline); err != nil {
			return false
		}
		n, err := w.file.Read(buf)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return true
		case err != nil:
			return false
		case w.concerns(buf[:n]) && !relevant:
			relevant, last = true, time.Now().Add(SettleMost)
		}
	}
}

// concerns tells whether events are about files that matter, or about a directory itself.
//
//	0         4       8         12       16
//	+---------+-------+---------+--------+-------------
//	| watch   | mask  | cookie  | length | name, zeros
//	+---------+-------+---------+--------+-------------
func (w *Dirs) concerns(events []byte) bool {
	for len(events) >= unix.SizeofInotifyEvent {
		mask := binary.NativeEndian.Uint32(events[4:])
		length := int(binary.NativeEndian.Uint32(events[12:]))
		size := min(unix.SizeofInotifyEvent+length, len(events))
		name := strings.TrimRight(string(events[unix.SizeofInotifyEvent:size]), "\x00")
		itself := func(dir string) bool { return name == filepath.Base(dir) }
		matters := func(suffix string) bool { return strings.HasSuffix(name, suffix) }
		if mask&unix.IN_Q_OVERFLOW != 0 || slices.ContainsFunc(w.dirs, itself) ||
			slices.ContainsFunc(w.suffixes, matters) {
			return true
		}
		events = events[size:]
	}
	return false
}
