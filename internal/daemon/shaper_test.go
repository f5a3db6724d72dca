// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"staex/internal/overlay/drop"
)

// slowSink is a kernel whose line sends one datagram for each fourth look at it.
type slowSink struct {
	mu    sync.Mutex // guards what follows
	held  []int
	looks int
	got   int // datagrams
	last  map[byte]int
	bad   int // datagrams out of order
}

func (s *slowSink) Write(b []byte, seg int, _ netip.AddrPort) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ; len(b) > 0; b = b[min(seg, len(b)):] {
		s.held = append(s.held, min(seg, len(b))+kernelBytes)
		s.got++
		n := int(b[4])<<8 | int(b[5])
		if n <= s.last[b[3]] {
			s.bad++
		}
		s.last[b[3]] = n
	}
	return nil
}

func (s *slowSink) Unsent() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.looks++; s.looks%4 == 0 && len(s.held) > 0 {
		s.held = s.held[1:]
	}
	for _, size := range s.held {
		n += size
	}
	return n
}

func TestWhatWaitsForASlowLineIsSentInOrderOrCounted(t *testing.T) {
	const senders, each, size = 4, 3000, 1000
	d := &daemon{waiting: make(chan struct{}, 1)}
	kernel := &slowSink{last: map[byte]int{}}
	var late atomic.Int64
	s := &shaper{bytes: 1 << 17, wake: d.waiting, count: func(n int) { late.Add(int64(n)) }}
	s.init(kernel, 1<<17)
	d.shapers = []*shaper{s}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.drain(ctx) }()

	to := netip.MustParseAddrPort("192.0.2.1:9376")
	var direct atomic.Int64
	var all sync.WaitGroup
	for label := range byte(senders) {
		all.Go(func() {
			b := make([]byte, size)
			for n := 1; n <= each; n++ {
				b[3], b[4], b[5] = label+1, byte(n>>8), byte(n)
				sent, err := s.send(up(), b, size, to)
				if err != nil {
					t.Error(err)
				}
				if sent {
					direct.Add(size)
				}
			}
		})
	}
	all.Wait()
	for end := time.Now().Add(time.Minute); s.busy.Load(); <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the queue is never empty")
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	lost := int(s.drops[drop.Late].Load() + s.drops[drop.QueueFull].Load())
	if kernel.got+lost != senders*each || lost == 0 || kernel.got == 0 {
		t.Errorf("%d sent, %d lost of %d", kernel.got, lost, senders*each)
	}
	if got := direct.Load() + late.Load(); got != int64(kernel.got*size) {
		t.Errorf("%d bytes counted, %d sent", got, kernel.got*size)
	}
	// What leaves at once may overtake what another goroutine is about to queue, never its own.
	if kernel.bad > 0 {
		t.Errorf("%d datagrams out of order", kernel.bad)
	}
}

func TestAFastNextHopThatWasTakenForASlowOneLosesItsShaper(t *testing.T) {
	kernel := &slowSink{last: map[byte]int{}}
	l := &shapers{}
	for i := range 3 {
		s := &shaper{all: i == 2, bytes: 1 << 17}
		s.init(kernel, 1<<17)
		l.list = append(l.list, s)
	}
	hop := func(i byte) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, i}), 9376)
	}
	if l.find(0, hop(1)) != nil {
		t.Error("nobody is slow, and somebody has a shaper")
	}
	first, second, rest := l.assign(0, hop(1)), l.assign(0, hop(2)), l.assign(0, hop(3))
	if first == second || !rest.all || l.assign(0, hop(4)) != nil {
		t.Error("shapers are given twice")
	}
	for i, want := range map[byte]*shaper{1: first, 2: second, 3: rest, 4: rest} {
		if l.find(calm, hop(i)) != want {
			t.Errorf("hop %d has another shaper", i)
		}
	}
	second.last.Store(int64(calm)) // something waited in these
	rest.last.Store(int64(calm))
	if l.find(calm+1, hop(1)) != nil || l.find(calm+1, hop(1)) != rest {
		t.Error("the first hop keeps its shaper, or is not one of the rest")
	}
	if l.assign(calm+1, hop(5)) != first || l.find(calm+1, hop(2)) != second {
		t.Error("a free shaper is not given, or one that is in use")
	}
}
