// SPDX-License-Identifier: Apache-2.0

package plane

import (
	"testing"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/flow"
)

// The slow path ends the session of a tunnel that is switched off, and no other layer relies on
// that: while there is one, each end refuses by itself.
func TestATunnelThatIsOffAtOneEndPassesNothingThere(t *testing.T) {
	echo := packet(flow.Compact{Kind: flow.KindEcho}, request(false, 0), []byte("ping"), 0)
	flow.PutEcho(echo[flow.OffloadSize:])
	ask := datagram(request(false, 161), "?")
	off := func(e *end) {
		p := *e.peer.Policy()
		p.On = false
		e.peer.SetPolicy(&p)
	}
	r := newRig()
	r.send(t, r.client, r.server, ask)
	off(r.client)
	for _, p := range [][]byte{ask, echo} {
		r.client.out.Reset()
		if r.client.out.Outbound(r.now, p) != nil || len(r.client.out.Runs) != 0 {
			t.Error("a packet left through a tunnel that is off")
		}
	}
	if r.client.out.C.Drops[drop.TunnelDisabled].Load() != 2 {
		t.Error("not dropped as tunnel-disabled")
	}
	if got := r.send(t, r.server, r.client, datagram(answer(false, 161), "!")); len(got) != 0 {
		t.Error("an answer came out of a tunnel that is off")
	}
	r = newRig()
	off(r.server)
	for _, p := range [][]byte{ask, echo} {
		if got := r.send(t, r.client, r.server, p); len(got) != 0 {
			t.Error("a packet came out of a tunnel that is off")
		}
	}
	if r.server.in.C.Drops[drop.TunnelDisabled].Load() != 2 || len(r.server.in.Runs) != 0 {
		t.Error("not dropped as tunnel-disabled")
	}
}
