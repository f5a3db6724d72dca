// SPDX-License-Identifier: Apache-2.0

// Package fair is what waits for a slow link: datagrams in one bucket for each next hop and label,
// served in turns, and how much of them the kernel may hold. It never sends, reads no clock, and
// looks at no byte of a datagram.
package fair

import (
	"encoding/binary"
	"net/netip"
	"time"
)

const (
	// MaxWait is how long a datagram may wait. Who repeats lost data has noticed by then, and for
	// a voice or a valve it is too late.
	MaxWait = 50 * time.Millisecond
	// MinQuantum is what a bucket may send in one turn at least: a full datagram.
	MinQuantum = 1500
	// MaxBuckets bounds the tunnels that wait at the same time: more than there are datagrams in
	// MaxWait of a line that is slow.
	MaxBuckets = 1024
	// MaxRun is how many datagrams Take gives at most: as many as one send can hold.
	MaxRun = 64
	// MaxRunBytes is how many bytes Take gives at most.
	MaxRunBytes = 65000

	// cellSize is the unit of memory in bytes: a heartbeat needs one, a full datagram six.
	cellSize = 256
	// headers is what a datagram costs on the wire beside its own bytes: IPv4 and UDP.
	headers = 28

	none = int32(-1)
)

// Key names a bucket: the next hop and the label that the datagrams carry to it.
type Key struct {
	To    netip.AddrPort
	Label uint32
}

func (k Key) hash() uint32 {
	a := k.To.Addr().As16()
	x := binary.NativeEndian.Uint64(a[:]) ^ binary.NativeEndian.Uint64(a[8:])
	x ^= uint64(k.To.Port())<<24 ^ uint64(k.Label)
	return uint32((x * 0x9e3779b97f4a7c15) >> 32) // Fibonacci hashing
}

// A packet is a datagram in the queue; it has the number of its first cell.
type packet struct {
	at   time.Duration // when it was put
	size int32         // bytes
	next int32         // in its bucket
}

// A bucket is the datagrams of one key, oldest first.
type bucket struct {
	key        Key
	head, tail int32 // packets
	cells      int32
	credit     int32 // bytes that it may still send in this turn
	chain      int32 // next bucket of the same hash, or next free one
	next       int32 // in its list
	listed     bool
}

// list is a queue of buckets by their number.
type list struct{ head, tail int32 }

// Queue is a deficit round robin (RFC 8290 without its drop rule). A bucket that was empty goes
// before those that have had a turn, once: what sends little does not wait for what sends much.
//
// All memory is taken by NewQueue. A Queue is used by one goroutine at a time.
type Queue struct {
	data    []byte
	follow  []int32 // the next cell of a packet, or the next free one
	packets []packet
	free    int32
	left    int32 // free cells

	buckets []bucket
	spare   int32
	table   []int32
	fresh   list
	served  list
	quantum int32
}

// NewQueue returns an empty queue that holds so many bytes at most, at least 64 KiB.
func NewQueue(bytes int) *Queue {
	cells := max(bytes, MaxRunBytes) / cellSize
	buckets := min(cells, MaxBuckets)
	q := &Queue{
		data: make([]byte, cells*cellSize), follow: make([]int32, cells),
		packets: make([]packet, cells), left: int32(cells),
		buckets: make([]bucket, buckets), table: make([]int32, MaxBuckets),
		fresh: list{none, none}, served: list{none, none}, quantum: MinQuantum,
	}
	for i := range q.follow {
		q.follow[i] = int32(i) + 1
	}
	q.follow[cells-1] = none
	for i := range q.buckets {
		q.buckets[i].chain = int32(i) + 1
	}
	q.buckets[buckets-1].chain = none
	for i := range q.table {
		q.table[i] = none
	}
	return q
}

// Empty reports whether nothing waits.
func (q *Queue) Empty() bool { return int(q.left) == len(q.follow) }

// Held is how many bytes of the queue's memory are in use.
func (q *Queue) Held() int { return (len(q.follow) - int(q.left)) * cellSize }

// SetQuantum sets what a bucket may send in one turn, in bytes. A fast link wants large sends.
func (q *Queue) SetQuantum(bytes int) {
	q.quantum = int32(min(max(bytes, MinQuantum), MaxRunBytes))
}

// Put copies a datagram into the queue. When there is no room the longest bucket loses what is
// oldest in it. It returns how many datagrams are lost, b itself among them if it does not fit at
// all or too many buckets wait already.
func (q *Queue) Put(now time.Duration, k Key, b []byte) (lost int) {
	need := int32((len(b) + cellSize - 1) / cellSize)
	if need == 0 || int(need) > len(q.follow)/2 {
		return 1
	}
	for q.left < need {
		q.drop(q.longest())
		lost++
	}
	i := q.find(k)
	if i == none {
		return lost + 1
	}
	p := q.store(b)
	q.packets[p] = packet{at: now, size: int32(len(b)), next: none}
	t := &q.buckets[i]
	if t.head == none {
		t.head = p
	} else {
		q.packets[t.tail].next = p
	}
	t.tail = p
	t.cells += need
	if !t.listed {
		t.listed, t.credit = true, q.quantum
		q.push(&q.fresh, i)
	}
	return lost
}

// Take copies the next datagrams of one bucket to dst, which must hold MaxRunBytes: n bytes in
// datagrams of seg bytes each, the last possibly shorter. It takes more than one only while they
// have less than room bytes. n is 0 when nothing waits. What has waited for longer than MaxWait is
// dropped; late is how many that were.
func (q *Queue) Take(now time.Duration, dst []byte, room int) (n, seg int, to netip.AddrPort,
	late int,
) {
	for {
		from := &q.fresh
		if from.head == none {
			from = &q.served
		}
		i := from.head
		if i == none {
			return 0, 0, to, late
		}
		t := &q.buckets[i]
		late += q.expire(now, i)
		switch {
		case t.head == none && from == &q.fresh && q.served.head != none:
			// It keeps its place among the others, lest it go first again and again.
			q.move(from, &q.served)
		case t.head == none:
			q.pop(from)
			q.release(i)
		case t.credit <= 0:
			t.credit += q.quantum
			q.move(from, &q.served)
		default:
			n, seg = q.run(i, dst, room)
			return n, seg, t.key.To, late
		}
	}
}

// run takes datagrams of one size, and perhaps a shorter one behind them, from a bucket.
func (q *Queue) run(i int32, dst []byte, room int) (n, seg int) {
	t := &q.buckets[i]
	for range MaxRun {
		p := t.head
		if p == none || t.credit <= 0 {
			break
		}
		size := int(q.packets[p].size)
		if n > 0 && (size > seg || n+size > min(room, MaxRunBytes)) {
			break
		}
		q.load(dst[n:n+size], p)
		q.drop(i)
		t.credit -= int32(size + headers)
		if n += size; seg == 0 {
			seg = size
		}
		if size < seg {
			break
		}
	}
	return n, seg
}

// expire drops what has waited for too long in a bucket.
func (q *Queue) expire(now time.Duration, i int32) (late int) {
	for p := q.buckets[i].head; p != none && now-q.packets[p].at > MaxWait; late++ {
		p = q.packets[p].next
		q.drop(i)
	}
	return late
}

// drop gives the oldest packet of a bucket, which has one, back.
func (q *Queue) drop(i int32) {
	t := &q.buckets[i]
	p := t.head
	t.head = q.packets[p].next
	last, n := p, int32(1)
	for ; q.follow[last] != none; n++ {
		last = q.follow[last]
	}
	q.follow[last], q.free = q.free, p
	q.left += n
	t.cells -= n
}

// longest is the bucket that holds most.
func (q *Queue) longest() int32 {
	most, cells := none, int32(0)
	for _, l := range [...]list{q.fresh, q.served} {
		for i := l.head; i != none; i = q.buckets[i].next {
			if c := q.buckets[i].cells; c > cells {
				most, cells = i, c
			}
		}
	}
	return most
}
