// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"time"

	"staex/internal/host/nft"
)

// filterSoon is how long the removal of our table may settle. It is short: until the table stands
// again the overlay's addresses are not guarded.
const filterSoon = 10 * time.Millisecond

// keepFilter is the goroutine that makes the packet filter's table again when somebody removes it,
// as a firewall does that begins with "flush ruleset".
func (d *daemon) keepFilter(ctx context.Context) error {
	if d.host.filter == nil {
		return nil
	}
	watch, err := nft.NewWatch()
	if err != nil {
		d.log.problem("watching the packet filter", err)
		return nil
	}
	stop := context.AfterFunc(ctx, func() { _ = watch.Close() })
	defer stop()
	pause := filterSoon
	for {
		began := up()
		if watch.Wait() != nil {
			return nil // the daemon is stopping
		}
		if up()-began > mendCalm {
			pause = filterSoon
		}
		if !sleep(ctx, pause) {
			return nil
		}
		mended, err := d.host.filter.Mend()
		d.log.problem("restoring the packet filter", err)
		if mended {
			d.log.Warn("the packet filter was removed by somebody and is restored",
				"table", tableName(d.files.cfg.Device.Chain))
			pause = min(2*pause, mendMost)
		}
	}
}
