// SPDX-License-Identifier: Apache-2.0

package plane

import (
	"testing"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/flow"
	"staex/internal/wire"
)

// tell delivers a session message of one end to the other.
func (r *rig) tell(t *testing.T, from, to *end, message []byte) {
	t.Helper()
	from.out.Reset()
	if !from.out.Message(r.now, from.session, message) {
		t.Fatal("no way")
	}
	r.carry(t, from, to, from.out)
}

func TestAServerThatForgotAFlowAsksTheClientThatOpenedIt(t *testing.T) {
	r := newRig()
	r.send(t, r.client, r.server, datagram(request(false, 161), "stream"))
	r.server.peer.Server = flow.ServerSlots{} // as after a restart
	frame := datagram(answer(false, 161), "frame")
	if got := r.send(t, r.server, r.client, frame); len(got) != 0 {
		t.Error("a packet of a flow that nobody announced arrived")
	}
	if got := r.send(t, r.server, r.client, frame); len(got) != 1 {
		t.Error("the flow was not announced again")
	}
}

func TestAClientRecallsTheFlowsThatItOpenedOnly(t *testing.T) {
	r := newRig()
	ask := wire.FlowUnknown{Ports: wire.Ports{Proto: flow.ProtoUDP, Target: 1, Port: 40000}}
	message := ask.Append(wire.AppendSession(nil, wire.SessionFlowUnknown))
	r.tell(t, r.server, r.client, message)
	if r.client.in.C.Drops[drop.NoFlow].Load() != 1 || len(r.client.in.Runs) != 0 {
		t.Error("the client answered for a flow that it never opened")
	}
	r.tell(t, r.server, r.client, message[:len(message)-1])
	if r.client.in.C.Drops[drop.BadFrame].Load() != 1 {
		t.Error("half a question was not dropped as bad-frame")
	}
	r.tell(t, r.client, r.server, message) // the client has nothing to ask
	if r.server.in.C.Drops[drop.TunnelDisabled].Load() != 1 {
		t.Error("the server's end took a question for itself")
	}
}

func TestAFlowIsRecalledWithinThePolicyOnly(t *testing.T) {
	r := newRig()
	tell := func(target uint8) {
		told := wire.Flow{Ports: wire.Ports{Proto: flow.ProtoUDP, Target: target, Port: 40000}}
		r.tell(t, r.client, r.server, told.Append(wire.AppendSession(nil, wire.SessionFlow)))
	}
	for _, target := range []uint8{0, 2, 255} { // 0 is of TCP
		tell(target)
	}
	if n := r.server.in.C.Drops[drop.NoPort].Load(); n != 3 {
		t.Errorf("%d of 3 were dropped as no-port", n)
	}
	r.server.peer.SetPolicy(&Policy{Side: SideServer, Targets: r.server.peer.Policy().Targets})
	tell(1)
	if r.server.in.C.Drops[drop.TunnelDisabled].Load() != 1 {
		t.Error("a disabled tunnel took a flow")
	}
	r.tell(t, r.client, r.server, []byte{wire.SessionContext, wire.SessionFlow, 1})
	if r.server.in.C.Drops[drop.BadFrame].Load() != 1 {
		t.Error("half a flow was not dropped as bad-frame")
	}
}

func TestQuestionsAboutFlowsAreBounded(t *testing.T) {
	r := newRig()
	asked := func(packets int) (n int) {
		for range packets {
			r.server.out.Reset()
			r.server.out.Outbound(r.now, datagram(answer(false, 161), "x"))
			n += len(r.server.out.Runs)
		}
		return n
	}
	if n := asked(1000); n != flow.AskBurst {
		t.Errorf("%d questions at once, want %d", n, flow.AskBurst)
	}
	r.now += 3 * flow.AskPeriod
	if n := asked(1000); n != 3 {
		t.Errorf("%d questions after three periods, want 3", n)
	}
}
