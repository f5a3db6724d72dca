// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"time"

	"staex/internal/clock"
	"staex/internal/host/uptime"
	"staex/internal/overlay/node"
)

// leastJump is what counts as a jump of a clock: far more than two readings are apart on a busy
// machine and than a time daemon corrects between them.
const leastJump = 2 * time.Second

// clocks is the last look at the three clocks of the machine, by which jumps are found out. The
// node's goroutine owns it.
type clocks struct {
	last  clock.Reading
	awake time.Time // only its monotonic part is used, which stands still in suspend
}

// look takes the time and tells how the clocks have moved against each other since the last look:
// for how long the machine was suspended, and by how much its wall clock was set.
func (c *clocks) look() (now clock.Reading, slept, set time.Duration) {
	now = reading()
	awake := time.Now()
	if !c.awake.IsZero() {
		up := now.Up - c.last.Up
		slept = up - awake.Sub(c.awake)
		set = now.Wall.Sub(c.last.Wall) - up
	}
	c.last, c.awake = now, awake
	if slept < leastJump {
		slept = 0
	}
	if set.Abs() < leastJump {
		set = 0
	}
	return now, slept, set
}

// moment takes the time, and says when the clocks have jumped since it was taken last. The timer
// stands still while the machine is suspended, so it is set again.
func (l *loop) moment() clock.Reading {
	now, slept, set := l.clocks.look()
	if slept != 0 {
		l.armed = unarmed
		l.d.log.Info("the machine was suspended", "for", slept.Round(time.Second).String())
	}
	if set != 0 {
		l.d.log.Warn("the wall clock was set", "by", set.Round(time.Second).String(),
			"to", now.Wall.UTC().Format(time.RFC3339))
	}
	return now
}

// watchClocks is the goroutine that wakes the node when the clocks jump, so that what was due
// while the machine was suspended is done at once.
func (d *daemon) watchClocks(ctx context.Context) error {
	jumps, err := uptime.NewJumps()
	if err != nil {
		d.log.problem("watching the clocks", err)
		return nil
	}
	stop := context.AfterFunc(ctx, func() { _ = jumps.Close() })
	defer stop()
	for jumps.Wait() == nil {
		err := d.loop.do(ctx, func(now clock.Reading, out *node.Effects) {
			d.loop.node.Expire(now, out)
		})
		if err != nil {
			return nil // the daemon is stopping
		}
	}
	return nil
}
