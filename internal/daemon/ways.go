// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"slices"
	"strings"
	"time"

	"staex/internal/clock"
	"staex/internal/host/netif"
	"staex/internal/overlay/node"
)

const (
	// waySettle is how long a change of the machine's ways out may settle.
	waySettle = 300 * time.Millisecond
	// wayRest is the shortest time between two words to the node about them: where a cable has a
	// loose contact, the keep-alives have to do.
	wayRest = 3 * time.Second
)

// watchWays is the goroutine that tells the node when the machine reaches its parents by another
// way than before: a cable is back, an address was changed. Else the next keep-alive would show it.
// What an external device lacked, such as its interface, may have come as well.
func (d *daemon) watchWays(ctx context.Context) error {
	watch, err := netif.NewWayWatch()
	if err != nil {
		d.log.problem("watching the ways out", err)
		return nil
	}
	stop := context.AfterFunc(ctx, func() { _ = watch.Close() })
	defer stop()
	known, _ := d.ways()
	pause := waySettle
	for {
		if _, err := watch.Wait(0); err != nil || !sleep(ctx, pause) {
			return nil // the daemon is stopping
		}
		if l := d.loop; l.gateway.troubled.Load() {
			err := l.do(ctx, func(now clock.Reading, _ *node.Effects) { l.followExternals(now) })
			if err != nil {
				return nil // as above
			}
		}
		if slices.ContainsFunc(d.parents.entries(), beside) {
			d.parents.lookAgain(0)
		}
		ways, usable := d.ways()
		if pause = waySettle; ways == known {
			continue
		}
		known = ways
		d.log.Info("the way to the parents changed", "way", ways)
		if !usable {
			continue
		}
		pause = wayRest
		if err := d.loop.apply(ctx, node.Rerouted{}); err != nil {
			return nil // as above
		}
	}
}

// ways says how the machine reaches its parents, and whether it reaches any. Without parents there
// is nothing to say.
func (d *daemon) ways() (text string, usable bool) {
	var all []string
	for _, e := range d.parents.entries() {
		for _, a := range e.addrs {
			w, err := netif.WayTo(a.Addr())
			if err != nil {
				d.log.Debug("no way is known", "to", a.String(), "error", err.Error())
			}
			usable = usable || w.Carrier
			all = append(all, w.String())
		}
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), "; "), usable
}
