// SPDX-License-Identifier: Apache-2.0

package plane

import (
	"net/netip"
	"sync/atomic"
	"time"

	"staex/internal/wire"
)

const (
	// creditFactor is how many bytes may go to an unproven address for each that came from it
	// (the rule of RFC 9000, section 8).
	creditFactor = 3
	// nudgeEvery is how often a neighbour is asked whether it moved.
	nudgeEvery = time.Second
	// largeFrame is from how many bytes on a frame is large: any link carries wire.MinDatagram, and
	// who fills that wants more.
	largeFrame = 1024
)

// Link is what the fast path knows about a neighbour. Its fields are atomics because the address
// moves and time passes without a new row.
type Link struct {
	ID       LinkID        // set before the link is used
	size     atomic.Int32  // largest UDP payload in bytes that goes there
	large    atomic.Uint32 // when a large frame was last sent, in seconds plus 1
	unproven atomic.Bool   // nothing has shown yet that the neighbour receives at addr
	addr     atomic.Pointer[netip.AddrPort]
	heard    atomic.Int64
	sent     atomic.Int64
	nudged   atomic.Int64          // when a frame from another address was last reported
	credit   atomic.Int64          // bytes that may still go to an unproven address
	meter    atomic.Pointer[Meter] // of a link in quarantine
}

// NewLink returns a link that lives at addr, which has proven to be the neighbour's.
func NewLink(addr netip.AddrPort) *Link {
	l := &Link{}
	l.addr.Store(&addr)
	l.SetSize(wire.MaxDatagram)
	return l
}

// Size is the largest UDP payload in bytes that goes to the neighbour.
func (l *Link) Size() int { return int(l.size.Load()) }

// SetSize notes how large a datagram has been shown to arrive at the neighbour.
func (l *Link) SetSize(bytes int) { l.size.Store(int32(bytes)) }

// Addr is where the neighbour lives now.
func (l *Link) Addr() netip.AddrPort { return *l.addr.Load() }

// Move sets a new address because an authenticated frame of so many bytes came from there. Until
// Prove, at most three times the bytes that came from there are sent to it.
func (l *Link) Move(addr netip.AddrPort, bytes int) {
	l.credit.Store(creditFactor * int64(bytes))
	l.unproven.Store(true)
	l.addr.Store(&addr)
}

// Prove says that the neighbour receives at addr, by an answer or a handshake.
func (l *Link) Prove(addr netip.AddrPort) {
	l.addr.Store(&addr)
	l.unproven.Store(false)
}

// Proven reports whether the address has been proven.
func (l *Link) Proven() bool { return !l.unproven.Load() }

// Came notes bytes that came from the address.
func (l *Link) Came(bytes int) {
	if l.unproven.Load() {
		l.credit.Add(creditFactor * int64(bytes))
	}
}

// Allow reports whether so many bytes may be sent to the address now, and counts them.
func (l *Link) Allow(bytes int) bool {
	if !l.unproven.Load() {
		return true
	}
	if l.credit.Add(-int64(bytes)) >= 0 {
		return true
	}
	l.credit.Add(int64(bytes))
	return false
}

// nudge reports whether a frame from a wrong address is news again.
func (l *Link) nudge(now time.Duration) bool {
	last := l.nudged.Load()
	if last != 0 && now-time.Duration(last) < nudgeEvery {
		return false
	}
	return l.nudged.CompareAndSwap(last, int64(now))
}

// Heard is when something that came over the link last authenticated, on the Up clock.
func (l *Link) Heard() time.Duration { return time.Duration(l.heard.Load()) }

// Sent is when data was last sent over the link, on the Up clock.
func (l *Link) Sent() time.Duration { return time.Duration(l.sent.Load()) }

// MarkHeard notes a sign of life.
func (l *Link) MarkHeard(now time.Duration) { mark(&l.heard, now) }

// Large is when a frame was last sent, or dropped as too long, that is so large that the size of
// the link matters, on the Up clock in whole seconds. It is false if there was none.
func (l *Link) Large() (at time.Duration, ever bool) {
	s := l.large.Load()
	return time.Duration(s-1) * time.Second, s != 0
}

// MarkSent notes that data left over the link, in frames of so many bytes.
func (l *Link) MarkSent(now time.Duration, bytes int) {
	mark(&l.sent, now)
	l.markLarge(now, bytes)
}

func (l *Link) markLarge(now time.Duration, bytes int) {
	s := uint32(now/time.Second) + 1
	if bytes >= largeFrame && l.large.Load() != s {
		l.large.Store(s)
	}
}
