// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"testing"
	"time"

	"staex/internal/overlay/node"
)

// reached tells whether the technician's question is answered within a time.
func reached(w *World, c *Host, what string, d time.Duration) bool {
	c.Forget()
	c.Ask("meter", 5000, 161, what)
	return w.Until(d, func() bool { return c.Answered(string(Shout(Packet{Payload: what}))) })
}

func TestANodeThatKnowsItWasMovedIsReachedAtOnce(t *testing.T) {
	twice(t, func(t *testing.T) *World {
		w := home(95)
		g, c := agreed(t, w)
		g.MoveTo("192.0.2.77:9376")
		if reached(w, c, "where are you", time.Second) {
			t.Error("it is reached although nobody knows where it is: this proves nothing")
		}
		if err := g.Apply(node.Rerouted{}); err != nil {
			t.Fatal(err)
		}
		w.Run(time.Second)
		if !reached(w, c, "and now", time.Second) {
			t.Error("it told nobody where it is")
		}
		sound(t, w)
		return w
	})
}

func TestANodeWhoseCableIsBackLooksForAParentAtOnce(t *testing.T) {
	twice(t, func(t *testing.T) *World {
		w := home(96)
		_, c := agreed(t, w)
		w.Host("root").Kill()
		attached := func() bool { _, _, ok := c.Node.Parent(); return ok }
		w.Run(10 * time.Minute)
		if attached() {
			t.Fatal("it believes in a parent that is dead")
		}
		w.Host("root").Start()
		if w.Until(time.Second, attached) {
			t.Error("it finds its parent by itself: this proves nothing")
		}
		if err := c.Apply(node.Rerouted{}); err != nil {
			t.Fatal(err)
		}
		if !w.Until(time.Second, attached) {
			t.Error("it still waits for its next turn")
		}
		sound(t, w)
		return w
	})
}
