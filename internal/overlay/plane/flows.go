// SPDX-License-Identifier: Apache-2.0

package plane

import (
	"time"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/flow"
	"staex/internal/wire"
)

// message acts on the messages about flows and leaves the others to the slow path.
func (w *Worker) message(now time.Duration, s *Session, p []byte) {
	if len(p) < wire.SessionHeaderSize {
		w.drop(drop.BadContext)
		return
	}
	typ, body := p[1], p[wire.SessionHeaderSize:]
	switch {
	case s.Peer == nil:
		w.notice(Notice{Kind: NoticeSession, Session: s, Body: p})
	case typ == wire.SessionSlotOK:
		for _, slot := range body {
			s.Peer.Client.Confirm(slot)
		}
	case typ == wire.SessionSlotUnknown:
		for _, slot := range body {
			s.Peer.Client.Unknown(slot)
		}
	case typ == wire.SessionRefsLost:
		w.forgotten(s, body)
	case typ == wire.SessionFlowUnknown:
		w.recall(now, s, body)
	case typ == wire.SessionFlow:
		w.recalled(now, s, body)
	default:
		w.notice(Notice{Kind: NoticeSession, Session: s, Body: p})
	}
}

// policy is what the tunnel allows now at its end of that side, or nil when this session may
// deliver nothing.
func (s *Session) policy(side Side) *Policy {
	pol, r := s.delivers()
	if r != drop.None || pol.Side != side {
		return nil
	}
	return pol
}

// unknownFlow is what becomes of a packet of the server's host in a flow that nobody opened, as far
// as is known here. After a restart the client may know better, and may have nothing to send that
// would say so. The packet is lost; the returned peer asks for a session, as Outbound does.
func (w *Worker) unknownFlow(now time.Duration, peer *Peer, v6 bool) *Peer {
	s, _ := peer.way()
	if s == nil {
		return peer
	}
	if peer.Server.MayAsk(now) {
		c := &w.head
		ask := wire.FlowUnknown{Ports: wire.Ports{
			Proto: flow.ProtoOf(c.Kind), V6: v6, Target: c.Target, Port: c.Port,
		}}
		w.part = ask.Append(wire.AppendSession(w.part[:0], wire.SessionFlowUnknown))
		w.Message(now, s, w.part)
	}
	return w.drop(drop.NoFlow)
}

// recall answers the server that asks for a flow, if this client opened it.
func (w *Worker) recall(now time.Duration, s *Session, body []byte) {
	ask, err := wire.ParseFlowUnknown(body)
	if err != nil {
		w.drop(drop.BadFrame)
		return
	}
	if s.policy(SideClient) == nil {
		w.drop(drop.TunnelDisabled)
		return
	}
	slot, ok := s.Peer.Client.Recall(now, flowOf(ask.Ports))
	if !ok {
		w.drop(drop.NoFlow)
		return
	}
	answer := wire.Flow{Slot: slot, Ports: ask.Ports}
	w.part = answer.Append(wire.AppendSession(w.part[:0], wire.SessionFlow))
	w.Message(now, s, w.part)
}

// recalled takes the client's word that it opened a flow.
func (w *Worker) recalled(now time.Duration, s *Session, body []byte) {
	told, err := wire.ParseFlow(body)
	switch {
	case err != nil:
		w.drop(drop.BadFrame)
	case s.policy(SideServer) == nil:
		w.drop(drop.TunnelDisabled)
	case !w.announced(now, s, told.Slot, flowOf(told.Ports)):
		w.drop(drop.NoPort)
	}
}

func flowOf(p wire.Ports) flow.Flow {
	return flow.Flow{Proto: p.Proto, V6: p.V6, Target: p.Target, Port: p.Port}
}

// announced notes at the server's end which flow the client means by a slot. It is false when the
// tunnel does not allow that flow.
func (w *Worker) announced(now time.Duration, s *Session, slot uint8, f flow.Flow) bool {
	if !allows(s.Peer.Policy(), f) {
		return false
	}
	if f.Proto == flow.ProtoTCP {
		s.headers().Begin(slot, f, w.at)
	}
	if s.Peer.Server.Announce(now, slot, f) {
		w.slotOK(now, s, slot)
	}
	return true
}

func allows(pol *Policy, f flow.Flow) bool {
	return int(f.Target) < len(pol.Targets) && pol.Targets[f.Target].Proto == f.Proto
}

// restore makes a shortened TCP header whole.
func (w *Worker) restore(now time.Duration, s *Session, f flow.Flow, payload int) drop.Reason {
	lost, r := s.headers().Restore(now, f, &w.head, w.at, payload)
	if lost != 0 {
		b := wire.AppendSession(w.part[:0], wire.SessionRefsLost)
		w.Message(now, s, wire.RefsLost{Slot: w.head.Slot, UpTo: lost}.Append(b))
	}
	return r
}

// forgotten notes that the other end holds less than was thought.
func (w *Worker) forgotten(s *Session, body []byte) {
	m, err := wire.ParseRefsLost(body)
	if err != nil {
		w.drop(drop.BadFrame)
		return
	}
	s.headers().Lost(m.Slot, m.UpTo, w.at)
}

func (w *Worker) slotOK(now time.Duration, s *Session, slot uint8) {
	w.Message(now, s, []byte{wire.SessionContext, wire.SessionSlotOK, slot})
}

func (w *Worker) slotUnknown(now time.Duration, s *Session, slot uint8) {
	w.Message(now, s, []byte{wire.SessionContext, wire.SessionSlotUnknown, slot})
}
