// SPDX-License-Identifier: Apache-2.0

//go:build darwin || freebsd || netbsd || openbsd

package uptime

import (
	"time"

	"golang.org/x/sys/unix"
)

// boottime reads CLOCK_MONOTONIC, which on macOS and OpenBSD counts time asleep too.
func boottime() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // cannot fail with this clock
	return time.Duration(ts.Nano())
}

// synchronised is unknown here, which is not yes.
func synchronised() bool { return false }
