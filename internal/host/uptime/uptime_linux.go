// SPDX-License-Identifier: Apache-2.0

//go:build linux

package uptime

import (
	"time"

	"golang.org/x/sys/unix"

	"staex/internal/host/prompt"
)

// boottime reads CLOCK_BOOTTIME. The call cannot fail on a kernel that runs Go.
func boottime() time.Duration {
	var ts unix.Timespec
	_ = prompt.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return time.Duration(ts.Nano())
}

// synchronised asks the kernel's clock discipline, which time daemons tell that they hold it.
func synchronised() bool {
	var t unix.Timex // zero modes: read only, no rights needed
	state, err := unix.Adjtimex(&t)
	return err == nil && state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
}
