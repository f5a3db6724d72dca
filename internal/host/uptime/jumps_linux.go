// SPDX-License-Identifier: Apache-2.0

//go:build linux && !staex_clock

package uptime

import (
	"errors"
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// Jumps hears from the kernel when the wall clock and the time awake part: somebody set the clock,
// or the machine was suspended and has resumed. It costs nothing while neither happens.
type Jumps struct{ file *os.File }

// NewJumps begins to listen. It is a timer of the wall clock that never expires and is cancelled
// when that jumps (TFD_TIMER_CANCEL_ON_SET, timerfd_create(2)).
func NewJumps() (*Jumps, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("uptime: make a timer: %w", err)
	}
	never := unix.ItimerSpec{Value: unix.Timespec{Sec: math.MaxInt32}}
	const flags = unix.TFD_TIMER_ABSTIME | unix.TFD_TIMER_CANCEL_ON_SET
	if err := unix.TimerfdSettime(fd, flags, &never, nil); err != nil {
		return nil, errors.Join(fmt.Errorf("uptime: set a timer: %w", err), unix.Close(fd))
	}
	return &Jumps{os.NewFile(uintptr(fd), "timerfd")}, nil
}

// Wait waits for a jump; several at once may be told as one. One goroutine at a time may wait. The
// error satisfies errors.Is(err, os.ErrClosed) after Close.
func (j *Jumps) Wait() error {
	var count [8]byte
	_, err := j.file.Read(count[:])
	if err == nil || errors.Is(err, unix.ECANCELED) {
		return nil
	}
	return fmt.Errorf("uptime: wait for a jump: %w", err)
}

// Close ends a waiting Wait.
func (j *Jumps) Close() error {
	if err := j.file.Close(); err != nil {
		return fmt.Errorf("uptime: %w", err)
	}
	return nil
}
