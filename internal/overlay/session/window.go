// SPDX-License-Identifier: Apache-2.0

package session

// wordBits is the width of one word of the bitmap.
const wordBits = 64

// Window is a replay window: which of the last counters were seen. It is a ring of bits that is
// never shifted (the shape of RFC 6479); moving ahead clears the bits that are reused. The bits
// are allocated by the first Mark, so an idle session pays for a slice header. The zero value
// is not usable: see [NewWindow]. It is not safe for concurrent use.
type Window struct {
	bits []uint64
	size uint64 // in counters
	top  uint64 // highest marked, 0 = none
}

// NewWindow returns an empty window over the last size counters. It panics unless size is a
// positive multiple of 64.
func NewWindow(size int) Window {
	if size <= 0 || size%wordBits != 0 {
		panic("session: replay window size is not a positive multiple of 64")
	}
	return Window{size: uint64(size)}
}

// Top returns the highest counter marked so far, 0 if there is none.
func (w *Window) Top() uint64 { return w.top }

// Check reports whether the counter is new: above the highest, or inside the window and not
// marked yet. Counter 0 is never new, because senders begin at 1.
func (w *Window) Check(ctr uint64) bool {
	if ctr > w.top {
		return true
	}
	if ctr == 0 || w.top-ctr >= w.size {
		return false
	}
	word, bit := w.place(ctr)
	return w.bits[word]&(1<<bit) == 0
}

// Mark records the counter as seen and moves the window up to it if it is the highest. A counter
// behind the window is ignored. Callers mark only what Check allowed and a tag proved.
func (w *Window) Mark(ctr uint64) {
	if w.bits == nil {
		w.bits = make([]uint64, w.size/wordBits)
	}
	if ctr > w.top {
		w.advance(ctr)
	} else if w.top-ctr >= w.size {
		return
	}
	word, bit := w.place(ctr)
	w.bits[word] |= 1 << bit
}

// advance clears the bits of the counters between the old top and the new one.
func (w *Window) advance(ctr uint64) {
	from := w.top + 1
	w.top = ctr
	if ctr-from >= w.size {
		clear(w.bits)
		return
	}
	for from <= ctr {
		word, bit := w.place(from)
		span := min(wordBits-bit, ctr-from+1)
		w.bits[word] &^= (^uint64(0) >> (wordBits - span)) << bit
		from += span
	}
}

// place says where in the ring a counter lives.
func (w *Window) place(ctr uint64) (word, bit uint64) {
	return ctr / wordBits % uint64(len(w.bits)), ctr % wordBits
}
