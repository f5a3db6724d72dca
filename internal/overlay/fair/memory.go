// SPDX-License-Identifier: Apache-2.0

package fair

// store copies bytes to free cells, of which there are enough, and returns the first.
func (q *Queue) store(b []byte) int32 {
	first, last := q.free, none
	for len(b) > 0 {
		c := q.free
		q.free = q.follow[c]
		q.left--
		b = b[copy(q.cell(c), b):]
		last = c
	}
	q.follow[last] = none
	return first
}

// load copies a packet to dst, which has its size.
func (q *Queue) load(dst []byte, p int32) {
	for c := p; c != none; c = q.follow[c] {
		dst = dst[copy(dst, q.cell(c)):]
	}
}

func (q *Queue) cell(c int32) []byte {
	o := int(c) * cellSize
	return q.data[o : o+cellSize]
}

// find returns the bucket of a key, a new one if need be; none when there are too many.
func (q *Queue) find(k Key) int32 {
	slot := &q.table[k.hash()%uint32(len(q.table))]
	for i := *slot; i != none; i = q.buckets[i].chain {
		if q.buckets[i].key == k {
			return i
		}
	}
	i := q.spare
	if i == none {
		return none
	}
	q.spare = q.buckets[i].chain
	q.buckets[i] = bucket{key: k, head: none, tail: none, next: none, chain: *slot}
	*slot = i
	return i
}

// release forgets an empty bucket that is in no list.
func (q *Queue) release(i int32) {
	at := &q.table[q.buckets[i].key.hash()%uint32(len(q.table))]
	for *at != i {
		at = &q.buckets[*at].chain
	}
	*at = q.buckets[i].chain
	q.buckets[i].chain, q.buckets[i].listed = q.spare, false
	q.spare = i
}

func (q *Queue) push(l *list, i int32) {
	if q.buckets[i].next = none; l.head == none {
		l.head = i
	} else {
		q.buckets[l.tail].next = i
	}
	l.tail = i
}

func (q *Queue) pop(l *list) int32 {
	i := l.head
	if l.head = q.buckets[i].next; l.head == none {
		l.tail = none
	}
	return i
}

// move takes the first bucket of a list to the end of another one, or of the same.
func (q *Queue) move(from, to *list) { q.push(to, q.pop(from)) }
