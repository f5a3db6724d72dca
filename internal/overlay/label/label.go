// SPDX-License-Identifier: Apache-2.0

// Package label is the allocator of path labels: the 24-bit names by which a node recognises the
// rows of its own forwarding table. It holds no rows, and it never reads a frame.
package label

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"time"

	"staex/internal/wire"
)

const (
	// Bits is the width of a label.
	Bits = 24

	// MinIndexBits is the smallest table an allocator serves.
	MinIndexBits = 1

	// Quarantine is how long a label rests after it was given back, so that frames which are
	// still on their way are not delivered to its successor.
	Quarantine = 60 * time.Second
)

// Alloc gives labels out and takes them back.
//
//	 23                              0
//	+---------------+-----------------+
//	|  check bits   |    row index    |   the border is chosen when the allocator is made
//	+---------------+-----------------+
//
// The index says which row of the table a frame belongs to; the check bits are drawn anew at each
// reuse of an index and differ from the previous ones, so that a stale label is noticed. They are
// no secret. Index 0 is never used, therefore label 0 means "none". An Alloc is for one goroutine.
type Alloc struct {
	indexBits uint8
	rand      io.Reader
	labels    []wire.Label // by index: the label last given there; live says whether it still is
	live      []bool
	count     int
	resting   []rested // oldest first, from position head on
	head      int
}

// rested is an index in quarantine; its last label is still in Alloc.labels.
type rested struct {
	index uint32
	since time.Duration
}

// NewAlloc makes an allocator for a table of 1<<indexBits rows, whose first one stays empty.
// indexBits lies between MinIndexBits and Bits; anything else is a mistake of the caller and
// panics. The reader gives the check bits.
func NewAlloc(indexBits uint8, rand io.Reader) *Alloc {
	if indexBits < MinIndexBits || indexBits > Bits {
		panic(fmt.Sprintf("label: %d index bits in a label of %d", indexBits, Bits))
	}
	return &Alloc{
		indexBits: indexBits, rand: rand,
		labels: make([]wire.Label, 1), live: make([]bool, 1),
	}
}

// New gives out a label that nobody holds. ok is false when all are in use or in quarantine at
// the time now (on the Up clock), and when the random source fails.
func (a *Alloc) New(now time.Duration) (l wire.Label, ok bool) {
	var random [4]byte
	if _, err := io.ReadFull(a.rand, random[:]); err != nil {
		return 0, false
	}
	draw := binary.BigEndian.Uint32(random[:])
	checks := uint32(1) << (Bits - a.indexBits)
	index, check := uint32(len(a.labels)), draw%checks
	switch {
	case a.head < len(a.resting) && now-a.resting[a.head].since >= Quarantine:
		// A used index first: the table stays as short as it can.
		index = a.pop()
		check = uint32(a.labels[index]) >> a.indexBits
		if checks > 1 {
			check = (check + 1 + draw%(checks-1)) % checks
		}
	case len(a.labels) <= a.Cap():
		a.labels = append(a.labels, 0)
		a.live = append(a.live, false)
	default:
		return 0, false
	}
	l = wire.Label(check<<a.indexBits | index)
	a.labels[index], a.live[index] = l, true
	a.count++
	return l, true
}

// pop takes the index that has rested longest out of the queue.
func (a *Alloc) pop() uint32 {
	index := a.resting[a.head].index
	a.head++
	if a.head >= 64 && a.head*2 >= len(a.resting) {
		a.resting = append(a.resting[:0], a.resting[a.head:]...)
		a.head = 0
	}
	return index
}

// Free takes a label back at the time now (on the Up clock) and puts its index in quarantine. It
// reports false for a label that is not in use, which changes nothing.
func (a *Alloc) Free(now time.Duration, l wire.Label) bool {
	if !a.Live(l) {
		return false
	}
	index := a.Index(l)
	a.live[index] = false
	a.count--
	a.resting = append(a.resting, rested{index, now})
	return true
}

// Return is Free for a label under which nothing was ever sent: the next New may give its index
// out again, with other check bits.
func (a *Alloc) Return(now time.Duration, l wire.Label) bool {
	if !a.Free(now, l) {
		return false
	}
	last := len(a.resting) - 1
	fresh := rested{a.resting[last].index, now - Quarantine}
	if a.head == 0 {
		a.resting = slices.Insert(a.resting[:last], 0, fresh)
		return true
	}
	a.resting = a.resting[:last]
	a.head--
	a.resting[a.head] = fresh
	return true
}

// Live reports whether the label is in use: given out and not taken back.
func (a *Alloc) Live(l wire.Label) bool {
	index := a.Index(l)
	return int(index) < len(a.labels) && a.live[index] && a.labels[index] == l
}

// Index is the row of the table that a label names, between 0 and Cap. It says nothing about
// whether the label is in use.
func (a *Alloc) Index(l wire.Label) uint32 {
	return uint32(l) & (1<<a.indexBits - 1)
}

// Len is the number of labels in use.
func (a *Alloc) Len() int { return a.count }

// Cap is the number of labels that can be in use at once, which is also the highest index.
func (a *Alloc) Cap() int { return 1<<a.indexBits - 1 }
