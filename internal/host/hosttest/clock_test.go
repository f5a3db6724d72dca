// SPDX-License-Identifier: Apache-2.0

package hosttest_test

import (
	"testing"
	"time"

	"staex/internal/host/hosttest"
)

func TestTheClockTwinPassesTheSuite(t *testing.T) {
	var c hosttest.Clock
	c.Advance(time.Hour)
	hosttest.TestClock(t, c.Now)
}

func TestTheWallMayJumpButUpDoesNot(t *testing.T) {
	var c hosttest.Clock
	c.Advance(time.Minute)
	c.Advance(-time.Hour)
	day := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	c.SetWall(day, true)
	if up, wall, synced := c.Now(); up != time.Minute || !wall.Equal(day) || !synced {
		t.Errorf("up %v, wall %v, synced %v", up, wall, synced)
	}
}
