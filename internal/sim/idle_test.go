// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"testing"
	"time"
)

func TestAnIdleNodeWakesForItsKeepAliveAndForNothingElse(t *testing.T) {
	w := home(1)
	g, c := w.Host("gateway"), w.Host("technician")
	g.Serve = Shout
	w.Run(3 * time.Second)
	g.Tunnel("meter", c, snmp)
	w.Until(10*time.Second, func() bool { _, ok := c.Address("meter"); return ok })
	c.Ask("meter", 5000, 161, "hello")
	w.Run(10 * time.Minute) // sessions and paths are given up
	for _, h := range w.Hosts() {
		wakes := map[time.Duration]bool{}
		for range 600 {
			wakes[h.Node.Deadline()] = true
			w.Run(time.Second)
		}
		// A keep-alive each 30 s, of which each fourth waits for an answer.
		if most := 20 + 2*5 + 1; len(wakes) > most {
			t.Errorf("%s waits for %d moments in ten minutes, at most %d", h.Name, len(wakes), most)
		}
	}
	c.Forget()
	c.Ask("meter", 5001, 161, "still there")
	if !w.Until(5*time.Second, func() bool { return c.Answered("STILL THERE") }) {
		t.Error("no answer after the pause")
	}
}
