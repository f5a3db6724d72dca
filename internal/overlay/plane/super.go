// SPDX-License-Identifier: Apache-2.0

package plane

import (
	"errors"
	"time"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/flow"
	"staex/internal/overlay/session"
)

// super is the packet under construction: segments of one flow are opened one behind the other,
// so that the host gets one super-packet for a whole batch.
//
//	| ... finished packets ... | headers | payload payload payload | <- end
//
// A frame is opened so that its payload lands at end; its compact header then lies over the tail
// of the payload before it, which is saved first and put back afterwards.
type super struct {
	buf   []byte
	start int // first payload byte, -1 while there is no packet
	end   int
	guess int // expected length of the next compact header
	saved [flow.MaxCompact]byte
	at    int // where saved belongs

	peer *Peer
	head flow.Compact
	ends flow.Ends
	seg  int // payload of every segment but the last
	segs int
	shut bool
}

// mostUncut4 and mostUncut6 are the largest packets in bytes that every network takes uncut (RFC
// 791 section 3.1, RFC 8200 section 5). That of an external device may have to cut what is longer:
// nobody at the other end can do anything about it, because fragments are put together there.
const mostUncut4, mostUncut6 = 576, 1280

// headSpace is room in front of a payload for the offload, IP and TCP headers.
const headSpace = flow.OffloadSize + 40 + 60 + flow.MaxCompact

func (u *super) reset() { u.start, u.end, u.guess = -1, 0, 2 }

// place returns an empty slice whose next bytes are where a frame of size bytes should be opened;
// nil when the buffer is full.
func (u *super) place(size int) []byte {
	pos := u.end
	if u.start < 0 {
		pos += headSpace
	}
	if pos+size+headSpace > len(u.buf) {
		return nil
	}
	u.at = pos - flow.MaxCompact
	copy(u.saved[:], u.buf[u.at:pos])
	o := pos - u.guess
	return u.buf[o:o:len(u.buf)]
}

// restore puts back the payload tail that the compact header overwrote.
func (u *super) restore() { copy(u.buf[u.at:], u.saved[:]) }

// join appends the payload p[n:] to the packet under construction when the host would have built
// the same packet from both; false leaves everything for begin.
func (u *super) join(peer *Peer, c *flow.Compact, e flow.Ends, p []byte, n int, udp bool) bool {
	size := len(p) - n
	if u.start < 0 || u.shut || u.peer != peer || u.ends != e || size == 0 || size > u.seg ||
		u.end-u.start+size > MaxSend || u.segs >= MaxSegments {
		return false
	}
	if c.Kind == flow.KindUDP && !udp || !u.head.Join(c, u.end-u.start) {
		return false
	}
	u.take(p, n)
	return true
}

// begin finishes the packet under construction and starts another with the payload p[n:]. The
// payload moves to its place first and what its compact header covered is put back before any
// header is written there: a packet shorter than a compact header has its own headers under it.
func (w *Worker) begin(peer *Peer, c *flow.Compact, e flow.Ends, p []byte, n int) {
	u := &w.super
	pos := u.end + headSpace
	if pos+len(p) > len(u.buf) {
		u.restore()
		w.drop(drop.QueueFull)
		return
	}
	copy(u.buf[pos:], p[n:])
	u.restore()
	w.flush()
	u.peer, u.head, u.ends, u.seg, u.segs, u.shut = peer, *c, e, len(p)-n, 0, false
	u.start, u.end = pos, pos
	u.count(len(p)-n, n)
}

// take keeps a payload that was opened at the end of the packet.
func (u *super) take(p []byte, n int) {
	if n != u.guess {
		copy(u.buf[u.end:], p[n:])
	}
	u.restore()
	u.count(len(p)-n, n)
}

// count notes a payload of size bytes behind a compact header of n; the next may be as long.
func (u *super) count(size, n int) {
	u.end += size
	u.segs++
	u.guess = n
	u.shut = size < u.seg || size == 0
}

// flush finishes the packet under construction and hands it to the host.
func (w *Worker) flush() {
	u := &w.super
	if u.start < 0 {
		return
	}
	hl := flow.HeaderLen(&u.head)
	payload := u.end - u.start
	o := u.start - hl - flow.OffloadSize
	off := flow.RebuildOffload(&u.head, payload, u.seg, u.segs)
	off.Put(u.buf[o:])
	p := u.buf[o+flow.OffloadSize : u.end]
	flow.PutHeaders(p, &u.head, u.ends, payload)
	u.start = -1
	if u.segs == 1 && w.mayBeCut(u.peer, &u.head, payload) {
		id := uint32(w.C.Opened.Load())
		if u.head.V6 {
			flow.FinishChecksum(p)
			w.Packets = flow.CutIPv6(w.Packets, p, mostUncut6, id)
			return
		}
		flow.AllowFragments(p, uint16(id))
	}
	w.Packets = append(w.Packets, u.buf[o:u.end:u.end])
}

// mayBeCut reports whether a datagram leaves this host again, to a device beside it, and is so long
// that it may have to be cut on its way.
func (w *Worker) mayBeCut(p *Peer, c *flow.Compact, payload int) bool {
	most := mostUncut4
	if c.V6 {
		most = mostUncut6
	}
	if c.Kind != flow.KindUDP || flow.HeaderLen(c)+payload <= most {
		return false
	}
	pol := p.Policy()
	return pol != nil && pol.External
}

// echo answers an echo request for a tunnel's endpoint, or delivers the answer to one of ours.
// It stands in w.whole, its data from n on.
func (w *Worker) echo(now time.Duration, s *Session, n int) {
	c, peer := w.head, s.Peer
	pol, r := s.delivers()
	if r != drop.None {
		w.drop(r)
		return
	}
	if !c.Reply {
		c.Reply = true
		c.Append(w.whole[:0]) // as long as that of the request
		w.Message(now, s, w.whole)
		return
	}
	self := w.t.Self()
	e := flow.Ends{Src: pol.Remote4, Dst: self.V4}
	if c.V6 {
		e = flow.Ends{Src: pol.Remote6, Dst: self.V6}
	}
	w.begin(peer, &c, e, w.whole, n)
	w.flushEcho()
}

// flushEcho finishes an echo packet: its checksum covers the payload and is complete.
func (w *Worker) flushEcho() {
	u := &w.super
	if u.start < 0 {
		return
	}
	hl := flow.HeaderLen(&u.head)
	o := u.start - hl - flow.OffloadSize
	flow.Offload{}.Put(u.buf[o:])
	p := u.buf[o+flow.OffloadSize : u.end]
	flow.PutHeaders(p, &u.head, u.ends, u.end-u.start)
	flow.PutEcho(p)
	w.Packets = append(w.Packets, u.buf[o:u.end:u.end])
	u.start = -1
}

// reason names why a frame did not open.
func reason(err error) drop.Reason {
	switch {
	case errors.Is(err, session.ErrReplay):
		return drop.Replay
	case errors.Is(err, session.ErrEpoch):
		return drop.Epoch
	default:
		return drop.OpenFailed
	}
}
