// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/fair"
	"staex/internal/wire"
)

const (
	// kernelBytes is about what the kernel spends on a datagram beside its bytes.
	kernelBytes = 768
	// quantums is how many turns of a bucket the kernel's stock is worth at most: few on a slow
	// line, where a turn is one datagram anyway, and large sends on a fast one.
	quantums = 8
	// calm is how long a next hop keeps its shaper after something last waited in it.
	calm = 2 * time.Second
	// shaperCount is how many next hops of one family may have a slow line at the same time and a
	// shaper of their own. One more shaper takes all others together.
	shaperCount = 3
	// shaperTick is how often it is asked whether the kernel has room again, while something waits.
	shaperTick = time.Millisecond
	// shaperPause is how long a socket is trusted after a next hop got a shaper: what the kernel
	// still holds of it should not be taken for somebody else's.
	shaperPause = 50 * time.Millisecond
)

// sink is what is asked of a socket.
type sink interface {
	Write(b []byte, seg int, to netip.AddrPort) error
	Unsent() int
}

// stock is what the kernel holds of one socket. Looking costs a system call, so most of the time
// only what was given is added up.
type stock struct {
	out   sink
	given atomic.Int64 // what the kernel held at the last look, and what it was given since
	most  atomic.Int64 // the limit, for who has no lock
	next  atomic.Int64 // when to look again, on the Up clock
	mu    sync.Mutex   // guards what follows, and in a shaper its queue
	held  int64        // what the kernel held at the last look
	limit fair.Limit
}

func (s *stock) init(out sink, bytes int) {
	s.out, s.limit = out, fair.NewLimit(bytes)
	s.most.Store(int64(s.limit.Bytes()))
}

// add counts bytes that are about to be sent, and reports whether it is time to look first.
func (s *stock) add(now time.Duration, size int64) bool {
	given := s.given.Add(size)
	return given > s.most.Load() || given > fair.MinLimit && int64(now) >= s.next.Load()
}

// look asks the kernel, before size bytes are sent that are counted already: is the line slow, and
// is there room for them?
func (s *stock) look(now time.Duration, size int64) (slow, room bool) {
	held := s.out.Unsent()
	slow = s.limit.Glance(now, int(s.given.Load()-size-s.held), held)
	s.next.Store(int64(now + fair.GlanceEvery))
	s.note(held, size)
	return slow, int64(held)+size <= s.most.Load()
}

// note takes down what the kernel holds, and what else is about to be sent.
func (s *stock) note(held int, more int64) {
	s.most.Store(int64(s.limit.Bytes()))
	s.held = int64(held)
	s.given.Store(s.held + more)
}

// weight is about what a send adds to the stock.
func weight(bytes, seg int) int64 { return int64(bytes + kernelBytes*((bytes+seg-1)/seg)) }

// A shaper is a socket for next hops behind a slow line. When the kernel holds more than the line
// sends in a moment, data waits in a fair queue, from which the kernel gets as much as it has room
// for.
//
//	open --the kernel has no room--> busy --nothing waits--> open
type shaper struct {
	stock
	bytes  int                            // of the queue, once it is needed
	all    bool                           // it takes whatever has no shaper of its own
	hop    atomic.Pointer[netip.AddrPort] // for whom it is, the first of them if for all; or nil
	last   atomic.Int64                   // when something last waited
	busy   atomic.Bool
	drops  [drop.Count]atomic.Uint64
	wake   chan<- struct{}
	count  func(bytes int) // told what was sent after it waited
	queue  *fair.Queue
	buffer []byte
}

// serves reports whether what goes to a next hop goes this way.
func (s *shaper) serves(to netip.AddrPort) bool {
	hop := s.hop.Load()
	return hop != nil && (s.all || *hop == to)
}

// isCalm reports whether nothing has waited for a while.
func (s *shaper) isCalm(now time.Duration) bool {
	return !s.busy.Load() && now-time.Duration(s.last.Load()) > calm
}

// send sends b as datagrams of seg bytes each, now or as soon as there is room; sent tells which.
func (s *shaper) send(now time.Duration, b []byte, seg int, to netip.AddrPort,
) (sent bool, err error) {
	size := weight(len(b), seg)
	if look := s.add(now, size); (look || s.busy.Load()) && s.wait(now, size, b, seg, to) {
		return false, nil
	}
	return true, s.out.Write(b, seg, to)
}

// wait puts datagrams into the queue, unless a look shows that the kernel has room.
func (s *shaper) wait(now time.Duration, size int64, b []byte, seg int, to netip.AddrPort) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.busy.Load() {
		if slow, room := s.look(now, size); room && !slow {
			return false
		}
		s.begin(now)
	}
	for ; len(b) > 0; b = b[min(seg, len(b)):] {
		f := b[:min(seg, len(b))]
		label, _ := wire.PeekLabel(f)
		lost := s.queue.Put(now, fair.Key{To: to, Label: uint32(label)}, f)
		s.drops[drop.QueueFull].Add(uint64(lost))
	}
	return true
}

// begin lets data wait from now on.
func (s *shaper) begin(now time.Duration) {
	if s.queue == nil {
		s.queue, s.buffer = fair.NewQueue(s.bytes), make([]byte, fair.MaxRunBytes)
	}
	s.limit.Filled(int(s.held))
	s.last.Store(int64(now))
	s.busy.Store(true)
	select {
	case s.wake <- struct{}{}:
	default: // it is awake
	}
}

// giveBack frees the memory of the queue. It reports whether nothing waits there.
func (s *shaper) giveBack() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy.Load() {
		return false
	}
	s.queue, s.buffer = nil, nil
	return true
}

// fill gives the kernel what it has room for, and reports whether more waits. Whoever wants to send
// meanwhile waits for the lock, as it would for the socket if there were no queue.
func (s *shaper) fill(now time.Duration) bool {
	if !s.busy.Load() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	held := s.out.Unsent()
	s.limit.Look(held)
	s.last.Store(int64(now))
	most := s.limit.Bytes()
	s.queue.SetQuantum(most / quantums)
	for passed := 0; held < most; {
		n, seg, to, late := s.queue.Take(now, s.buffer, most-held)
		s.drops[drop.Late].Add(uint64(late))
		if n == 0 {
			s.limit.Passed(passed)
			s.note(held, 0)
			s.busy.Store(false)
			return false
		}
		if s.out.Write(s.buffer[:n], seg, to) != nil {
			s.drops[drop.NoRoute].Add(1)
		} else {
			s.count(n)
			passed += int(weight(n, seg))
		}
		held = s.out.Unsent()
	}
	s.limit.Filled(held)
	s.note(held, 0)
	return true
}
