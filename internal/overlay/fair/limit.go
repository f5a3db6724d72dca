// SPDX-License-Identifier: Apache-2.0

package fair

import "time"

const (
	// MinLimit lets the kernel hold two full datagrams with its own overhead, in bytes: one on
	// the wire, one behind it.
	MinLimit = 4 << 10
	// GlanceEvery is how often a link that seems fast enough is looked at while it is used.
	GlanceEvery = 5 * time.Millisecond
	// maxStock is what the kernel may hold of a link that counts as fast enough, in time.
	maxStock = 10 * time.Millisecond
	// maxGlance is from when on a link may have rested between two glances.
	maxGlance = 50 * time.Millisecond
	// tick is about what lies between two looks.
	tick = time.Millisecond
	// window is how many looks decide that less is enough.
	window = 16
	// ahead is how many looks the kernel's stock should last.
	ahead = 2
)

// Limit is how many bytes of a socket the kernel may hold: as few as keep the link from running
// dry between two looks. It doubles when the link has run dry, and follows what was sent between
// two looks down (after Linux's byte queue limits, which do the same one floor below). The zero
// Limit is not ready; use NewLimit.
type Limit struct {
	most    int // it never grows beyond
	now     int
	filled  int // what the kernel held after the last Filled, if more waited then; else 0
	drained int // the most between two looks in this window
	looks   int
	stood   int           // what the kernel held at the last glance
	at      time.Duration // when that was
	sent    int           // since then
}

// NewLimit returns a limit that never exceeds most bytes, where it begins: a link is fast until it
// has shown that it is not.
func NewLimit(most int) Limit {
	most = max(most, MinLimit)
	return Limit{most: most, now: most}
}

// Bytes is the limit.
func (l *Limit) Bytes() int { return l.now }

// Glance says how much the kernel holds of a link for which nothing waits, and how much was sent
// since the last glance. It reports whether the kernel needs too long for it; the limit is small
// then. A glance too soon after the last one only counts: devices tell in bursts what they have
// sent.
func (l *Limit) Glance(now time.Duration, sent, held int) (slow bool) {
	l.sent += sent
	since, drained := now-l.at, l.stood+l.sent-held
	if since < GlanceEvery {
		return false
	}
	busy := l.stood > MinLimit && held > MinLimit && since <= maxGlance
	l.at, l.stood, l.sent = now, held, 0
	if !busy || int64(drained)*int64(maxStock) >= int64(held)*int64(since) {
		return false
	}
	l.now = min(l.now, max(int(ahead*tick*time.Duration(drained)/since), MinLimit))
	return true
}

// Reset begins anew.
func (l *Limit) Reset() { *l = NewLimit(l.most) }

// Look says how much the kernel still holds, before anything is added.
func (l *Limit) Look(held int) {
	if l.filled == 0 {
		return
	}
	if held == 0 {
		l.now = min(2*l.now, l.most)
		l.drained, l.looks, l.filled = 0, 0, 0
		return
	}
	l.drained = max(l.drained, l.filled-held)
	if l.looks++; l.looks >= window {
		l.now = min(l.now, max(ahead*l.drained, MinLimit))
		l.drained, l.looks = 0, 0
	}
	l.filled = 0
}

// Passed says that the link took so many bytes at once and had room for more.
func (l *Limit) Passed(bytes int) { l.now = max(l.now, min(bytes, l.most)) }

// Filled says how much the kernel holds when there was no room for more, although more waits.
func (l *Limit) Filled(held int) { l.filled = held }
