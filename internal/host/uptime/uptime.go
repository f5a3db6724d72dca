// SPDX-License-Identifier: Apache-2.0

// Package uptime reads the system's clocks and hears when they jump; it sets none and keeps no
// timers.
package uptime

import "time"

// Up returns the first of the three values of Now, for those who only measure.
func Up() time.Duration {
	ahead, _ := shift()
	return boottime() + ahead
}

// Now returns the three things the overlay wants to know of the moment: up, the time since the
// machine started including the time it was suspended; wall, the calendar time the system
// believes; and synced, whether the system says that something keeps the wall clock right. up
// never goes back while the machine runs.
func Now() (up time.Duration, wall time.Time, synced bool) {
	ahead, off := shift()
	// Without its monotonic reading the wall time is compared as a calendar time, also after the
	// machine was suspended.
	return boottime() + ahead, time.Now().Round(0).Add(off), synchronised()
}
