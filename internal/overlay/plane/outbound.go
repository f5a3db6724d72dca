// SPDX-License-Identifier: Apache-2.0

package plane

import (
	"time"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/flow"
	"staex/internal/overlay/session"
	"staex/internal/wire"
)

// busyAfter is how long a session rests until its next frame is news to the slow path.
const busyAfter = 5 * time.Second

// partRoom is the compact header of a part in bytes: context, part id, index.
const partRoom = 3

// Whole puts the fragments of the host together, which Outbound does not take: it returns p itself
// when that is no fragment, the packet that p completes, or nil when p is kept or dropped. Nothing
// is kept for an address that no tunnel leads to.
func (w *Worker) Whole(now time.Duration, p []byte) []byte {
	f, ok, r := flow.ParseFragment(p[min(len(p), flow.OffloadSize):])
	w.mended = ok
	if !ok {
		return p
	}
	off, r2 := flow.ParseOffload(p)
	switch {
	case r != drop.None:
		w.drop(r)
	case r2 != drop.None || off.GSOType != flow.GSONone || off.Partial():
		w.drop(drop.BadOffload)
	case w.t.Peer(f.Dst) == nil && w.t.others.Load() == nil:
		w.drop(drop.NoTunnel)
	default:
		whole, lost := w.cuts.Add(now, &f)
		w.C.Drops[drop.Fragment].Add(uint64(lost))
		return whole
	}
	return nil
}

// Outbound takes one packet (or super-packet) that the host sent, with its offload header in
// front, and appends the sealed frames to the worker's send buffer. It overwrites p.
// The returned peer is not nil when the packet is allowed but no session or way exists yet: the
// caller hands the packet to the slow path, whole and unchanged. Everything else that does not
// leave is dropped for one counted reason.
func (w *Worker) Outbound(now time.Duration, p []byte) (miss *Peer) {
	off, r := flow.ParseOffload(p)
	if r != drop.None {
		return w.drop(r)
	}
	ip, v, c := p[flow.OffloadSize:], &w.view, &w.head
	if r := v.Parse(ip); r == drop.Protocol {
		return w.outWhole(now, off, ip)
	} else if r != drop.None {
		return w.drop(r)
	}
	if r := off.Check(v); r != drop.None {
		return w.drop(r)
	}
	if v.IsError() {
		w.outError(now, ip)
		return nil
	}
	if r := c.Elide(v, ip); r != drop.None {
		return w.drop(r)
	}
	peer, r := w.place(now, v, c)
	if r == drop.NoFlow {
		return w.unknownFlow(now, peer, v.V6)
	}
	if r != drop.None {
		return w.drop(r)
	}
	if !off.Vouched() && !v.ChecksumOK(ip) {
		return w.drop(drop.BadChecksum)
	}
	s, path := peer.way()
	if s == nil {
		return peer
	}
	if v.Proto == flow.ProtoTCP && v.Flags&flow.FlagSYN != 0 {
		flow.ClampMSS(ip, v, maxSegment(path), off.Partial())
		c.Options = [len(c.Options)]byte{}
		copy(c.Options[:], ip[v.Payload-int(c.OptLen):v.Payload])
	}
	w.seal(now, s, path, ip, off.SegmentSize(len(ip)-v.Payload))
	return nil
}

// place answers which tunnel allows the packet, and marks the compact header with its flow. An
// answer to a flow that the client did not open, as far as is known here, is drop.NoFlow and still
// has the peer.
func (w *Worker) place(now time.Duration, v *flow.View, c *flow.Compact) (*Peer, drop.Reason) {
	peer := w.t.Peer(v.Dst)
	if peer == nil {
		return w.unknown(v)
	}
	pol := peer.Policy()
	if pol == nil || !pol.On {
		return nil, drop.TunnelDisabled
	}
	local := pol.Local4
	if v.V6 {
		local = pol.Local6
	}
	if c.Kind == flow.KindEcho {
		if self := w.t.Self(); v.Src != self.V4 && v.Src != self.V6 {
			return nil, drop.NoTunnel
		}
		return peer, drop.None
	}
	if v.Src != local {
		return nil, drop.NoTunnel
	}
	if pol.Side == SideNode {
		placeNode(c, v.SrcPort, v.DstPort)
		return peer, drop.None
	}
	port, other := v.DstPort, v.SrcPort
	if pol.Side == SideServer {
		port, other = v.SrcPort, v.DstPort
	}
	i, ok := targetIndex(pol, v.Proto, port)
	if !ok {
		return nil, drop.NoPort
	}
	c.Target, c.Port = i, other
	f := flow.Flow{Proto: v.Proto, V6: v.V6, Target: i, Port: other}
	if pol.Side == SideClient {
		c.Slot, c.Announce = peer.Client.Get(now, f)
	} else if c.Slot, c.Announce, ok = peer.Server.Reverse(now, f); !ok {
		return peer, drop.NoFlow
	}
	return peer, drop.None
}

func targetIndex(pol *Policy, proto uint8, port uint16) (uint8, bool) {
	for i, t := range pol.Targets {
		if t.Proto == proto && t.Port == port {
			return uint8(i), true
		}
	}
	return 0, false
}

// seal cuts the payload into segments that fit the path, writes each compact header over bytes
// that are already parsed or sealed, and seals straight into the send buffer.
func (w *Worker) seal(now time.Duration, s *Session, path *Path, ip []byte, seg int) {
	c, payload := &w.head, w.view.Payload
	whole := flow.Portion{Total: len(ip) - payload, Seg: seg, Room: path.room()}
	room := whole.Room - c.Len()
	if seg > room && seg == whole.Total {
		w.tooLarge(now, s.Peer, ip, len(ip)-seg+room)
	}
	if seg > room && w.view.Proto != flow.ProtoTCP {
		w.cut(now, s, path, ip, seg)
		return
	}
	first := w.reserve(now, s, whole)
	hl := c.Len()
	seg, n := whole.Pieces(hl)
	long := s.long(now, first, n)
	pieces := c.Pieces(n, seg)
	for i := range n {
		o := payload + i*seg
		e := min(o+seg, len(ip))
		pieces.Put(c, i)
		c.Append(ip[o-hl : o-hl])
		w.frame(s, path, first+uint64(i), long, ip[o-hl:e])
	}
	mark(&s.data, now)
	w.sent(now, s, path, hl+seg)
}

// reserve takes the counters for a packet's frames, once it is known how many they are. A TCP
// header is made as short as the two ends' memory allows first.
func (w *Worker) reserve(now time.Duration, s *Session, whole flow.Portion) (first uint64) {
	c := &w.head
	if c.Kind == flow.KindTCP && !c.Announce && c.Flags&flow.FlagSYN == 0 {
		f := flow.Flow{Proto: flow.ProtoTCP, V6: c.V6, Target: c.Target, Port: c.Port}
		return s.headers().Shorten(now, f, c, whole, s.Send)
	}
	_, n := whole.Pieces(c.Len())
	return s.Send.Reserve(n)
}

// cut sends datagrams that do not fit the path as parts; the far end rebuilds them.
func (w *Worker) cut(now time.Duration, s *Session, path *Path, ip []byte, seg int) {
	payload := w.view.Payload
	for o := payload; o < len(ip) || o == payload; o += max(seg, 1) {
		whole := append(w.head.Append(w.whole[:0]), ip[o:min(o+seg, len(ip))]...)
		if !w.parts(now, s, path, whole) {
			return
		}
	}
	mark(&s.data, now)
	w.sent(now, s, path, path.room())
}

// parts seals a plaintext that does not fit the path in pieces. It reports false when that took
// too many and nothing was sent.
func (w *Worker) parts(now time.Duration, s *Session, path *Path, whole []byte) bool {
	room := path.room() - partRoom
	n := (len(whole) + room - 1) / room
	if n > flow.MaxParts {
		w.drop(drop.TooBig)
		return false
	}
	id := uint8(s.partN.Add(1))
	first := s.Send.Reserve(n)
	long := s.long(now, first, n)
	for i := range n {
		part := flow.Compact{
			Kind: flow.KindPart, PartID: id, PartIndex: uint8(i), PartLast: i == n-1,
		}
		b := append(part.Append(w.part[:0]), whole[i*room:min((i+1)*room, len(whole))]...)
		w.frame(s, path, first+uint64(i), long, b)
	}
	return true
}

// sent notes the time, and of how many bytes the largest plaintext was; a session that was quiet is
// announced to the slow path, which watches it.
func (w *Worker) sent(now time.Duration, s *Session, path *Path, bytes int) {
	if now-s.Sent() >= busyAfter || s.Sent() == 0 {
		w.notice(Notice{Kind: NoticeBusy, Session: s})
	}
	s.markSent(now)
	path.Link.MarkSent(now, bytes+headRoom+TagSize)
}

// frame seals one plaintext as a data frame at the end of the send buffer.
func (w *Worker) frame(s *Session, path *Path, ctr uint64, long bool, plain []byte) {
	const most = headRoom + TagSize + wire.HopMACSize
	if len(w.Buf)-w.n < most+len(plain) {
		w.drop(drop.QueueFull)
		return
	}
	if !path.Link.Allow(most + len(plain)) {
		w.drop(drop.Unproven)
		return
	}
	h := wire.DataHeader{
		Type: wire.TypeData, Epoch: session.Epoch(ctr), Long: long, Label: path.Label,
		Counter: uint32(ctr),
	}
	if !long {
		h.Counter &= 0xffff
	}
	o := w.n
	b := h.Append(w.Buf[o:o])
	if b = s.Send.Seal(b, ctr, wire.AAD(b[0]), plain); b == nil {
		w.drop(drop.Epoch)
		return
	}
	if path.Sign != nil {
		wire.SetHopMAC(b, true)
		b = path.Sign.Append(b)
	}
	w.n += len(b)
	w.C.Sealed.Add(1)
	w.Runs = join(w.Runs, o, len(b), path.Link)
}

// join appends a frame to the last run when one send can carry both, else starts a run.
func join(runs []Run, off, size int, to *Link) []Run {
	addr := to.Addr()
	if k := len(runs) - 1; k >= 0 {
		l := &runs[k]
		if l.To == addr && l.Off+l.Len == off && size <= l.Seg && l.Len%l.Seg == 0 &&
			l.Len/l.Seg < MaxSegments && l.Len+size <= MaxSend {
			l.Len += size
			return runs
		}
	}
	return append(runs, Run{Off: off, Len: size, Seg: size, To: addr})
}

// maxSegment is the TCP segment size that always fits the path uncut, in bytes, with a hop MAC if
// need be.
func maxSegment(path *Path) uint16 {
	const compactTCP, timestamps, least = 17, 12, 536
	const frame = headRoom + TagSize + wire.HopMACSize
	return uint16(max(path.size()-frame-compactTCP-timestamps, least))
}

// Message seals one plaintext of the slow path: a session message or an echo, in parts if it does
// not fit the path. It reports false when the session has no path.
func (w *Worker) Message(now time.Duration, s *Session, plain []byte) bool {
	path := s.Path()
	if path == nil {
		return false
	}
	if len(plain) > path.room() {
		w.parts(now, s, path, plain)
	} else {
		ctr := s.Send.Reserve(1)
		w.frame(s, path, ctr, s.long(now, ctr, 1), plain)
	}
	if isConfirm(plain) {
		path.Link.MarkSent(now, 0) // an answer: nobody waits for an answer to it
		return true
	}
	w.sent(now, s, path, len(plain))
	return true
}

// isConfirm reports whether a session message is nothing but a sign of life.
func isConfirm(plain []byte) bool {
	return len(plain) == 2 && plain[0] == wire.SessionContext && plain[1] == wire.SessionConfirm
}
