// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"math/rand/v2"
	"testing"

	"staex/internal/overlay/session"
)

const epochLen = 1 << session.EpochBits

// naiveNearest tries every counter around top that carries the bits.
func naiveNearest(top uint64, epoch uint8, low uint32, long bool) (best uint64, ok bool) {
	step, span := uint64(1<<16), uint64(8*epochLen)
	if long {
		step, span = 1<<32, 1<<33
	}
	distance := func(c uint64) uint64 { return max(c, top) - min(c, top) }
	start := top - min(top, span)
	for c := start - start%step + uint64(low); c <= top+span; c += step {
		if session.Epoch(c) != epoch {
			continue
		}
		if !ok || distance(c) <= distance(best) {
			best, ok = c, true
		}
	}
	return best, ok
}

func TestNearestCounterAgreesWithItsNaiveTwin(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 20_000 {
		// Borders of epochs and of the truncation are where it can go wrong.
		top := uint64(rng.IntN(1100)) * epochLen
		switch rng.IntN(4) {
		case 0:
			top += rng.Uint64N(epochLen)
		case 1:
			top += rng.Uint64N(1 << 17)
		case 2:
			top -= min(top, rng.Uint64N(1<<17))
		}
		epoch, low := uint8(rng.IntN(4)), uint32(rng.IntN(1<<16))
		got, ok := session.Nearest(top, epoch, low, false)
		if want, _ := naiveNearest(top, epoch, low, false); !ok || got != want {
			t.Fatalf("short: top %#x epoch %d low %#x: %#x, %v, want %#x",
				top, epoch, low, got, ok, want)
		}
		low = rng.Uint32()
		got, ok = session.Nearest(top, epoch, low, true)
		want, exists := naiveNearest(top, epoch, low, true)
		if exists && uint32(epoch) == low>>session.EpochBits&3 {
			if !ok || got != want {
				t.Fatalf("long: top %#x epoch %d low %#x: %#x, %v, want %#x",
					top, epoch, low, got, ok, want)
			}
		} else if ok {
			t.Fatalf("long: top %#x epoch %d low %#x: %#x despite contradiction",
				top, epoch, low, got)
		}
	}
}

func TestNearestCounterFindsWhatWasSentCloseBy(t *testing.T) {
	for _, tc := range []struct {
		name     string
		top, ctr uint64
		long     bool
	}{
		{"the first of all", 0, 1, true},
		{"the first of all, short", 0, 1, false},
		{"the next", 70_000, 70_001, false},
		{"32,767 ahead", 70_000, 102_767, false},
		{"32,767 behind", 70_000, 70_000 - 32_767, false},
		{"2^31 ahead", 70_000, 70_000 + 1<<31, true},
		{"across a border", epochLen - 1, epochLen, false},
		{"back across a border", epochLen + 3, epochLen - 2, false},
		{"a jump to the next epoch", 9*epochLen + 5, 10 * epochLen, false},
		{"a jump of 16 epochs", 9*epochLen + 5, 25 * epochLen, true},
	} {
		low := uint32(tc.ctr)
		if !tc.long {
			low &= 0xffff
		}
		got, ok := session.Nearest(tc.top, session.Epoch(tc.ctr), low, tc.long)
		if !ok || got != tc.ctr {
			t.Errorf("%s: %d, %v, want %d", tc.name, got, ok, tc.ctr)
		}
	}
}

func TestNearestCounterRefusesBitsThatNoFrameCarries(t *testing.T) {
	if c, ok := session.Nearest(5, 0, 1<<16, false); ok {
		t.Errorf("17 bits in the short form gave %d", c)
	}
	if c, ok := session.Nearest(5, 4, 1, false); ok {
		t.Errorf("epoch bits 4 gave %d", c)
	}
	if c, ok := session.Nearest(5, 1, 1, true); ok {
		t.Errorf("an epoch that contradicts the long form gave %d", c)
	}
}
