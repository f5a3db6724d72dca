// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"testing"
	"time"
)

// turn is one packet of a conversation.
type turn struct {
	end, payload int
	pause        time.Duration
}

// conversations are twelve packets each.
var conversations = []struct {
	name  string
	turns [12]turn
}{
	{"publish and acknowledgement", [12]turn{
		{0, 20, time.Second},
		{1, 0, 40e6},
		{0, 20, time.Second},
		{1, 0, 40e6},
		{0, 20, time.Second},
		{1, 0, 40e6},
		{0, 20, time.Second},
		{1, 0, 40e6},
		{0, 20, time.Second},
		{1, 0, 40e6},
		{0, 20, time.Second},
		{1, 0, 40e6},
	}},
	{"download", [12]turn{
		{0, 80, 20e6},
		{1, 1300, 1e6},
		{1, 1300, 1e6},
		{1, 5200, 1e6},
		{0, 0, 1e6},
		{1, 1300, 50e6},
		{1, 1300, 1e6},
		{0, 0, 1e6},
		{1, 40000, 1e6},
		{0, 0, 40e6},
		{1, 1300, 200e6},
		{0, 0, 1e6},
	}},
	{"both at once", [12]turn{
		{0, 100, 1e6},
		{1, 200, 1e6},
		{1, 200, 300e6},
		{0, 100, 1e6},
		{0, 1, 0},
		{1, 1, 0},
		{0, 100, 9e9},
		{1, 0, 1e6},
		{0, 0, 1e6},
		{1, 9, 70e9},
		{0, 0, 1e6},
		{0, 5, 500e6},
	}},
}

// play sends the conversation after so many undisturbed exchanges. The frames of turn i are lost if
// lost says so, or else arrive when late(i) more turns have been sent.
func play(k *talk, before int, turns []turn, lost func(int) bool, late func(int) int) {
	for range before {
		k.exchange(time.Second)
	}
	type flight struct {
		due, end int
		g        parcel
	}
	var air []flight
	land := func(upTo int) {
		for i := 0; i < len(air); i++ {
			f := air[i]
			if f.due > upTo {
				continue
			}
			air = append(air[:i:i], air[i+1:]...)
			i--
			for _, a := range k.deliver(f.end, f.g) {
				air = append(air, flight{f.due + 1, 1 - f.end, a})
			}
		}
	}
	for i, s := range turns {
		sent := k.step(s.end, s.payload, s.pause)
		if !lost(i) {
			for _, g := range sent {
				air = append(air, flight{i + late(i), 1 - s.end, g})
			}
		}
		land(i)
	}
	for i := range 20 {
		land(len(turns) + i)
	}
}

func bit(pattern int) func(int) bool {
	return func(i int) bool { return pattern>>i&1 != 0 }
}

func never(int) bool { return false }
func atOnce(int) int { return 0 }

func TestNoPatternOfLossesBreaksOrHoldsUpAFlow(t *testing.T) {
	for _, c := range conversations {
		for _, before := range []int{0, 4} {
			for pattern := range 1 << len(c.turns) {
				k := newTalk(t)
				play(k, before, c.turns[:], bit(pattern), atOnce)
				if k.dropped != 0 || k.told != 0 {
					t.Fatalf("%s, losses %012b: %d of the others dropped, %d messages",
						c.name, pattern, k.dropped, k.told)
				}
				k.recovers(time.Second)
			}
		}
	}
}

func TestNoReorderingEverMakesAHeaderWrong(t *testing.T) {
	for _, c := range conversations {
		drops, arrived := 0, 0
		for _, by := range []int{3, 9} {
			for pattern := range 1 << len(c.turns) {
				k := newTalk(t)
				late := bit(pattern)
				play(k, 2, c.turns[:], never, func(i int) int {
					if late(i) {
						return by
					}
					return 0
				})
				drops, arrived = drops+k.dropped, arrived+k.arrived
				k.recovers(time.Second)
			}
		}
		t.Logf("%s: %d frames dropped as too late, %d rebuilt", c.name, drops, arrived)
		if drops*50 > arrived {
			t.Errorf("%s: %d frames dropped of %d", c.name, drops, arrived+drops)
		}
	}
}

// TestChaosNeverMakesAHeaderWrong mixes loss, delay by many turns, long pauses, ends that forget
// everything, and messages that are lost as well.
func TestChaosNeverMakesAHeaderWrong(t *testing.T) {
	dropped, told, arrived := 0, 0, 0
	for seed := range uint64(300) {
		r := dice(900 + seed)
		k := newTalk(t)
		var turns []turn
		for range 400 {
			pause := time.Duration(r.IntN(60)) * time.Millisecond
			if r.IntN(40) == 0 {
				pause = time.Duration(r.IntN(20)) * time.Second
			}
			turns = append(turns, turn{r.IntN(2), []int{0, 0, 20, 1300, 9000}[r.IntN(5)], pause})
		}
		bad := r.IntN(8)
		play(k, r.IntN(3), turns,
			func(int) bool { return r.IntN(8) < bad },
			func(int) int { return r.IntN(4) * r.IntN(4) * r.IntN(6) })
		k.recovers(10 * time.Second) // twice as long as it takes to ask for a new beginning
		dropped, told, arrived = dropped+k.dropped, told+k.told, arrived+k.arrived
	}
	t.Logf("%d frames rebuilt, %d dropped, %d messages", arrived, dropped, told)
	if dropped == 0 || told == 0 {
		t.Error("the chaos was too mild to prove anything")
	}
}
