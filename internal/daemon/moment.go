// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"time"

	"staex/internal/clock"
	"staex/internal/host/uptime"
)

// reading takes the time of both clocks.
func reading() clock.Reading {
	up, wall, synced := uptime.Now()
	return clock.Reading{Up: up, Wall: wall, Synced: synced}
}

// up takes the time of the clock that drives timers; the fast path needs no other.
func up() time.Duration { return uptime.Up() }
