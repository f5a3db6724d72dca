// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"runtime"
	"runtime/debug"
	"time"

	"staex/internal/host/memory"
	"staex/internal/overlay/node"
)

const (
	// restAfter is how long nobody asked anything of the node until a burst of work is over.
	restAfter = 4 * time.Second
	// restEvery is how often memory is given back at most: it costs a millisecond or two.
	restEvery = 5 * time.Minute
	// restMost is how often it is given back at least: keep-alives leave some garbage, too.
	restMost = time.Hour
	// restRoom is how many bytes may come together until the collector works all the same: not
	// everything that makes garbage asks the node first.
	restRoom = 4 << 20
)

// rest gives back what a burst of work needed, once it is over, and keeps the collector still until
// the next one: left alone it collects every two minutes, which wakes every processor a few dozen
// times for nothing. The fast path makes no garbage. But for the first time a rest has no timer of
// its own: it looks when the node wakes for something else.
type rest struct {
	profile profile
	worked  time.Duration // last request, packet, or frame that is no keep-alive, on the Up clock
	gave    time.Duration // when memory was last given back
	next    time.Duration // when it may be given back again
	still   bool          // the collector is off
	first   time.Duration // when to look for the first time, or node.Never
}

// startMost is how many bytes the program may take until the collector works during a start, which
// leaves two to four megabytes of garbage: collecting them twice took a sixth of its time.
const startMost = 12 << 20

// startStill keeps the collector still from the beginning.
func startStill() {
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(startMost)
}

// newRest follows startStill and is at work since now: what only the start needed is given back
// once that is over.
func newRest(p profile, now time.Duration) rest {
	return rest{profile: p, worked: now, still: true, first: now + restAfter}
}

// due is the moment for which alone a rest wakes the node.
func (r *rest) due() time.Duration { return r.first }

// work notes that there is something to do.
func (r *rest) work(now time.Duration) {
	r.worked = now
	if r.still && r.first == node.Never {
		r.collect()
	}
}

func (r *rest) collect() {
	r.still = false
	r.profile.collect()
}

// look gives memory back if there was work since the last time and it is over, and once in a while.
func (r *rest) look(now time.Duration) error {
	if now >= r.first {
		r.first = node.Never
		if now-r.worked < restAfter { // there is no rest after the start
			r.collect()
		}
	}
	switch {
	case r.still && now-max(r.gave, r.worked) >= restMost:
	case r.worked <= r.gave, now-r.worked < restAfter, now < r.next:
		return nil
	}
	if r.next = now + restEvery; r.gave == 0 {
		r.next = now // who starts is used for the first time soon
	}
	r.gave, r.still = now, true
	err := memory.GiveBack()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	debug.SetMemoryLimit(int64(m.Sys-m.HeapReleased) + restRoom)
	debug.SetGCPercent(-1)
	return err
}
