// SPDX-License-Identifier: Apache-2.0

package daemon

// WithLanes is for tests on machines with too few processors for several lanes.
func (o Options) WithLanes(n int) Options {
	o.lanes = n
	return o
}
