// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"testing"
	"time"
)

// talks checks that a question gets through and back within d; the client repeats it each second,
// as real clients do.
func talks(t *testing.T, w *World, c *Host, name, what string, d time.Duration) {
	t.Helper()
	c.Forget()
	want := string(Shout(Packet{Payload: what}))
	end := w.Now + d
	for i := 0; w.Now < end; i++ {
		c.Ask(name, 5000+uint16(i%8), 161, what)
		if w.Until(time.Second, func() bool { return c.Answered(want) }) {
			return
		}
	}
	t.Fatalf("%s: no answer within %v", what, d)
}

func sound(t *testing.T, w *World) {
	t.Helper()
	for _, x := range w.Wrong() {
		t.Error(x)
	}
}

// agreed builds the story up to a tunnel that works.
func agreed(t *testing.T, w *World) (g, c *Host) {
	t.Helper()
	return agreedAs(t, w, "meter")
}

// agreedAs is agreed where the client has another name for the meter.
func agreedAs(t *testing.T, w *World, name string) (g, c *Host) {
	t.Helper()
	g, c = w.Host("gateway"), w.Host("technician")
	g.Serve = Shout
	w.Run(3 * time.Second)
	g.Tunnel("meter", c, snmp)
	if !w.Until(20*time.Second, func() bool { _, ok := c.Address(name); return ok }) {
		t.Fatal("the tunnel was not agreed on")
	}
	talks(t, w, c, name, "first", 10*time.Second)
	return g, c
}

func TestEveryMachineMayBeKilledAndTheTunnelComesBack(t *testing.T) {
	for _, victim := range []string{"root", "gateway", "technician"} {
		t.Run(victim, func(t *testing.T) {
			w := home(2)
			_, c := agreed(t, w)
			h := w.Host(victim)
			h.Kill()
			w.Run(3 * time.Second)
			h.Start()
			if victim == "gateway" {
				h.Serve = Shout
			}
			talks(t, w, c, "meter", "again", 40*time.Second)
			w.Run(10 * time.Minute)
			talks(t, w, c, "meter", "later", 10*time.Second)
			sound(t, w)
		})
	}
}

func TestALostDiskLocksNobodyOut(t *testing.T) {
	w := home(3)
	_, c := agreed(t, w)
	g := w.Host("gateway")
	g.Kill()
	g.LoseDisk()
	g.Start()
	talks(t, w, c, "meter", "after", 90*time.Second)
	c.Kill()
	c.LoseDisk()
	c.Start()
	w.Run(28 * time.Hour) // the server end offers its tunnels once a day
	talks(t, w, c, "meter", "both", 60*time.Second)
	sound(t, w)
}

func TestASecondParentTakesOverAndTheFirstIsTakenBack(t *testing.T) {
	w := New(4)
	parents := []string{"203.0.113.1:9376", "203.0.113.2:9376"}
	w.Add(Config{Name: "root", Addr: "203.0.113.1:9376"})
	w.Add(Config{Name: "standby", Addr: "203.0.113.2:9376"})
	w.Add(Config{Name: "gateway", Addr: "192.0.2.2:9376", Parents: parents})
	w.Add(Config{Name: "technician", Addr: "192.0.2.3:9376", Parents: parents})
	g, c := agreed(t, w)
	root := w.Host("root")
	root.Kill()
	talks(t, w, c, "meter", "over the second", 40*time.Second)
	root.Start()
	back := func() bool {
		a, _, ok := g.Node.Parent()
		b, _, ok2 := c.Node.Parent()
		return ok && ok2 && a == root.ID() && b == root.ID()
	}
	if !w.Until(20*time.Minute, back) {
		t.Fatal("nobody went back to the first parent")
	}
	talks(t, w, c, "meter", "over the first", 20*time.Second)
	sound(t, w)
}

func TestOneToFourHopsCarryTheSameQuestion(t *testing.T) {
	for hops := 1; hops <= 4; hops++ {
		t.Run(fmt.Sprint(hops), func(t *testing.T) {
			w := New(uint64(hops))
			w.Add(Config{Name: "relay0", Addr: "203.0.113.1:9376"})
			last := "203.0.113.1:9376"
			for i := 1; i < hops; i++ {
				addr := fmt.Sprintf("203.0.113.%d:9376", i+1)
				w.Add(Config{Name: fmt.Sprintf("relay%d", i), Addr: addr, Parents: []string{last}})
				last = addr
			}
			first := []string{"203.0.113.1:9376"}
			w.Add(Config{Name: "gateway", Addr: "192.0.2.1:9376", Parents: first})
			w.Add(Config{Name: "technician", Addr: "192.0.2.2:9376", Parents: []string{last}})
			_, c := agreed(t, w)
			talks(t, w, c, "meter", "and again", 5*time.Second)
			sound(t, w)
		})
	}
}

func TestLossDuplicatesAndReorderingDoNotStopATunnel(t *testing.T) {
	w := home(5)
	w.SetLink(Link{
		Delay: 30 * time.Millisecond, Jitter: 40 * time.Millisecond, Loss: 0.2, Twice: 0.1,
	})
	_, c := agreed(t, w)
	for i := range 20 {
		talks(t, w, c, "meter", fmt.Sprint("question ", i), 30*time.Second)
	}
	sound(t, w)
}

func TestARunRepeatsBitForBit(t *testing.T) {
	run := func(seed uint64) [32]byte {
		w := home(seed)
		w.SetLink(Link{Delay: 20 * time.Millisecond, Jitter: 10 * time.Millisecond, Loss: 0.05})
		_, c := agreed(t, w)
		w.Host("root").Kill()
		w.Run(5 * time.Second)
		w.Host("root").Start()
		talks(t, w, c, "meter", "again", 60*time.Second)
		if w.Frames < 60 {
			t.Errorf("only %d frames", w.Frames)
		}
		sound(t, w)
		return w.Trace()
	}
	first, second := run(7), run(7)
	if first != second {
		t.Error("equal seeds gave different traces")
	}
	if first == run(8) {
		t.Error("different seeds gave the same trace")
	}
}
