// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"net/netip"
	"testing"
	"time"
)

// lineSink is a kernel before a line of so many bytes a second, on a clock of its own. What the
// line has sent shows in bursts.
type lineSink struct {
	now   time.Duration
	rate  int64
	burst time.Duration
	from  time.Duration // when held was exact
	held  int64
}

func (s *lineSink) drain() {
	at := s.now.Truncate(s.burst)
	s.held = max(0, s.held-s.rate*int64(max(0, at-s.from))/int64(time.Second))
	s.from = max(s.from, at)
}

func (s *lineSink) Write(b []byte, seg int, _ netip.AddrPort) error {
	s.drain()
	s.held += weight(len(b), seg)
	return nil
}

func (s *lineSink) Unsent() int { s.drain(); return int(s.held) }

// newGate is a gate before a line, with shapers that have kernels of their own.
func newGate(line *lineSink) *gate {
	l := &shapers{}
	for i := range shaperCount + 1 {
		s := &shaper{all: i == shaperCount, bytes: 1 << 17, wake: make(chan struct{}, 1)}
		s.init(&lineSink{rate: 1 << 40, burst: 1}, 1<<17)
		l.list = append(l.list, s)
	}
	g := &gate{slow: l}
	g.init(line, 1<<20)
	return g
}

func hopOf(i byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, i}), 9376)
}

// until sends to a hop, a datagram each gap, until it has a shaper or the time is over.
func (g *gate) until(t *testing.T, line *lineSink, hop netip.AddrPort, gap, d time.Duration) bool {
	t.Helper()
	for end := line.now + d; line.now < end; line.now += gap {
		if _, err := g.send(line.now, make([]byte, 1400), 1400, hop); err != nil {
			t.Fatal(err)
		}
		if g.slow.find(line.now, hop) != nil {
			return true
		}
	}
	return false
}

func TestASlowMomentOfOneHopMakesNoFastOneSlow(t *testing.T) {
	line := &lineSink{now: time.Second, rate: 1_000_000 / 8, burst: 1}
	g := newGate(line)
	if !g.until(t, line, hopOf(1), time.Millisecond, time.Second) {
		t.Fatal("a line of 1 Mbit/s is not slow")
	}
	line.rate, line.burst = 1_000_000_000/8, 100*time.Microsecond
	line.now += 10 * time.Second
	if g.until(t, line, hopOf(2), 25*time.Microsecond, 2*time.Second) {
		t.Error("half of what a line carries makes it slow")
	}
}

func TestOneSlowHopTakesOneShaper(t *testing.T) {
	line := &lineSink{now: time.Second, rate: 1_000_000 / 8, burst: 1}
	g := newGate(line)
	if !g.until(t, line, hopOf(1), time.Millisecond, time.Second) {
		t.Fatal("a line of 1 Mbit/s is not slow")
	}
	for i := byte(2); i <= 4; i++ {
		if g.until(t, line, hopOf(i), 500*time.Microsecond, 500*time.Microsecond) {
			t.Errorf("hop %d got a shaper for what the first one had sent", i)
		}
	}
	if got := g.slow.assign(line.now, hopOf(1)); got != g.slow.find(line.now, hopOf(1)) {
		t.Error("one hop has two shapers")
	}
}
