// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"staex/internal/overlay/plane"
	"staex/internal/wire"
)

func TestMemoryIsGivenBackOnceAfterABurstAndNotWhileItLasts(t *testing.T) {
	const s = time.Second
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	r := rest{profile: profiles[0]}
	for _, step := range []struct {
		at, worked time.Duration
		gives      bool
	}{
		{at: 10 * s, worked: 9 * s, gives: false},  // the burst goes on
		{at: 14 * s, worked: 9 * s, gives: true},   // it is over
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
	r := rest{profile: profiles[1]}
	r.work(time.Second)
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
