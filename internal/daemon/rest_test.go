// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"staex/internal/overlay/node"
	"staex/internal/overlay/plane"
	"staex/internal/wire"
)

func TestMemoryIsGivenBackOnceAfterABurstAndNotWhileItLasts(t *testing.T) {
	const s = time.Second
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	startStill()
	r := newRest(profiles[0], s)
	if r.due() != s+restAfter {
		t.Errorf("the first look is due at %v", r.due())
	}
	defer func() {
		if r.due() != node.Never {
			t.Errorf("a later look is due at %v", r.due())
		}
	}()
	for _, step := range []struct {
		at, worked time.Duration
		gives      bool
	}{
		{at: 4 * s, worked: 1 * s, gives: false},   // the start
		{at: 5 * s, worked: 1 * s, gives: true},    // is over
		{at: 12 * s, worked: 9 * s, gives: false},  // the burst goes on
		{at: 13 * s, worked: 9 * s, gives: true},   // it is over
		{at: 60 * s, worked: 9 * s, gives: false},  // nothing since
		{at: 90 * s, worked: 80 * s, gives: false}, // too soon after the last time
		{at: 400 * s, worked: 80 * s, gives: true},
		{at: 3999 * s, worked: 80 * s, gives: false}, // nothing since
		{at: 4000 * s, worked: 80 * s, gives: true},  // an hour
	} {
		if step.worked != r.worked {
			r.work(step.worked)
		}
		before := r.gave
		if err := r.look(step.at); err != nil {
			t.Fatal(err)
		}
		if gave := r.gave != before; gave != step.gives {
			t.Errorf("at %v, after work at %v: gave back %v", step.at, step.worked, gave)
		}
		if r.still != (collector() < 0) || step.gives && !r.still {
			t.Errorf("at %v: still is %v, the collector is at %d", step.at, r.still, collector())
		}
	}
}

func TestNoMemoryIsGivenBackDuringTheStartHoweverLongTheMachineIsUp(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	for _, up := range []time.Duration{time.Second, restMost, 1000 * time.Hour} {
		startStill()
		r := newRest(profiles[0], up)
		if err := r.look(up + time.Millisecond); err != nil {
			t.Fatal(err)
		}
		if r.gave != 0 {
			t.Errorf("up for %v: gave back during the start", up)
		}
	}
}

func TestTheCollectorIsStillDuringAStartAndNoLonger(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	startStill()
	r := newRest(profiles[1], time.Second)
	r.work(4 * time.Second)
	if got := collector(); got >= 0 {
		t.Errorf("during the start the collector is at %d", got)
	}
	if err := r.look(r.due()); err != nil {
		t.Fatal(err)
	}
	if got := collector(); got != profiles[1].collectAt || r.gave != 0 {
		t.Errorf("without a rest the collector is at %d, gave back at %v", got, r.gave)
	}
}

// collector is how the collector is set; it is off below 0.
func collector() int {
	now := debug.SetGCPercent(100)
	debug.SetGCPercent(now)
	return now
}

func TestAKeepAliveIsNoWork(t *testing.T) {
	idle := wire.DataHeader{Type: wire.TypeLink}.Append(nil)
	busy := append(idle, make([]byte, 100)...)
	for _, c := range []struct {
		p    parcel
		work bool
	}{
		{parcel{link: 1, frame: append(idle, make([]byte, wire.TagSize)...)}, false},
		{parcel{link: 1, frame: busy}, true},
		{parcel{frame: idle}, true}, // a stranger's
		{parcel{probe: true}, false},
		{parcel{seen: []plane.Notice{{}}}, true},
		{parcel{gone: true}, true},
	} {
		if got := c.p.isWork(); got != c.work {
			t.Errorf("%+v: %v", c.p, got)
		}
	}
}

// garbage makes what is thrown away leave the stack.
var garbage []byte

func TestARestingDaemonDoesNotGrowWithoutBound(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	r := newRest(profiles[1], time.Second)
	if err := r.look(time.Minute); err != nil || !r.still {
		t.Fatal(r.still, err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 20 * restRoom / 4096 {
		garbage = make([]byte, 4096)
	}
	// The collector works beside this loop, and may be behind it on a busy machine.
	deadline := time.Now().Add(10 * time.Second)
	for {
		runtime.ReadMemStats(&after)
		grown := int64(after.HeapAlloc) - int64(before.HeapAlloc)
		if after.NumGC > before.NumGC && grown <= 2*restRoom {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the heap grew by %d bytes in %d collections", grown,
				after.NumGC-before.NumGC)
		}
		garbage = make([]byte, 4096)
	}
}
