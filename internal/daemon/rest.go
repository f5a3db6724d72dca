// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"time"

	"staex/internal/host/memory"
)

const (
	// restAfter is how long nobody asked anything of the node until a burst of work is over.
	restAfter = 4 * time.Second
	// restEvery is how often memory is given back at most: it costs a millisecond or two.
	restEvery = 5 * time.Minute
)

// rest gives back what a burst of work needed, once it is over. It has no timer of its own: it
// looks when the node wakes for something else.
type rest struct {
	worked time.Duration // last request, frame or packet, on the Up clock
	gave   time.Duration // when memory was last given back
}

// look gives memory back if there was work since the last time and it is over.
func (r *rest) look(now time.Duration) error {
	if r.worked <= r.gave || now-r.worked < restAfter || r.gave != 0 && now-r.gave < restEvery {
		return nil
	}
	r.gave = now
	return memory.GiveBack()
}
