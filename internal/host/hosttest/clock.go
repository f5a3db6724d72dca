// SPDX-License-Identifier: Apache-2.0

package hosttest

import (
	"strings"
	"sync"
	"testing"
	"time"
)

// Clock is the twin of uptime.Now: it moves only when told. The zero value is a machine that has
// just started and believes it is the year 1.
type Clock struct {
	mu     sync.Mutex // guards what follows
	up     time.Duration
	wall   time.Time
	synced bool
}

// Now returns the reading.
func (c *Clock) Now() (up time.Duration, wall time.Time, synced bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.up, c.wall, c.synced
}

// Advance lets time pass, awake or suspended; a negative duration is no time.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.up += max(d, 0)
	c.wall = c.wall.Add(max(d, 0))
}

// SetWall changes the calendar time, forward or back, as a person or a time daemon does.
func (c *Clock) SetWall(wall time.Time, synced bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall, c.synced = wall.Round(0), synced
}

// TestClock is the suite that the clocks and their twin both pass.
func TestClock(t *testing.T, now func() (up time.Duration, wall time.Time, synced bool)) {
	t.Helper()
	last, _, _ := now()
	if last < 0 {
		t.Errorf("the machine started %v from now", -last)
	}
	for range 1000 {
		up, wall, _ := now()
		if up < last {
			t.Fatalf("up went back from %v to %v", last, up)
		}
		last = up
		if strings.Contains(wall.String(), "m=") {
			t.Fatal("the wall time carries a monotonic reading")
		}
	}
}
