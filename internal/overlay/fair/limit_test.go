// SPDX-License-Identifier: Apache-2.0

package fair_test

import (
	"testing"
	"time"

	"staex/internal/overlay/fair"
)

// line is a kernel with a socket whose line carries so many bytes a second, in virtual time.
type line struct {
	rate  int
	holds []int // datagrams that have not left, in bytes
	part  int   // of the first one that has left
	sent  int
	owed  time.Duration
}

const overhead = 768 // of the kernel, for each datagram

func (l *line) pass(d time.Duration) {
	l.owed += d
	for each := time.Second / time.Duration(l.rate); l.owed >= each; l.owed -= each {
		if len(l.holds) == 0 {
			continue // what a line does not use is gone
		}
		if l.part++; l.part == l.holds[0] {
			l.sent += l.part
			l.holds, l.part = l.holds[1:], 0
		}
	}
}

func (l *line) held() (n int) {
	for _, size := range l.holds {
		n += size + overhead
	}
	return n
}

// feed fills the kernel up to the limit, as it is always possible, and looks every millisecond.
func (l *line) feed(limit *fair.Limit, d time.Duration) {
	for ; d > 0; d -= time.Millisecond {
		limit.Look(l.held())
		for l.held() < limit.Bytes() {
			l.holds = append(l.holds, 1280)
		}
		limit.Filled(l.held())
		l.pass(time.Millisecond)
	}
}

// begin shows the limit that the line is slow, with twice as much as it carries.
func (l *line) begin(t *testing.T, limit *fair.Limit) {
	t.Helper()
	for at, slow := fair.GlanceEvery, false; !slow; at += fair.GlanceEvery {
		n := 0
		for ; n <= 2*l.rate/200; n += 1280 {
			l.holds = append(l.holds, 1280)
		}
		l.pass(fair.GlanceEvery)
		if slow = limit.Glance(at, n*(1280+overhead)/1280, l.held()); at > time.Second {
			t.Fatal("the line is not found to be slow")
		}
	}
}

func TestTheKernelHoldsLittleAndIsNeverWithout(t *testing.T) {
	for _, mbit := range []int{1, 4, 50, 400} {
		l, limit := &line{rate: mbit * 125_000}, fair.NewLimit(1<<20)
		l.begin(t, &limit)
		l.feed(&limit, time.Second) // it learns
		before := l.sent
		l.feed(&limit, time.Second)
		if got := l.sent - before; got < l.rate*95/100 {
			t.Errorf("%d Mbit/s: %d bytes of %d are used", mbit, got, l.rate)
		}
		// A datagram has 1280 bytes and may be on the wire; so may a second one behind it.
		wire, most := l.held(), 2*(1280+overhead)+8*l.rate/1000
		if wire > most {
			t.Errorf("%d Mbit/s: the kernel holds %d bytes, more than %d", mbit, wire, most)
		}
	}
}

func TestALimitFollowsALineThatChanges(t *testing.T) {
	l, limit := &line{rate: 500_000}, fair.NewLimit(1<<20)
	l.begin(t, &limit)
	for _, rate := range []int{500_000, 20_000_000, 500_000} {
		l.rate = rate
		l.feed(&limit, 500*time.Millisecond)
		before := l.sent
		l.feed(&limit, 200*time.Millisecond)
		if got := l.sent - before; got < rate*18/100 {
			t.Errorf("%d bytes a second: %d used in 200 ms", rate, got)
		}
		if l.held() > 4*1280+4*overhead+8*rate/1000 {
			t.Errorf("%d bytes a second: the kernel holds %d bytes", rate, l.held())
		}
	}
}

func TestOnlyALineThatNeedsLongForWhatTheKernelHoldsIsSlow(t *testing.T) {
	const every = fair.GlanceEvery
	for _, c := range []struct {
		name string
		rate int // bytes a second
		load int // bytes in 5 ms
		slow bool
	}{
		{"a fast line with much to do", 100_000_000, 480_000, false},
		{"a slow line with little to do", 500_000, 1000, false},
		{"a slow line with too much to do", 500_000, 10_000, true},
		{"a fast line with too much to do", 10_000_000, 200_000, true},
	} {
		l, limit := &line{rate: c.rate}, fair.NewLimit(1<<20)
		slow, at := false, time.Duration(0)
		for range 100 {
			l.pass(every)
			at += every
			if slow = limit.Glance(at, c.load*(1280+overhead)/1280, l.held()) || slow; slow {
				break
			}
			for n := 0; n < c.load; n += 1280 {
				l.holds = append(l.holds, 1280)
			}
		}
		if slow != c.slow {
			t.Errorf("%s: %v", c.name, slow)
		}
		if slow && limit.Bytes() > fair.MinLimit+c.rate/100 {
			t.Errorf("%s: the limit begins at %d bytes", c.name, limit.Bytes())
		}
	}
}

func TestARestIsNotTakenForASlowLine(t *testing.T) {
	limit := fair.NewLimit(1 << 20)
	limit.Glance(0, 60_000, 60_000)
	if limit.Glance(10*time.Second, 60_000, 60_000) {
		t.Error("two bursts that are seconds apart are a slow line")
	}
}

func TestWhatALineTakesAtOnceFitsTheNextTime(t *testing.T) {
	limit := fair.NewLimit(fair.MinLimit)
	if limit.Passed(1 << 20); limit.Bytes() != fair.MinLimit {
		t.Errorf("%d bytes, more than it may ever be", limit.Bytes())
	}
	limit = fair.NewLimit(1 << 20)
	limit.Filled(100_000)
	for range 100 { // a line that sends nothing for a while
		limit.Look(100_000)
		limit.Filled(100_000)
	}
	if limit.Bytes() != fair.MinLimit {
		t.Errorf("%d bytes", limit.Bytes())
	}
	if limit.Passed(70_000); limit.Bytes() != 70_000 {
		t.Errorf("%d bytes", limit.Bytes())
	}
}
