// SPDX-License-Identifier: Apache-2.0

package flow

// looseFlows remembers the maxLoose flows without a slot that were used last. The zero value is
// empty. Entries form a ring through their neighbours' indices, newest first.
type looseFlows struct {
	at      map[uint64]uint16 // flow key to index in entries
	entries []looseFlow
	newest  uint16 // meaningful when the map is not empty
	free    []uint16
}

type looseFlow struct {
	key          uint64
	newer, older uint16
}

// touch makes f the newest, and forgets the oldest if there are too many.
func (l *looseFlows) touch(f Flow) {
	key := f.key()
	if i, ok := l.at[key]; ok {
		if i == l.newest {
			return
		}
		l.unlink(i)
		l.link(i)
		return
	}
	if l.at == nil {
		l.at = make(map[uint64]uint16)
	}
	i := l.slotFor()
	l.entries[i].key = key
	l.link(i)
	l.at[key] = i
}

// slotFor returns an unlinked entry: a freed one, a new one, or the oldest.
func (l *looseFlows) slotFor() uint16 {
	if n := len(l.free); n > 0 {
		i := l.free[n-1]
		l.free = l.free[:n-1]
		return i
	}
	if len(l.entries) < maxLoose {
		l.entries = append(l.entries, looseFlow{})
		return uint16(len(l.entries) - 1)
	}
	oldest := l.entries[l.newest].newer // the ring closes at the newest
	delete(l.at, l.entries[oldest].key)
	l.unlink(oldest)
	return oldest
}

// find reports whether f is remembered, and makes it the newest if it is.
func (l *looseFlows) find(f Flow) bool {
	if _, ok := l.at[f.key()]; !ok {
		return false
	}
	l.touch(f)
	return true
}

// remove forgets f.
func (l *looseFlows) remove(f Flow) {
	i, ok := l.at[f.key()]
	if !ok {
		return
	}
	delete(l.at, f.key())
	l.unlink(i)
	l.free = append(l.free, i)
}

// link puts entry i, not in the ring, in front. The map does not hold it yet, or holds more.
func (l *looseFlows) link(i uint16) {
	e := &l.entries[i]
	if len(l.entries)-len(l.free) == 1 {
		e.newer, e.older = i, i
	} else {
		e.older = l.newest
		e.newer = l.entries[l.newest].newer
		l.entries[e.newer].older = i
		l.entries[l.newest].newer = i
	}
	l.newest = i
}

// unlink takes entry i out of the ring.
func (l *looseFlows) unlink(i uint16) {
	e := l.entries[i]
	l.entries[e.newer].older, l.entries[e.older].newer = e.older, e.newer
	if l.newest == i {
		l.newest = e.older
	}
}
