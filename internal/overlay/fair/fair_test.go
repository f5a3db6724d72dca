// SPDX-License-Identifier: Apache-2.0

package fair_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"staex/internal/overlay/fair"
)

const capacity = 256 << 10

func key(hop, label int) fair.Key {
	addr := netip.AddrFrom4([4]byte{10, 0, byte(hop >> 8), byte(hop)})
	return fair.Key{To: netip.AddrPortFrom(addr, 9376), Label: uint32(label)}
}

// datagram is size bytes that say of which bucket they are, and the how many.
func datagram(bucket, number, size int) []byte {
	b := make([]byte, size)
	binary.BigEndian.PutUint32(b, uint32(bucket))
	binary.BigEndian.PutUint32(b[4:], uint32(number))
	return b
}

func TestEveryFullBucketGetsItsShareWhateverItsSizes(t *testing.T) {
	sizes := []int{1452, 60, 700, 1300, 20, 1452, 256, 257}
	for _, quantum := range []int{fair.MinQuantum, 8000, fair.MaxRunBytes} {
		q := fair.NewQueue(4 << 20)
		q.SetQuantum(quantum)
		put := make([]int, len(sizes))
		got := make([]int, len(sizes))
		dst := make([]byte, fair.MaxRunBytes)
		const headers = 28
		for total := 0; total < 50*quantum*len(sizes); {
			for i, size := range sizes { // nobody is ever without
				for ; put[i] < 400; put[i]++ {
					if q.Put(0, key(i%3, i), datagram(i, 0, size)) != 0 {
						t.Fatal("the queue is too small for this test")
					}
				}
			}
			n, seg, _, late := q.Take(0, dst, fair.MaxRunBytes)
			if n == 0 || late != 0 {
				t.Fatalf("%d bytes, %d late", n, late)
			}
			i, count := int(binary.BigEndian.Uint32(dst)), (n+seg-1)/seg
			put[i] -= count
			got[i] += n + headers*count
			total += n + headers*count
		}
		least, most := got[0], got[0]
		for _, n := range got {
			least, most = min(least, n), max(most, n)
		}
		if most-least > 2*quantum+1500 {
			t.Errorf("quantum %d: %v", quantum, got)
		}
	}
}

// twin is the queue as a list for each bucket, and counts what is gone.
type twin struct {
	waits map[int][]int // numbers of each bucket, oldest first
	lost  int
	late  int
}

// remove takes a number out, and everything before it, which must be gone by now.
func (w *twin) remove(bucket, number int) (skipped int, ok bool) {
	for i, n := range w.waits[bucket] {
		if n == number {
			w.waits[bucket] = w.waits[bucket][i+1:]
			return i, true
		}
	}
	return 0, false
}

func TestNothingIsSentTwiceOrOutOfOrderAndWhatIsMissingIsCounted(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	q, w := fair.NewQueue(capacity), twin{waits: map[int][]int{}}
	dst := make([]byte, fair.MaxRunBytes)
	now, number, gone := time.Duration(0), 0, 0
	for range 200_000 {
		now += time.Duration(dice.IntN(100)) * time.Microsecond
		if dice.IntN(3) > 0 {
			bucket := int(dice.ExpFloat64() * 8)
			number++
			w.waits[bucket] = append(w.waits[bucket], number)
			size := 8 + dice.IntN(1445)
			w.lost += q.Put(now, key(bucket%5, bucket), datagram(bucket, number, size))
		} else {
			n, seg, to, late := q.Take(now, dst, dice.IntN(10_000))
			w.late += late
			for b := dst[:n]; len(b) > 0; b = b[min(seg, len(b)):] {
				bucket := int(binary.BigEndian.Uint32(b))
				skipped, ok := w.remove(bucket, int(binary.BigEndian.Uint32(b[4:])))
				if !ok || to != key(bucket%5, bucket).To {
					t.Fatalf("bucket %d: sent twice, out of order or to %v", bucket, to)
				}
				gone += skipped
			}
		}
		if q.Held() > capacity {
			t.Fatalf("%d bytes held", q.Held())
		}
	}
	for n := 1; n > 0; {
		var late int
		n, _, _, late = q.Take(now+time.Hour, dst, 0)
		w.late += late
	}
	left := 0
	for _, numbers := range w.waits {
		left += len(numbers)
	}
	if !q.Empty() || q.Held() != 0 || gone+left != w.lost+w.late || w.lost == 0 || w.late == 0 {
		t.Errorf("%d missing, %d counted as lost and %d as late, %d held", gone+left, w.lost,
			w.late, q.Held())
	}
}

func TestWhenThereIsNoRoomTheLongestBucketPays(t *testing.T) {
	q, dst := fair.NewQueue(capacity), make([]byte, fair.MaxRunBytes)
	const beats = 20
	lost := 0
	for i := range 1000 {
		lost += q.Put(0, key(0, 1), datagram(1, i, 1400))
		if i < beats {
			q.Put(0, key(0, 2), datagram(2, i, 40))
		}
	}
	if lost == 0 {
		t.Fatal("everything fits")
	}
	got, first := 0, -1
	for n := 1; n > 0; {
		n, _, _, _ = q.Take(0, dst, 0)
		switch {
		case n == 0:
		case binary.BigEndian.Uint32(dst) == 2:
			got++
		case first < 0:
			first = int(binary.BigEndian.Uint32(dst[4:]))
		}
	}
	if got != beats || first != lost {
		t.Errorf("%d of %d small ones are left; the first large one is %d after %d were lost", got,
			beats, first, lost)
	}
}

func TestNothingIsSentThatHasWaitedForTooLong(t *testing.T) {
	q, dst := fair.NewQueue(capacity), make([]byte, fair.MaxRunBytes)
	for i := range 100 {
		q.Put(time.Duration(i)*time.Millisecond, key(0, 1), datagram(1, i, 1000))
	}
	n, _, _, late := q.Take(100*time.Millisecond, dst, 0)
	if n != 1000 || late != 50 || binary.BigEndian.Uint32(dst[4:]) != 50 {
		t.Errorf("%d bytes of datagram %d, %d late", n, binary.BigEndian.Uint32(dst[4:]), late)
	}
}

func TestAHeartbeatDoesNotWaitForTheTurnsOfOthers(t *testing.T) {
	q, dst := fair.NewQueue(4<<20), make([]byte, fair.MaxRunBytes)
	for i := range 2000 {
		q.Put(0, key(0, i%100), datagram(i%100, i, 1400))
	}
	for range 300 { // everybody had a turn
		q.Take(0, dst, 0)
	}
	for i := range 20 {
		q.Put(0, key(0, 1000), datagram(1000, i, 40))
		if q.Take(0, dst, 0); binary.BigEndian.Uint32(dst) != 1000 {
			t.Fatalf("beat %d waits", i)
		}
		for range 200 { // time goes by until the next one
			q.Take(0, dst, 0)
			q.Put(0, key(0, i%100), datagram(i%100, i, 1400))
		}
	}
}

func TestMoreBucketsThanThereAreCostOnlyTheNewOnes(t *testing.T) {
	q, dst := fair.NewQueue(4<<20), make([]byte, fair.MaxRunBytes)
	lost := 0
	for i := range fair.MaxBuckets + 10 {
		lost += q.Put(0, key(i, 1), datagram(i, 0, 40))
	}
	got := 0
	for n := 1; n > 0; {
		if n, _, _, _ = q.Take(0, dst, 0); n > 0 {
			got++
		}
	}
	if lost != 10 || got != fair.MaxBuckets {
		t.Errorf("%d lost, %d sent", lost, got)
	}
	if q.Put(0, key(0, 5), datagram(0, 0, 40)) != 0 {
		t.Error("buckets are not given back")
	}
}

func TestARunHasDatagramsOfOneSizeAndStaysWithinTheRoom(t *testing.T) {
	q, dst := fair.NewQueue(capacity), make([]byte, fair.MaxRunBytes)
	q.SetQuantum(fair.MaxRunBytes)
	for _, size := range []int{1000, 1000, 1000, 500, 1000, 1200, 100} {
		q.Put(0, key(0, 1), make([]byte, size))
	}
	for _, want := range []struct{ room, n, seg int }{
		{0, 1000, 1000},
		{10_000, 2500, 1000},
		{10_000, 1000, 1000},
		{1250, 1200, 1200},
		{10_000, 100, 100},
		{10_000, 0, 0},
	} {
		n, seg, _, _ := q.Take(0, dst, want.room)
		if n != want.n || seg != want.seg {
			t.Errorf("room %d: %d bytes by %d, want %d by %d", want.room, n, seg, want.n, want.seg)
		}
	}
}

func TestWhatIsNoDatagramIsLost(t *testing.T) {
	q := fair.NewQueue(0)
	for _, size := range []int{0, 1 << 20} {
		if q.Put(0, key(0, 1), make([]byte, size)) != 1 || !q.Empty() {
			t.Errorf("%d bytes are kept", size)
		}
	}
}

func TestAFullQueueAllocatesNothing(t *testing.T) {
	q, dst := fair.NewQueue(capacity), make([]byte, fair.MaxRunBytes)
	b, i := make([]byte, 1400), 0
	n := testing.AllocsPerRun(10_000, func() {
		for range 3 {
			i++
			q.Put(time.Duration(i)*time.Microsecond, key(i%7, i%31), b)
		}
		q.Take(time.Duration(i)*time.Microsecond, dst, 4000)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkPutAndTake(b *testing.B) {
	for _, size := range []int{64, 1400} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			q, dst, p := fair.NewQueue(capacity), make([]byte, fair.MaxRunBytes), make([]byte, size)
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for i := range b.N {
				q.Put(0, key(0, i&15), p)
				q.Take(0, dst, 0)
			}
		})
	}
}
