// SPDX-License-Identifier: Apache-2.0

package plane

import (
	"time"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/flow"
)

// What two nodes of one network exchange outside tunnels, where both of them allow it. No list of
// targets says which ports there are, and nobody opens flows: each packet names both ports.

// unknown is the answer for a destination that nobody is known behind.
func (w *Worker) unknown(v *flow.View) (*Peer, drop.Reason) {
	others := w.t.others.Load()
	if self := w.t.Self(); others == nil || v.Src != self.V4 && v.Src != self.V6 {
		return nil, drop.NoTunnel
	}
	return others, drop.None
}

// placeNode marks the compact header of a packet for another node with both ports.
func placeNode(c *flow.Compact, from, to uint16) {
	c.Announce, c.Slot, c.Target = true, flow.NoSlot, flow.AnyTarget
	c.Port, c.Peer = from, to
}

// nodeEnds are the addresses and ports of what another node sends.
func nodeEnds(pol *Policy, c *flow.Compact) (flow.Ends, drop.Reason) {
	e := flow.Ends{Src: pol.Remote4, Dst: pol.Local4, SrcPort: c.Port, DstPort: c.Peer}
	if c.V6 {
		e.Src, e.Dst = pol.Remote6, pol.Local6
	}
	named := c.Announce && c.Target == flow.AnyTarget || c.Kind == flow.KindWhole
	if !named || !e.Src.IsValid() || !e.Dst.IsValid() {
		return flow.Ends{}, drop.NoPort
	}
	return e, drop.None
}

// outWhole takes a packet that is neither UDP nor TCP nor ICMP. Tunnels have no place for it.
func (w *Worker) outWhole(now time.Duration, off flow.Offload, ip []byte) (miss *Peer) {
	v := &w.view
	peer := w.t.Peer(v.Dst)
	if peer == nil {
		peer = w.t.others.Load()
	}
	if peer == nil || w.head.ElideWhole(v) != drop.None {
		return w.drop(drop.Protocol)
	}
	if off.GSOType != flow.GSONone || off.Partial() {
		return w.drop(drop.BadOffload)
	}
	if self := w.t.Self(); v.Src != self.V4 && v.Src != self.V6 {
		return w.drop(drop.NoTunnel)
	}
	if pol := peer.Policy(); pol != nil && (!pol.On || pol.Side != SideNode) {
		return w.drop(drop.Protocol)
	}
	s, path := peer.way()
	if s == nil {
		return peer
	}
	w.seal(now, s, path, ip, len(ip)-v.Payload)
	return nil
}

// inWhole rebuilds a packet of another protocol for the host. It stands in w.whole, its payload
// from n on.
func (w *Worker) inWhole(now time.Duration, s *Session, n int) {
	c, peer := w.head, s.Peer
	pol, r := s.delivers()
	if r != drop.None {
		w.drop(r)
		return
	}
	e, r := nodeEnds(pol, &c)
	if pol.Side != SideNode {
		r = drop.Protocol
	}
	if r != drop.None {
		w.drop(r)
		return
	}
	mark(&s.data, now)
	w.begin(peer, &c, e, w.whole, n)
	w.flush()
}
