// SPDX-License-Identifier: Apache-2.0

package plane

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestAMeterLetsABurstPassAndThenItsRate(t *testing.T) {
	m := NewMeter(1000, 5000)
	passed, now := 0, time.Hour
	for ; passed < 10_000 && m.take(now, 100); passed += 100 {
	}
	if passed != 5000 {
		t.Errorf("%d bytes at once, of 5000", passed)
	}
	for range 1000 { // ten seconds
		now += 10 * time.Millisecond
		if m.take(now, 100) {
			passed += 100
		}
	}
	if passed < 14_900 || passed > 15_000 {
		t.Errorf("%d bytes in ten seconds, of 15000", passed)
	}
}

// The twin counts a bucket down and up again.
func TestAMeterIsATokenBucket(t *testing.T) {
	const rate, burst = 1000, 5000
	dice := rand.New(rand.NewPCG(1, 2))
	m := NewMeter(rate, burst)
	now, tokens := time.Second, float64(burst)
	for range 10_000 {
		step := time.Duration(dice.IntN(200)) * time.Millisecond
		now += step
		tokens = min(burst, tokens+rate*step.Seconds())
		bytes := 1 + dice.IntN(400)
		want := float64(bytes) <= tokens
		near := tokens-float64(bytes) < 1 && tokens-float64(bytes) > -1
		if got := m.take(now, bytes); got != want && !near {
			t.Fatalf("%d bytes with %.1f tokens: %v", bytes, tokens, got)
		} else if got {
			tokens -= float64(bytes)
		}
	}
}
