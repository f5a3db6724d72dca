// SPDX-License-Identifier: Apache-2.0

// Package clock is what a moment is: a reading of two clocks taken at once.
// It never reads a clock itself; whoever may touch the operating system does, and passes the
// reading down.
package clock

import (
	"math"
	"time"
)

// Reading is one moment as this machine knows it. The zero Reading is the moment of boot on a
// machine that does not know the date.
type Reading struct {
	// Up is the time since boot including suspend (CLOCK_BOOTTIME on Linux). It never goes back
	// while the machine runs, and it alone drives timers.
	Up time.Duration
	// Wall is the calendar time. It serves certificates and screens, never a timer, and is the
	// zero Time when the machine does not know the date.
	Wall time.Time
	// Synced tells that the kernel calls its wall clock synchronised with an outside source.
	Synced bool
}

// Seconds is the calendar time in whole Unix seconds, as certificates count it. ok is false unless
// the reading may judge a certificate: the wall clock is known, synchronised, and between 1970 and
// 2106.
func (r Reading) Seconds() (seconds uint32, ok bool) {
	if r.Wall.IsZero() || !r.Synced {
		return 0, false
	}
	unix := r.Wall.Unix()
	if unix <= 0 || unix > math.MaxUint32 {
		return 0, false
	}
	return uint32(unix), true
}
