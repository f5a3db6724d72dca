// SPDX-License-Identifier: Apache-2.0

//go:build linux

package daemon

import (
	"context"
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
	// settle is how long a directory must be quiet before it is read: files come in groups.
	settle = 300 * time.Millisecond
	// settleMost is how long changes that never stop can put that off.
	settleMost = 3 * time.Second

	watchInside = unix.IN_CREATE | unix.IN_CLOSE_WRITE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM |
		unix.IN_DELETE | unix.IN_ATTRIB | unix.IN_ONLYDIR
	watchAbove = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_ONLYDIR
)

// dirWatch tells when one of a few directories changes (inotify(7)), so that nobody has to look
// again and again. It also watches those above, because the ones it is about may not exist yet.
type dirWatch struct {
	dirs []string
	file *os.File // nil where the system has no watches left
}

func newDirWatch(dirs ...string) (*dirWatch, error) {
	w := &dirWatch{dirs: dirs}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return w, fmt.Errorf("watch %s: %w", strings.Join(dirs, ", "), err)
	}
	w.file = os.NewFile(uintptr(fd), "inotify")
	w.add()
	return w, nil
}

// add watches what is there now; what is watched already stays so.
func (w *dirWatch) add() {
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

func (w *dirWatch) close() {
	if w.file != nil {
		_ = w.file.Close() // closed already is as good
	}
}

// watchTunnels is the goroutine that reads the tunnels directory again after a change.
func (d *daemon) watchTunnels(ctx context.Context) error {
	if d.watch.file == nil {
		return nil
	}
	stop := context.AfterFunc(ctx, d.watch.close)
	defer stop()
	for d.watch.wait() {
		_, err := d.reloadTunnels(ctx)
		if ctx.Err() != nil {
			return nil
		}
		d.log.problem("reading the tunnels directory", err)
	}
	return nil
}

// wait returns true when the directory has changed and is quiet again, false when the watch is
// closed.
func (w *dirWatch) wait() bool {
	buf := make([]byte, 4096)
	relevant := false
	var last time.Time // when waiting for quiet ends in any case
	for {
		deadline := time.Time{}
		if relevant {
			if deadline = time.Now().Add(settle); deadline.After(last) {
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
			relevant, last = true, time.Now().Add(settleMost)
		}
	}
}

// concerns tells whether events are about files that matter, or about the directory itself.
//
//	0         4       8         12       16
//	+---------+-------+---------+--------+-------------
//	| watch   | mask  | cookie  | length | name, zeros
//	+---------+-------+---------+--------+-------------
func (w *dirWatch) concerns(events []byte) bool {
	for len(events) >= unix.SizeofInotifyEvent {
		mask := binary.NativeEndian.Uint32(events[4:])
		length := int(binary.NativeEndian.Uint32(events[12:]))
		size := min(unix.SizeofInotifyEvent+length, len(events))
		name := strings.TrimRight(string(events[unix.SizeofInotifyEvent:size]), "\x00")
		itself := slices.ContainsFunc(w.dirs, func(dir string) bool {
			return name == filepath.Base(dir)
		})
		if mask&unix.IN_Q_OVERFLOW != 0 || itself ||
			strings.HasSuffix(name, ".conf") || strings.HasSuffix(name, ".txt") {
			return true
		}
		events = events[size:]
	}
	return false
}
