// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"strings"
	"testing"
	"time"
)

// cost is what one UDP question with a payload of n bytes costs on each link, once the flow is
// known at both ends.
func cost(t *testing.T, n int) (first, second int) {
	t.Helper()
	w := New(41)
	w.Add(Config{Name: "root", Addr: "203.0.113.1:9376"})
	w.Add(Config{Name: "gateway", Addr: "192.0.2.2:9376", Parents: []string{"203.0.113.1:9376"}})
	w.Add(Config{Name: "technician", Addr: "192.0.2.3:9376", Parents: []string{"203.0.113.1:9376"}})
	g, c := agreed(t, w)
	g.Serve = Shout
	for range 40 { // past the frames of a young epoch, which carry long counters
		c.Ask("meter", 5000, 161, "warm up")
		w.Run(50 * time.Millisecond)
	}
	a, b := w.Bytes("technician", "root"), w.Bytes("root", "gateway")
	c.Ask("meter", 5000, 161, strings.Repeat("x", n))
	w.Run(25 * time.Millisecond)
	sound(t, w)
	return w.Bytes("technician", "root") - a, w.Bytes("root", "gateway") - b
}

func TestASmallPayloadCostsSixtyTwoBytesOnEveryLink(t *testing.T) {
	for _, c := range []struct{ payload, most int }{{10, 62}, {16, 68}, {100, 152}} {
		first, second := cost(t, c.payload)
		if first > c.most || second > c.most || first == 0 || second == 0 {
			t.Errorf("%d bytes cost %d and %d, want at most %d", c.payload, first, second, c.most)
		}
	}
}
