// SPDX-License-Identifier: Apache-2.0

package plane

import (
	"staex/internal/overlay/drop"
	"staex/internal/overlay/flow"
)

// Enough is how many bytes are sent at once rather than with what waits behind them: the call is
// a small part of what they cost by now, and whoever receives them can begin while the rest is read
// and still lies in a cache.
const Enough = 24 << 10

const (
	// bufSize holds the frames of two full super-packets with their headers, so that one packet
	// from the host never meets a full buffer.
	bufSize = 2*65536 + 8192
	// superSize holds what one receive batch (64 KiB) can grow to when headers are rebuilt.
	superSize = 2*65536 + 8192
	// batchSpace is the most that one takes of it: the bytes of a batch, and a head for each of its
	// frames that is joined with no other.
	batchSpace = 65536 + MaxSegments*2*headSpace
	// maxNotices bounds what one batch can tell the slow path; the rest repeats by itself.
	maxNotices = 64
	// noticeSize bounds the copies of session messages in one batch, in bytes.
	noticeSize = 65536
)

// Worker carries batches through the tables. One goroutine uses it at a time; every slice it
// hands out is valid until the next Reset.
type Worker struct {
	C Counters

	// Buf holds the frames that Outbound, Message and replies sealed; Runs cuts it into sends.
	Buf  []byte
	Runs []Run
	// Transit cuts the receive buffer given to Inbound into sends to next hops.
	Transit []Run
	// Packets are for the host, each with its offload header in front. Outbound makes some, too:
	// what it has to say of the packets it was given.
	Packets [][]byte
	// Control are datagrams for the slow path.
	Control []Control
	// Notices are facts for the slow path.
	Notices []Notice

	// Joined says that the last batch had frames that were joined without a size.
	Joined bool

	// Quiet keeps the worker from telling the host what fits: it does not know how packets came.
	Quiet bool
	// Segmented says that the host takes UDP super-packets (Linux 6.2 and later).
	Segmented bool

	t      *Tables
	n      int
	view   flow.View
	head   flow.Compact
	whole  []byte
	part   []byte
	notes  []byte
	made   []byte // packets for the host that no frame brought
	super  super
	cuts   flow.Fragments
	mended bool   // the last packet came in fragments
	at     uint64 // counter of the frame opened last
	asked  bool   // this batch had a link frame of which nothing is known
	junk   Notice // frames of one label in this batch that did not open
}

// NewWorker returns a worker on the tables.
func NewWorker(t *Tables) *Worker {
	w := &Worker{
		t:     t,
		Buf:   make([]byte, bufSize),
		whole: make([]byte, 0, 65536+flow.MaxCompact),
		part:  make([]byte, 0, 65536),
		super: super{buf: make([]byte, superSize)},
	}
	w.Reset()
	return w
}

// Reset forgets what the last batch produced.
func (w *Worker) Reset() {
	w.n, w.asked, w.Joined, w.junk = 0, false, false, Notice{}
	w.Runs, w.Transit = w.Runs[:0], w.Transit[:0]
	w.Packets, w.Control, w.Notices = w.Packets[:0], w.Control[:0], w.Notices[:0]
	w.notes, w.made = w.notes[:0], w.made[:0]
	w.super.reset()
}

// Room reports whether it is worth waiting for another packet from the host before what there is
// gets sent. It certainly fits the send buffer then.
func (w *Worker) Room() bool { return w.n < Enough }

// RoomForBatch reports whether another receive batch certainly fits, with what is answered to it.
func (w *Worker) RoomForBatch() bool {
	return w.Room() && len(w.super.buf)-w.super.end >= batchSpace
}

func (w *Worker) drop(r drop.Reason) *Peer {
	w.C.Drops[r].Add(1)
	return nil
}

func (w *Worker) notice(n Notice) {
	if len(w.Notices) >= maxNotices {
		return
	}
	if n.Body != nil {
		if len(w.notes)+len(n.Body) > noticeSize {
			return
		}
		if cap(w.notes) == 0 {
			w.notes = make([]byte, 0, noticeSize)
		}
		o := len(w.notes)
		w.notes = append(w.notes, n.Body...)
		n.Body = w.notes[o:]
	}
	w.Notices = append(w.Notices, n)
}
