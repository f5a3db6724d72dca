// SPDX-License-Identifier: Apache-2.0

package plane

import (
	"sync/atomic"
	"time"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/flow"
)

const (
	// errorEvery and errorBurst bound the ICMP errors of one tunnel, each way: as many as programs
	// can use, which is one a flow, and too few to be a load (RFC 4443 section 2.4 asks for it).
	errorEvery = 50 * time.Millisecond
	errorBurst = 20
	// largeEvery is the same for packets of which the host is told that they are too large.
	largeEvery = time.Second
	largeBurst = 4
	// leastTold is the smallest size that a host is told: a smaller one may not be said to IPv6
	// (RFC 8200 section 5), and QUIC gives up below it (RFC 9000 section 14).
	leastTold = 1280
	// madeSize bounds the packets for the host that one batch makes itself, in bytes.
	madeSize = 8192
)

// pace is a bucket of permissions that fills with time. The zero value is full.
type pace struct{ due atomic.Int64 }

// allow takes one permission, of which one comes back each period and burst are the most.
func (p *pace) allow(now, period time.Duration, burst int64) bool {
	for {
		old := p.due.Load()
		due := max(old, int64(now))
		if due-int64(now) >= burst*int64(period) {
			return false
		}
		if p.due.CompareAndSwap(old, due+int64(period)) {
			return true
		}
	}
}

// outError takes an ICMP error that the host, or a device beside it, sends about a packet which a
// tunnel delivered. The other end is told what happened and to which flow; by whom it was noticed
// stays here, because that address is a real one. It never begins a session.
func (w *Worker) outError(now time.Duration, ip []byte) {
	v, c := &w.view, &w.head
	var q flow.Quote
	if r := q.Parse(v, ip); r != drop.None {
		w.drop(r)
		return
	}
	if !v.ChecksumOK(ip) {
		w.drop(drop.BadChecksum)
		return
	}
	peer := w.t.Peer(v.Dst)
	if peer == nil || q.Src != v.Dst {
		w.drop(drop.NoTunnel)
		return
	}
	if r := quoted(now, peer, &q, c); r != drop.None {
		w.drop(r)
		return
	}
	s, _ := peer.way()
	if s == nil {
		w.drop(drop.NoSession)
		return
	}
	if !peer.errorsOut.allow(now, errorEvery, errorBurst) {
		w.drop(drop.ErrorRate)
		return
	}
	w.Message(now, s, c.Append(w.part[:0]))
}

// quoted marks the compact header of an error with the flow of the packet that it quotes. That
// packet came from the other end, so an error never opens a flow.
func quoted(now time.Duration, peer *Peer, q *flow.Quote, c *flow.Compact) drop.Reason {
	pol := peer.Policy()
	if pol == nil || !pol.On {
		return drop.TunnelDisabled
	}
	local := pol.Local4
	if q.V6 {
		local = pol.Local6
	}
	if q.Dst != local {
		return drop.NoTunnel
	}
	if pol.Side == SideNode {
		c.ElideError(q)
		placeNode(c, q.DstPort, q.SrcPort)
		return drop.None
	}
	port, other := q.SrcPort, q.DstPort
	if pol.Side == SideServer {
		port, other = q.DstPort, q.SrcPort
	}
	i, ok := targetIndex(pol, q.Proto, port)
	if !ok {
		return drop.NoPort
	}
	c.ElideError(q)
	c.Target, c.Port = i, other
	f := flow.Flow{Proto: q.Proto, V6: q.V6, Target: i, Port: other}
	if pol.Side == SideServer {
		c.Slot, c.Announce, ok = peer.Server.Reverse(now, f)
	} else if ok = peer.Client.Has(f); ok {
		c.Slot, c.Announce = peer.Client.Get(now, f)
	}
	if !ok {
		return drop.NoFlow
	}
	return drop.None
}

// inError rebuilds an ICMP error for the host from what the other end says of a flow.
func (w *Worker) inError(now time.Duration, s *Session) {
	c, peer := w.head, s.Peer
	pol, r := s.delivers()
	if r != drop.None {
		w.drop(r)
		return
	}
	e, r := meant(now, peer, pol, &c)
	if r != drop.None {
		w.drop(r)
		return
	}
	if !peer.errorsIn.allow(now, errorEvery, errorBurst) {
		w.drop(drop.ErrorRate)
		return
	}
	if o := w.forHost(flow.MaxErrorLen); o != nil {
		w.Packets = append(w.Packets, flow.AppendError(o, &c, e))
	}
}

// meant are the ends of the flow that an error is about, which both sides must know already.
func meant(now time.Duration, peer *Peer, pol *Policy, c *flow.Compact) (flow.Ends, drop.Reason) {
	if pol.Side == SideNode {
		return nodeEnds(pol, c)
	}
	f := flow.Flow{Proto: c.ErrorProto(), V6: c.V6, Target: c.Target, Port: c.Port}
	var ok bool
	switch {
	case c.Announce && pol.Side == SideServer:
		_, _, ok = peer.Server.Reverse(now, f)
	case c.Announce:
		ok = peer.Client.Has(f)
	case pol.Side == SideServer:
		f, ok = peer.Server.Lookup(now, c.Slot, f.Proto, c.V6)
	default:
		f, ok = peer.Client.Lookup(now, c.Slot, f.Proto, c.V6)
	}
	if !ok {
		return flow.Ends{}, drop.NoFlow
	}
	return ends(pol, f)
}

// forHost returns room for a packet of at most size bytes that this worker builds for the host,
// with an offload header already in it; nil when the batch has made too many.
func (w *Worker) forHost(size int) []byte {
	if w.made == nil {
		w.made = make([]byte, 0, madeSize)
	}
	o := len(w.made)
	if cap(w.made)-o < flow.OffloadSize+size {
		w.drop(drop.QueueFull)
		return nil
	}
	w.made = w.made[:o+flow.OffloadSize+size]
	b := w.made[o : o+flow.OffloadSize : o+flow.OffloadSize+size]
	clear(b)
	return b
}

// tooLarge tells the host that a packet is larger than what crosses the path in one frame, for
// programs that want to know. The packet crosses in spite of it, in more than one. A host that cut
// the packet itself knows already, and the program would only be startled.
func (w *Worker) tooLarge(now time.Duration, peer *Peer, ip []byte, fits int) {
	const dontFragment = 0x40
	mtu := max(fits, leastTold)
	mayBeCut := ip[0]>>4 == 4 && ip[6]&dontFragment == 0
	if w.Quiet || w.mended || mayBeCut || len(ip) <= mtu || peer == nil ||
		!peer.large.allow(now, largeEvery, largeBurst) {
		return
	}
	if b := w.forHost(leastTold); b != nil {
		w.Packets = append(w.Packets, flow.AppendTooBig(b, ip, uint16(mtu)))
	}
}
