// SPDX-License-Identifier: Apache-2.0

package flow

import "time"

// Bounds of the plaintexts being put together in one session.
const (
	// MaxOpen is how many may be incomplete at once; more are overtaken packets that lost a
	// part.
	MaxOpen = 8
	// MaxPartBytes bounds the bytes of all of them together, and so the longest plaintext.
	MaxPartBytes = 65535
	// MaxPartAge is how long the last part may follow the first.
	MaxPartAge = time.Second

	// partSpan is how far apart the ids of incomplete plaintexts may be, so that a lost part's
	// id does not meet itself when the 8-bit count comes around.
	partSpan = 2 * MaxOpen
	// keptBytes is the largest buffer kept for reuse: common packets fit, memory stays small.
	keptBytes = 4096
)

// Reassembly puts the parts of cut plaintexts together. Parts have numbers instead of offsets,
// so they cannot overlap. The zero value is ready, and small until a part comes. It has one
// user.
type Reassembly struct {
	open  []*partSet // oldest first, at most MaxOpen
	spare []*partSet
	whole []byte // what Add returned last, when parts came out of order
}

// partSet is one incomplete plaintext; its chunks stand in buf in the order they came.
type partSet struct {
	id     uint8
	have   uint8 // parts so far
	want   uint8 // parts altogether, 0 until the last is here
	sorted bool  // chunks came in order: buf is the plaintext
	since  time.Duration
	buf    []byte
	chunks [MaxParts]struct{ start, end uint16 } // end 0: not here
}

// Add takes one part at now and, when it completes a plaintext, returns that with ok true. whole
// is valid until the next Add. Parts that are late, repeat or contradict others, are empty or
// would exceed the bounds discard the plaintext they belong to; a repeated one begins it anew.
func (r *Reassembly) Add(now time.Duration, id, index uint8, last bool, chunk []byte) (
	whole []byte, ok bool,
) {
	if index >= MaxParts || len(chunk) == 0 || len(chunk) > MaxPartBytes {
		return nil, false
	}
	r.forget(now, id)
	s := r.find(id)
	if s != nil && s.contradicts(index, last) {
		r.discard(s)
		s = nil
	}
	if s == nil {
		s = r.begin(now, id)
	}
	for r.bytes()+len(chunk) > MaxPartBytes {
		victim := r.open[0]
		r.discard(victim)
		if victim == s { // alone too long, or the oldest of many
			return nil, false
		}
	}
	s.add(index, last, chunk)
	if s.have != s.want {
		return nil, false
	}
	whole = s.buf
	if !s.sorted {
		r.whole = s.appendSorted(r.whole[:0])
		whole = r.whole
	}
	r.discard(s)
	return whole, true
}

// bytes returns how many bytes all open sets have: a handful of sets is not worth a field in every
// session.
func (r *Reassembly) bytes() (n int) {
	for _, s := range r.open {
		n += len(s.buf)
	}
	return n
}

// forget discards what is too old, and what the count of ids has left behind.
func (r *Reassembly) forget(now time.Duration, id uint8) {
	for i := 0; i < len(r.open); {
		s := r.open[i]
		if now-s.since > MaxPartAge || (id-s.id >= partSpan && s.id-id >= partSpan) {
			r.discard(s)
			continue
		}
		i++
	}
}

func (r *Reassembly) find(id uint8) *partSet {
	for _, s := range r.open {
		if s.id == id {
			return s
		}
	}
	return nil
}

// begin opens a set, at the cost of the oldest if there are too many.
func (r *Reassembly) begin(now time.Duration, id uint8) *partSet {
	if len(r.open) == MaxOpen {
		r.discard(r.open[0])
	}
	var s *partSet
	if n := len(r.spare); n > 0 {
		s = r.spare[n-1]
		r.spare = r.spare[:n-1]
	} else {
		s = new(partSet)
	}
	*s = partSet{id: id, sorted: true, since: now, buf: s.buf[:0]}
	r.open = append(r.open, s)
	return s
}

// discard closes a set. Its buffer stays readable until the set is begun again.
func (r *Reassembly) discard(s *partSet) {
	for i, o := range r.open {
		if o == s {
			r.open = append(r.open[:i], r.open[i+1:]...)
			break
		}
	}
	if cap(s.buf) > keptBytes {
		s.buf = nil
	}
	if cap(r.whole) > keptBytes {
		r.whole = nil
	}
	r.spare = append(r.spare, s)
}

// contradicts reports whether a part cannot belong to what is already here.
func (s *partSet) contradicts(index uint8, last bool) bool {
	if s.chunks[index].end != 0 {
		return true
	}
	if s.want != 0 {
		return last || index >= s.want
	}
	if last {
		for _, c := range s.chunks[index+1:] {
			if c.end != 0 {
				return true
			}
		}
	}
	return false
}

func (s *partSet) add(index uint8, last bool, chunk []byte) {
	s.sorted = s.sorted && index == s.have
	start := len(s.buf)
	s.buf = append(s.buf, chunk...)
	s.chunks[index].start, s.chunks[index].end = uint16(start), uint16(len(s.buf))
	s.have++
	if last {
		s.want = index + 1
	}
}

func (s *partSet) appendSorted(dst []byte) []byte {
	for _, c := range s.chunks[:s.want] {
		dst = append(dst, s.buf[c.start:c.end]...)
	}
	return dst
}
