// SPDX-License-Identifier: Apache-2.0

//go:build linux

package link

import (
	"io"
	"slices"
	"testing"
	"time"
)

// source gives numbered frames of a size, one per Read.
type source struct{ next, count, size int }

func (s *source) Read(b []byte) (int, error) {
	if s.next == s.count {
		return 0, io.EOF
	}
	b[0], b[1] = byte(s.next>>8), byte(s.next)
	s.next++
	return s.size, nil
}

// sink keeps the numbers of frames and when they arrived.
type sink struct {
	numbers []int
	times   []time.Time
}

func (s *sink) Write(b []byte) (int, error) {
	s.numbers = append(s.numbers, int(b[0])<<8|int(b[1]))
	s.times = append(s.times, time.Now())
	return len(b), nil
}

func carried(w Way, count, size int, direction uint64) *sink {
	to := &sink{}
	carry(&source{count: count, size: size}, to, w, direction)
	return to
}

func TestTheSameSeedLosesTheSameFramesAndTheOrderStays(t *testing.T) {
	w := Way{Loss: 0.1, Seed: 7}
	a, b := carried(w, 2000, 60, 1), carried(w, 2000, 60, 1)
	if !slices.Equal(a.numbers, b.numbers) || !slices.IsSorted(a.numbers) {
		t.Error("two runs of one seed differ, or frames changed their order")
	}
	if lost := 2000 - len(a.numbers); lost < 140 || lost > 260 {
		t.Errorf("%d of 2000 lost, 200 wanted", lost)
	}
	if other := carried(w, 2000, 60, 2); slices.Equal(a.numbers, other.numbers) {
		t.Error("both directions lose the same frames")
	}
}

func TestNoFrameIsEarly(t *testing.T) {
	const delay = 20 * time.Millisecond
	begin := time.Now()
	for i, at := range carried(Way{Delay: delay}, 10, 60, 1).times {
		if at.Sub(begin) < delay {
			t.Errorf("frame %d arrives after %v", i, at.Sub(begin))
		}
	}
}

func TestAFrameThatNoCableTakesIsLost(t *testing.T) {
	if got := carried(Way{}, 3, frameMax+1, 1); len(got.numbers) != 0 {
		t.Errorf("%d arrived", len(got.numbers))
	}
	if got := carried(Way{}, 3, frameMax, 1); len(got.numbers) != 3 {
		t.Errorf("%d of 3 arrived", len(got.numbers))
	}
}
