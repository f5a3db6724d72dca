// SPDX-License-Identifier: Apache-2.0

//go:build linux

package uptime

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"staex/internal/host/prompt"
)

// Alarm is one deadline that somebody waits for. It is a timer of the kernel's, on the clock that
// counts suspend, because a long wait for a timer of Go's is no rest: the kernel may be a
// thousandth of it late, and meanwhile the runtime looks a hundred times a second where it is.
type Alarm struct {
	file *os.File
	raw  syscall.RawConn
	run  prompt.Run
}

// NewAlarm makes an alarm that is off.
func NewAlarm() (*Alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_BOOTTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("uptime: make a timer: %w", err)
	}
	a := &Alarm{file: os.NewFile(uintptr(fd), "timerfd")}
	if a.raw, err = a.file.SyscallConn(); err != nil {
		return nil, errors.Join(fmt.Errorf("uptime: make a timer: %w", err), a.file.Close())
	}
	return a, nil
}

// Set lets Wait return after a while, instead of what was set before.
func (a *Alarm) Set(after time.Duration) error {
	return a.set(max(after, 1)) // 0 is off
}

// Off takes back what was set.
func (a *Alarm) Off() error { return a.set(0) }

func (a *Alarm) set(after time.Duration) error {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(after))}
	var failed syscall.Errno
	err := a.raw.Control(func(fd uintptr) { failed = prompt.TimerfdSettime(fd, &spec) })
	if err == nil && failed != 0 {
		err = failed
	}
	if err != nil {
		return fmt.Errorf("uptime: set a timer: %w", err)
	}
	return nil
}

// Wait waits for the deadline. One goroutine at a time may wait. The error satisfies
// errors.Is(err, os.ErrClosed) after Close.
func (a *Alarm) Wait() error {
	var failed syscall.Errno
	err := a.raw.Read(func(fd uintptr) bool {
		var count [8]byte
		_, failed = a.run.Read(fd, count[:])
		if failed == unix.EAGAIN {
			a.run.Waits()
			return false
		}
		return true
	})
	if err != nil {
		// The poller's own error has no exported name; without a deadline it means one thing.
		err = os.ErrClosed
	} else if failed != 0 {
		err = failed
	}
	if err != nil {
		return fmt.Errorf("uptime: wait for a timer: %w", err)
	}
	return nil
}

// Close ends a waiting Wait.
func (a *Alarm) Close() error {
	if err := a.file.Close(); err != nil {
		return fmt.Errorf("uptime: %w", err)
	}
	return nil
}
