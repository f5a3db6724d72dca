// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"testing"
	"time"
)

func TestATunnelThatRestsWakesItsEndsForKeepAlivesOnly(t *testing.T) {
	w := home(97)
	g, c := agreed(t, w)
	w.Run(20 * time.Second)
	const minutes, step = 2, 50 * time.Millisecond
	wakes, due := map[*Host]int{}, map[*Host]time.Duration{}
	for end := w.Now + minutes*time.Minute; w.Now < end; w.Run(step) {
		for _, h := range []*Host{g, c} {
			if d := h.Node.Deadline(); d != due[h] {
				wakes[h]++
				due[h] = d
			}
		}
	}
	// A keep-alive each half minute, an answer to some, and a look at the session now and then.
	const most = minutes * 4
	for h, n := range wakes {
		if n > most {
			t.Errorf("%s woke %d times in %d minutes, want at most %d", h.Name, n, minutes, most)
		}
	}
	// It still finds out quickly that nobody listens any more.
	w.Host("root").Kill()
	for range 20 {
		c.Ask("meter", 5000, 161, "is anybody there")
		w.Run(time.Second)
	}
	if _, _, ok := c.Node.Parent(); ok {
		t.Error("after 20 s without an answer it still believes in its parent")
	}
}
