// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"time"

	"staex/internal/clock"
	"staex/internal/host/notify"
	"staex/internal/overlay/node"
)

// reassure tells the service manager that the daemon works, as often as that wants to hear it:
// whenever the node's goroutine has answered. Without such a wish it ends at once.
func (d *daemon) reassure(ctx context.Context) error {
	interval, wanted := notify.WatchdogInterval()
	if !wanted {
		return nil
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if d.loop.ask(ctx, func(*node.Node, clock.Reading) {}) != nil {
			return nil // the daemon is stopping
		}
		d.log.problem("telling the service manager", notify.Watchdog())
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
