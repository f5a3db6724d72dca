// SPDX-License-Identifier: Apache-2.0

package node

import (
	"container/heap"
	"math"
	"time"

	"staex/internal/clock"
)

// Never is the deadline of a node that waits for nothing.
const Never = time.Duration(math.MaxInt64)

// maxTimersPerCall bounds the work of one wake-up; the rest is due at once again.
const maxTimersPerCall = 256

// timer is one deadline. Equal moments fire in the order they were armed, so that a run repeats.
type timer struct {
	at    time.Duration
	seq   uint64
	index int // in the heap, -1 when not armed
	f     func(now clock.Reading, out *Effects)
	link  *link // whose deadlines these are; then there is no f
}

// newTimer makes a timer that is not armed.
//
//go:noinline
func newTimer(f func(now clock.Reading, out *Effects)) *timer { return &timer{index: -1, f: f} }

// timers is a heap of deadlines.
type timers struct {
	heap timerHeap
	seq  uint64
}

// arm sets or moves a deadline.
func (t *timers) arm(x *timer, at time.Duration) {
	t.seq++
	x.at, x.seq = at, t.seq
	if x.index >= 0 {
		heap.Fix(&t.heap, x.index)
		return
	}
	heap.Push(&t.heap, x)
}

// sooner arms x unless it is already due by then.
func (t *timers) sooner(x *timer, at time.Duration) {
	if x.index < 0 || x.at > at {
		t.arm(x, at)
	}
}

// stop disarms a timer. In line at every caller, it and newTimer would be 7 kB of program.
//
//go:noinline
func (t *timers) stop(x *timer) {
	if x != nil && x.index >= 0 {
		heap.Remove(&t.heap, x.index)
	}
}

func (t *timers) next() time.Duration {
	if len(t.heap) == 0 {
		return Never
	}
	return t.heap[0].at
}

// pop takes the earliest timer that is due, or nil.
func (t *timers) pop(now time.Duration) *timer {
	if len(t.heap) == 0 || t.heap[0].at > now {
		return nil
	}
	x, _ := heap.Pop(&t.heap).(*timer)
	return x
}

type timerHeap []*timer

func (h timerHeap) Len() int { return len(h) }

func (h timerHeap) Less(i, j int) bool {
	if h[i].at != h[j].at {
		return h[i].at < h[j].at
	}
	return h[i].seq < h[j].seq
}

func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *timerHeap) Push(x any) {
	t, _ := x.(*timer)
	t.index = len(*h)
	*h = append(*h, t)
}

func (h *timerHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	t.index = -1
	return t
}
