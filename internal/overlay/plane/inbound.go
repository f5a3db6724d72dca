// SPDX-License-Identifier: Apache-2.0

package plane

import (
	"errors"
	"net/netip"
	"time"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/flow"
	"staex/internal/overlay/session"
	"staex/internal/wire"
)

// Inbound takes one receive batch: datagrams of seg bytes (the last may be shorter) that all came
// from one address. It fills Transit, Packets, Control, Notices and, for answers made at once,
// Runs. It overwrites b.
func (w *Worker) Inbound(now time.Duration, from netip.AddrPort, b []byte, seg int) {
	w.InboundAt(now, from, b, 0, seg)
}

// InboundAt is Inbound for the batch that begins at b[start], behind others that came right before
// it. What goes on to one next hop may share a send with what stands in front of it.
func (w *Worker) InboundAt(now time.Duration, from netip.AddrPort, b []byte, start, seg int) {
	if seg <= 0 {
		seg = len(b) - start
	}
	w.asked = false
	for o := start; o < len(b); o += seg {
		e := min(o+seg, len(b))
		f := b[o:e:e]
		if len(f) > wire.MaxDatagram {
			w.oversized(from, f)
			continue
		}
		switch wire.PeekType(f) {
		case wire.TypeData:
			w.data(now, from, b, o, e, seg)
		case wire.TypePathHandshake:
			w.pathHandshake(now, from, b, o, e, seg)
		case wire.TypeLink, wire.TypeNudge, wire.TypeSizeProbe:
			w.link(from, f)
		case wire.TypeHello1, wire.TypeHello2, wire.TypeHello3, wire.TypeCookie,
			wire.TypeReset, wire.TypeTicket, wire.TypeTicketAnswer, wire.TypeNATProbe:
			w.Control = append(w.Control, Control{From: from, B: f})
		default:
			w.drop(drop.BadType)
		}
	}
	w.tellJunk()
	w.flush()
}

// oversized drops what is longer than anything that is sent. From a neighbour, under one of its
// labels, it is several frames that the kernel has joined without saying how long they are.
func (w *Worker) oversized(from netip.AddrPort, f []byte) {
	w.drop(drop.Oversized)
	l, ok := wire.PeekLabel(f)
	if r := w.t.row(l); ok && r != nil && r.In != nil && r.In.Addr() == from {
		w.Joined = w.Joined || wire.PeekType(f) == wire.TypeData
	}
}

// link hands what neighbours say to each other to the slow path, by the label of their link. The
// source address is not checked here: a neighbour may have moved, and only the slow path can tell,
// by opening the frame.
func (w *Worker) link(from netip.AddrPort, f []byte) {
	l, ok := wire.PeekLabel(f)
	if !ok {
		w.drop(drop.Short)
		return
	}
	r := w.t.row(l)
	if r == nil || r.Kind != RowControl {
		w.drop(drop.UnknownLabel)
		if !w.asked && len(f) >= wire.MinDataSize { // a batch has one sender: it needs one answer
			w.asked = true
			w.notice(Notice{Kind: NoticeUnknownLink, From: from, Label: l})
		}
		return
	}
	w.Control = append(w.Control, Control{Link: r.ID, From: from, B: f})
}

// minFrame is the label and its type byte: less cannot be forwarded.
const minFrame = 4

// lookup finds the row of a labelled frame and checks that it came from the neighbour whose label
// it is. A nil row means the frame is already counted as dropped.
func (w *Worker) lookup(now time.Duration, from netip.AddrPort, f []byte) *Row {
	l, ok := wire.PeekLabel(f)
	if !ok || len(f) <= minFrame {
		w.drop(drop.Short)
		return nil
	}
	r := w.t.row(l)
	if r == nil || r.In == nil {
		w.drop(drop.UnknownLabel)
		w.notice(Notice{Kind: NoticeUnknownLabel, From: from, Label: l})
		return nil
	}
	if r.In.Addr() != from {
		w.drop(drop.WrongSource)
		if len(f) >= wire.NudgeSize && r.In.nudge(now) {
			w.notice(Notice{Kind: NoticeWrongSource, From: from, Label: l, Link: r.In})
		}
		return nil
	}
	r.In.Came(len(f))
	if !r.In.within(now, len(f)) {
		w.drop(drop.Quarantine)
		return nil
	}
	return r
}

// mayPass notes that a frame of so many bytes goes on to the next hop, and reports whether it may.
func (w *Worker) mayPass(now time.Duration, r *Row, size int) bool {
	mark(r.Used, now)
	switch {
	case size > r.To.Size():
		r.To.markLarge(now, size)
		w.drop(drop.TooBig)
		w.tooBig(r)
		return false
	case !r.To.within(now, size):
		w.drop(drop.Quarantine)
		return false
	case !r.To.Allow(size):
		w.drop(drop.Unproven)
		return false
	}
	r.To.MarkSent(now, size)
	w.C.Moved.Add(1)
	return true
}

// tooBig tells the slow path, once for a run of frames, that they are longer than the next link
// carries.
func (w *Worker) tooBig(r *Row) {
	if k := len(w.Notices); k > 0 {
		if x := &w.Notices[k-1]; x.Kind == NoticeTooBig && x.Label == r.Label {
			return
		}
	}
	w.notice(Notice{Kind: NoticeTooBig, Label: r.Label, Link: r.In})
}

// transit writes the next label in place, and the next hop MAC over the last one, and adds the
// frame to the run of its next hop.
func (w *Worker) transit(now time.Duration, r *Row, b []byte, o, e, seg int) {
	if !w.mayPass(now, r, e-o) {
		return
	}
	wire.SetLabel(b[o:], r.Out)
	if key := r.sign(); key != nil && wire.PeekType(b[o:]) == wire.TypeData {
		key.Append(b[o : e-wire.HopMACSize])
	}
	to := r.To.Addr()
	if k := len(w.Transit) - 1; k >= 0 {
		l := &w.Transit[k]
		if l.To == to && l.Off+l.Len == o && l.Len%seg == 0 && l.Seg == seg &&
			l.Len/seg < MaxSegments && l.Len+e-o <= MaxSend {
			l.Len += e - o
			return
		}
	}
	w.Transit = append(w.Transit, Run{Off: o, Len: e - o, Seg: seg, To: to})
}

func (w *Worker) pathHandshake(now time.Duration, from netip.AddrPort, b []byte, o, e, seg int) {
	r := w.lookup(now, from, b[o:e])
	switch {
	case r == nil:
	case r.Hop != nil && !r.guard().passesAsk(now):
		w.drop(drop.HopMac)
	case r.Kind == RowTransit:
		w.transit(now, r, b, o, e, seg)
	default:
		w.Control = append(w.Control, Control{From: from, B: b[o:e:e]})
	}
}

func (w *Worker) data(now time.Duration, from netip.AddrPort, b []byte, o, e, seg int) {
	r := w.lookup(now, from, b[o:e])
	switch {
	case r == nil:
	case r.Kind == RowTransit:
		w.carry(now, r, b, o, e, seg)
	case r.Kind == RowSession && r.Session != nil:
		if n := w.bare(r, b[o:e]); n > 0 {
			w.open(now, r, b[o:o+n])
		}
	case r.Kind == RowSession:
		// It came right behind the last message of the handshake, which the slow path still reads.
		w.Control = append(w.Control, Control{From: from, B: b[o:e:e]})
	default:
		w.drop(drop.BadType)
	}
}

// open decrypts a frame straight to where its payload will stand in the packet being rebuilt.
func (w *Worker) open(now time.Duration, r *Row, f []byte) {
	h, n, err := wire.ParseDataHeader(f)
	if err != nil {
		w.drop(drop.Short)
		return
	}
	s := r.Session
	room := w.super.place(len(f))
	if room == nil {
		w.flush()
		w.drop(drop.QueueFull)
		return
	}
	plain, ctr, err := s.Recv.Open(room, h.Epoch, h.Counter, h.Long, wire.AAD(f[0]), f[n:])
	if err != nil {
		w.super.restore()
		if !errors.Is(err, session.ErrReplay) {
			w.unopened(r)
		}
		w.drop(reason(err))
		return
	}
	w.C.Opened.Add(1)
	s.markHeard(now)
	r.In.MarkHeard(now)
	if r.Used.Load() != int64(now) {
		r.Used.Store(int64(now))
	}
	w.at = ctr
	w.plain(now, s, plain)
}

// plain acts on an opened payload that lies at the end of the super-packet under construction.
func (w *Worker) plain(now time.Duration, s *Session, p []byte) {
	c := &w.head
	n, r := c.Decode(p)
	if r != drop.None {
		w.super.restore()
		w.drop(r)
		return
	}
	switch c.Kind {
	case flow.KindControl:
		w.message(now, s, p)
		w.super.restore()
	case flow.KindPart:
		whole, ok := s.parts.Add(now, c.PartID, c.PartIndex, c.PartLast, p[n:])
		w.super.restore()
		if ok {
			w.rebuilt(now, s, whole)
		}
	case flow.KindEcho:
		w.whole = append(w.whole[:0], p...)
		w.super.restore()
		w.echo(now, s, n)
	case flow.KindError:
		w.super.restore()
		if n != len(p) {
			w.drop(drop.BadContext)
			return
		}
		w.inError(now, s)
	case flow.KindWhole:
		w.whole = append(w.whole[:0], p...)
		w.super.restore()
		w.inWhole(now, s, n)
	case flow.KindUDP, flow.KindTCP, flow.KindFull, flow.KindDiff:
		w.segment(now, s, p, n)
	default:
		w.super.restore()
		w.drop(drop.BadContext)
	}
}

// rebuilt acts on a payload that came in parts; it must not be a part again.
func (w *Worker) rebuilt(now time.Duration, s *Session, whole []byte) {
	w.flush()
	room := w.super.place(len(whole) + TagSize)
	_, r := w.head.Decode(whole)
	if room == nil || r != drop.None || w.head.Kind == flow.KindPart ||
		w.head.Kind == flow.KindDiff { // TCP is never cut
		w.drop(drop.BadContext)
		return
	}
	w.plain(now, s, append(room, whole...))
}

// segment admits one TCP or UDP payload and joins it to the super-packet under construction.
func (w *Worker) segment(now time.Duration, s *Session, p []byte, n int) {
	e, r := w.admit(now, s, len(p)-n)
	if r != drop.None {
		w.super.restore()
		w.drop(r)
		return
	}
	udp := w.Segmented && !w.mayBeCut(s.Peer, &w.head, len(p)-n)
	if !w.super.join(s.Peer, &w.head, e, p, n, udp) {
		w.begin(s.Peer, &w.head, e, p, n)
	}
}

// admit answers whether the tunnel lets the flow in, and with which addresses it appears here. A
// shortened header is whole afterwards.
func (w *Worker) admit(now time.Duration, s *Session, payload int) (flow.Ends, drop.Reason) {
	c, peer := &w.head, s.Peer
	pol, r := s.delivers()
	if r != drop.None {
		return flow.Ends{}, r
	}
	mark(&s.data, now)
	if pol.Side == SideNode {
		return nodeEnds(pol, c)
	}
	proto := flow.ProtoOf(c.Kind)
	f := flow.Flow{Proto: proto, V6: c.V6, Target: c.Target, Port: c.Port}
	switch {
	case pol.Side == SideServer && c.Announce:
		if !w.announced(now, s, c.Slot, f) {
			return flow.Ends{}, drop.NoPort
		}
	case pol.Side == SideServer:
		var ok bool
		if f, ok = peer.Server.Lookup(now, c.Slot, proto, c.V6); !ok {
			w.slotUnknown(now, s, c.Slot)
			return flow.Ends{}, drop.UnknownSlot
		}
	case !c.Announce:
		var ok bool
		if f, ok = peer.Client.Lookup(now, c.Slot, proto, c.V6); !ok {
			return flow.Ends{}, drop.UnknownSlot
		}
	case !peer.Client.Has(f):
		return flow.Ends{}, drop.NoFlow
	}
	e, r := ends(pol, f)
	if r == drop.None && c.Kind == flow.KindDiff {
		r = w.restore(now, s, f, payload)
	}
	return e, r
}

// ends are the addresses and ports that the rebuilt packet shows to the host.
func ends(pol *Policy, f flow.Flow) (flow.Ends, drop.Reason) {
	local, remote := pol.Local4, pol.Remote4
	if f.V6 {
		local, remote = pol.Local6, pol.Remote6
	}
	if !local.IsValid() || !remote.IsValid() || !allows(pol, f) {
		return flow.Ends{}, drop.NoPort
	}
	port := pol.Targets[f.Target].Port
	if pol.Side == SideServer {
		return flow.Ends{Src: remote, Dst: local, SrcPort: f.Port, DstPort: port}, drop.None
	}
	return flow.Ends{Src: remote, Dst: local, SrcPort: port, DstPort: f.Port}, drop.None
}
