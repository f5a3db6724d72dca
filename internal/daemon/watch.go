// SPDX-License-Identifier: Apache-2.0

package daemon

import "context"

// watchTunnels is the goroutine that reads the tunnels directory again after a change. Where the
// system does not tell of changes, mcc create-tunnel and a signal do.
func (d *daemon) watchTunnels(ctx context.Context) error {
	stop := context.AfterFunc(ctx, d.watch.Close)
	defer stop()
	for d.watch.Wait() {
		_, err := d.reloadTunnels(ctx)
		if ctx.Err() != nil {
			return nil
		}
		d.log.problem("reading the tunnels directory", err)
	}
	return nil
}
