// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"strings"
	"testing"
	"time"
)

func TestAFastSenderPaysTwoBytesForItsLongCounter(t *testing.T) {
	w, g, c := threeHops(t, 320)
	g.Serve = nil
	ask := func(n int) int {
		before := w.Bytes("technician", "relay")
		c.Ask("meter", 5000, 161, strings.Repeat("x", n))
		w.Run(15 * time.Millisecond)
		return w.Bytes("technician", "relay") - before
	}
	short := [2]int{ask(10), ask(100)}
	for range 500 { // a thousand questions a second
		for range 30 {
			c.Ask("meter", 5000, 161, "one of many")
		}
		w.Run(30 * time.Millisecond)
	}
	long := [2]int{ask(10), ask(100)}
	w.Run(30 * time.Second)
	again := [2]int{ask(10), ask(100)}
	if short != [2]int{62, 152} || long != [2]int{64, 154} || again != short {
		t.Errorf("10 and 100 bytes cost %v, %v when fast, %v later", short, long, again)
	}
	sound(t, w)
}
