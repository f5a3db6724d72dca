// SPDX-License-Identifier: Apache-2.0

package plane

import (
	"sync/atomic"
	"time"
)

// Meter bounds the bytes that cross a link, in both directions together: so many a second, and so
// many at once after a pause (the generic cell rate algorithm of ITU-T I.371, with bytes as cells).
type Meter struct {
	each  time.Duration // what one byte takes
	depth time.Duration // how far bytes may run ahead of their time
	next  atomic.Int64  // when the bytes so far will have had their time, on the Up clock
}

// NewMeter returns a meter for rate bytes a second, 1 to 1e9, and burst bytes at once.
func NewMeter(rate, burst int) *Meter {
	each := time.Second / time.Duration(rate)
	return &Meter{each: each, depth: each * time.Duration(burst)}
}

// take counts bytes that want to pass now, and reports whether they may.
func (m *Meter) take(now time.Duration, bytes int) bool {
	for {
		old := m.next.Load()
		next := max(time.Duration(old), now) + m.each*time.Duration(bytes)
		if next-now > m.depth {
			return false
		}
		if m.next.CompareAndSwap(old, int64(next)) {
			return true
		}
	}
}

// Confine lets no more cross the link than the meter says; nil lifts it. It counts data that other
// nodes send or receive over it, not what the link itself needs.
func (l *Link) Confine(m *Meter) { l.meter.Store(m) }

// within reports whether the link may carry so many bytes more now.
func (l *Link) within(now time.Duration, bytes int) bool {
	m := l.meter.Load()
	return m == nil || m.take(now, bytes)
}
