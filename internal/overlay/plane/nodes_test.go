// SPDX-License-Identifier: Apache-2.0

package plane

import (
	"bytes"
	"testing"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/flow"
)

// open makes the rig one of two nodes that allow each other's traffic outside tunnels.
func (r *rig) open() *rig {
	for _, e := range []*end{r.client, r.server} {
		pol := *e.peer.Policy()
		pol.Side, pol.Targets = SideNode, nil
		e.peer.SetPolicy(&pol)
	}
	return r
}

// gre is a packet of another protocol, behind an offload header.
func gre(e flow.Ends, payload []byte) []byte {
	c := flow.Compact{Kind: flow.KindWhole, V6: e.Src.Is6(), Proto: 47}
	return packet(c, e, payload, 0)
}

func TestTwoNodesReachEachOtherOnEveryPortAndProtocol(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		r := newRig().open()
		there, back := request(v6, 4242), answer(v6, 4242)
		arrives := flow.Ends{
			Src: clientLease[family(v6)], Dst: serverInner[family(v6)],
			SrcPort: there.SrcPort, DstPort: there.DstPort,
		}
		big := bytes.Repeat([]byte("0123456789"), 300)
		udp, segs := flow.Compact{Kind: flow.KindUDP, V6: v6}, tcp(v6, flow.FlagACK)
		for _, c := range []struct{ sent, want []byte }{
			{packet(udp, there, []byte("x"), 0), packet(udp, arrives, []byte("x"), 0)},
			{packet(udp, there, big, 0), packet(udp, arrives, big, 0)},
			{packet(segs, there, big, 1000), packet(segs, arrives, big, 1000)},
			{gre(there, []byte("x")), gre(arrives, []byte("x"))},
			{gre(there, big), gre(arrives, big)},
		} {
			got := r.send(t, r.client, r.server, c.sent)
			if len(got) != 1 || !bytes.Equal(got[0], c.want) {
				t.Errorf("%d packets arrive:\n%x, want\n%x", len(got), got, c.want)
			}
		}
		uninvited := r.send(t, r.server, r.client, packet(udp, back, []byte("y"), 0))
		if len(uninvited) != 1 {
			t.Fatalf("%d packets came back", len(uninvited))
		}
		p := complain(flow.ErrorPort, uninvited[0], 0, clientInner)
		got := r.send(t, r.client, r.server, p)
		if len(got) != 1 {
			t.Fatalf("%d errors arrive", len(got))
		}
		if _, q := quoteOf(t, got[0]); q.SrcPort != back.SrcPort || q.DstPort != back.DstPort ||
			q.Src != back.Src || q.Dst != back.Dst {
			t.Errorf("%+v", q)
		}
	}
}

func TestBetweenNodesBothEndsHaveToAllowIt(t *testing.T) {
	off := &Policy{Side: SideNode}
	for _, c := range []struct {
		name   string
		change func(r *rig)
		here   drop.Reason // at the sender
		there  drop.Reason // at the receiver
	}{
		{"off here", func(r *rig) { r.client.peer.SetPolicy(off) }, drop.TunnelDisabled, 0},
		{"off there", func(r *rig) { r.server.peer.SetPolicy(off) }, 0, drop.TunnelDisabled},
		{"denied there", func(r *rig) { r.server.session.Peer = nil }, 0, drop.NoTunnel},
	} {
		for _, p := range [][]byte{
			packet(flow.Compact{Kind: flow.KindUDP}, request(false, 161), []byte("x"), 0),
			packet(tcp(false, flow.FlagSYN), request(false, 80), nil, 0),
			gre(request(false, 0), []byte("x")),
		} {
			r := newRig().open()
			c.change(r)
			if got := r.send(t, r.client, r.server, p); len(got) != 0 {
				t.Errorf("%s: %x arrives", c.name, got)
			}
			here, there := &r.client.out.C, &r.server.in.C
			gone := here.Drops[c.here].Load() + here.Drops[drop.Protocol].Load()
			if c.here != 0 && gone != 1 || c.there != 0 && there.Drops[c.there].Load() != 1 {
				t.Errorf("%s: not dropped as %v or %v", c.name, c.here, c.there)
			}
		}
	}
}

// What a tunnel's other end makes up must not look like traffic between nodes, nor the reverse.
func TestATunnelTakesNothingOfWhatIsBetweenNodes(t *testing.T) {
	r := newRig().open()
	r.client.out.Outbound(r.now, packet(flow.Compact{Kind: flow.KindUDP}, request(false, 161),
		[]byte("x"), 0))
	tunnel := newRig()
	tunnel.send(t, tunnel.client, tunnel.server, datagram(request(false, 161), "flow"))
	for _, c := range []struct {
		kind flow.Compact
		want drop.Reason
	}{
		{flow.Compact{
			Kind: flow.KindUDP, Announce: true, Slot: flow.NoSlot,
			Target: flow.AnyTarget, Port: 40000, Peer: 161,
		}, drop.NoPort},
		{flow.Compact{Kind: flow.KindWhole, Proto: 47}, drop.Protocol},
		{flow.Compact{
			Kind: flow.KindError, Error: flow.ErrorPort, Announce: true,
			Slot: flow.NoSlot, Target: flow.AnyTarget, Port: 161, Peer: 40000,
		}, drop.NoFlow},
	} {
		before := tunnel.server.in.C.Drops[c.want].Load()
		tunnel.client.out.Reset()
		tunnel.client.out.Message(tunnel.now, tunnel.client.session, c.kind.Append(nil))
		got := tunnel.carry(t, tunnel.client, tunnel.server, tunnel.client.out)
		if len(got) != 0 || tunnel.server.in.C.Drops[c.want].Load() != before+1 {
			t.Errorf("%+v: not dropped as %v", c.kind, c.want)
		}
	}
	nodes := newRig().open()
	slot := flow.Compact{Kind: flow.KindUDP, Announce: true, Slot: 1, Target: 1, Port: 40000}
	nodes.client.out.Message(nodes.now, nodes.client.session, slot.Append(nil))
	if got := nodes.carry(t, nodes.client, nodes.server, nodes.client.out); len(got) != 0 {
		t.Error("a tunnel's packet passes between nodes")
	}
}

func TestAPacketForAnUnknownNodeIsLeftToTheSlowPath(t *testing.T) {
	r := newRig()
	others := &Peer{}
	elsewhere := request(false, 22)
	elsewhere.Dst = lanRouter[0]
	spoofed := elsewhere
	spoofed.Src = clientLease[0]
	udp := flow.Compact{Kind: flow.KindUDP}
	for _, p := range [][]byte{packet(udp, elsewhere, nil, 0), gre(elsewhere, nil)} {
		if r.client.out.Outbound(r.now, bytes.Clone(p)) != nil {
			t.Error("the slow path is asked although nothing is allowed")
		}
	}
	r.client.tables.Open(others)
	for _, p := range [][]byte{packet(udp, elsewhere, nil, 0), gre(elsewhere, nil)} {
		if r.client.out.Outbound(r.now, bytes.Clone(p)) != others {
			t.Error("the slow path is not asked")
		}
	}
	for _, p := range [][]byte{packet(udp, spoofed, nil, 0), gre(spoofed, nil)} {
		if r.client.out.Outbound(r.now, bytes.Clone(p)) != nil {
			t.Error("the slow path is asked for a spoofed packet")
		}
	}
}
