// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"strings"
	"time"

	"staex/internal/clock"
	"staex/internal/host/netif"
	"staex/internal/overlay/node"
)

const (
	// mendSoon is how long a change of the device may settle: they come in groups.
	mendSoon = 100 * time.Millisecond
	// mendMost is how long the keeper waits at most where somebody changes the device again and
	// again, so that two programs of different opinion do not keep a machine busy.
	mendMost = time.Minute
	// mendCalm is how long nothing has to be repaired until such a quarrel counts as over.
	mendCalm = time.Minute
)

// keepDevice is the goroutine that makes the device again what the configuration wants when
// somebody deletes it, brings it down or takes addresses or routes from it.
func (d *daemon) keepDevice(ctx context.Context) error {
	watch := d.host.watch
	if watch == nil {
		return nil
	}
	stop := context.AfterFunc(ctx, func() { _ = watch.Close() })
	defer stop()
	pause, retry, told := mendSoon, time.Duration(0), ""
	mended := time.Duration(0)
	for {
		if _, err := watch.Wait(retry); err != nil {
			return nil // the daemon is stopping
		}
		if up()-mended > mendCalm {
			pause = mendSoon
		}
		if !sleep(ctx, pause) {
			return nil
		}
		deeds, err := d.mendDevice(ctx)
		if len(deeds) > 0 {
			d.log.Warn("the device was changed by somebody and is repaired",
				"device", d.host.device.Name(), "repaired", strings.Join(deeds, ", "))
		}
		if len(deeds) > 0 || err != nil {
			pause, mended = min(2*pause, mendMost), up()
		}
		if retry = 0; err != nil {
			retry = pause
			if text := err.Error(); text != told && ctx.Err() == nil {
				d.log.problem("repairing the device", err)
				told = text
			}
			continue
		}
		told = ""
	}
}

// mendDevice repairs the device and says what that took; nothing means that all was well.
func (d *daemon) mendDevice(ctx context.Context) (deeds []string, err error) {
	h := &d.host
	lost := h.device.current().Gone()
	for range 2 {
		if lost {
			if err := h.device.replace(d.files.cfg.Device.MTU); err != nil {
				return deeds, err
			}
			if err := h.watch.Follow(h.device.Name()); err != nil {
				return deeds, err
			}
			deeds = append(deeds, "made again")
		}
		mended, err := h.link.Mend()
		deeds = append(deeds, mended...)
		// Ours exists, but not here or not under its name: another one takes its place.
		if lost = errors.Is(err, netif.ErrNoDevice); lost {
			continue
		}
		if err != nil {
			return deeds, err
		}
		break
	}
	if len(deeds) == 0 {
		return nil, nil
	}
	// What the kernel forwards is a setting of the device, too.
	return deeds, d.loop.do(ctx, func(now clock.Reading, _ *node.Effects) {
		d.loop.followExternals(now)
	})
}

// sleep waits; false means that the context has ended.
func sleep(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
