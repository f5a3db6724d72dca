// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"slices"
	"testing"
	"time"

	"staex/internal/ident"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/session"
	"staex/internal/wire"
)

// garbage is what an attacker puts where a frame of the registry belongs: a good one, every shorter
// and one longer one, one with each byte changed, and random bytes. room is the largest size that
// fits where it travels.
func (p *rawPeer) garbage(f wire.Frame, room int) [][]byte {
	good := f.Sample()
	list := [][]byte{good, append(f.Sample(), 0)}
	for i := range good {
		x := f.Sample()
		x[i] ^= 0xff
		list = append(list, x, good[:i:i])
	}
	for i := range 40 {
		x := make([]byte, min(i*i, room))
		_, _ = p.rand.Read(x)
		list = append(list, x)
	}
	return list
}

// framesOf are the registry's frames of a layer.
func framesOf(t *testing.T, layer wire.Layer) []wire.Frame {
	t.Helper()
	var list []wire.Frame
	for _, f := range wire.Frames() {
		if f.Layer == layer {
			list = append(list, f)
		}
	}
	if len(list) == 0 {
		t.Fatalf("no frames of layer %v", layer)
	}
	return list
}

func TestEveryLayerOfTheRegistryIsAttacked(t *testing.T) {
	attacked := map[wire.Layer]bool{
		wire.LayerDatagram: true, wire.LayerLink: true, wire.LayerControl: true,
		wire.LayerData: true, wire.LayerSession: true, wire.LayerHandshake: true,
		wire.LayerPath: true,
	}
	for _, f := range wire.Frames() {
		if !attacked[f.Layer] {
			t.Errorf("%s: nobody attacks a %v", f.Name, f.Layer)
		}
	}
}

func TestGarbageInAnyControlMessageOfAChildIsDropped(t *testing.T) {
	w, p := attackedBy(t, 150, nil)
	root := w.Host("root")
	unknown := wire.Frame{Name: "unknown", Type: 200, Sample: func() []byte { return []byte{1, 2} }}
	for _, f := range append(framesOf(t, wire.LayerControl), unknown) {
		before := root.allDrops()
		for _, body := range p.garbage(f, wire.MaxMessageBody) {
			p.tell(f.Type, body)
			if w.Run(30 * time.Millisecond); root.gauge(t, "links") < 4 {
				p.attach(t) // it was a goodbye
			}
		}
		if root.drops(drop.BadFrame)+root.drops(drop.BadType) ==
			before[drop.BadFrame]+before[drop.BadType] {
			t.Errorf("garbage as %s was not counted", f.Name)
		}
	}
	survived(t, w)
}

func TestGarbageInAnyControlMessageOfAParentIsDropped(t *testing.T) {
	w, p := underEvil(t, 151)
	g := w.Host("gateway")
	for _, f := range framesOf(t, wire.LayerControl) {
		before := g.allDrops()
		for _, body := range p.garbage(f, wire.MaxMessageBody) {
			if f.Type != wire.ControlBye || len(body) > 0 {
				p.tell(f.Type, body)
			}
		}
		w.Run(300 * time.Millisecond)
		if g.drops(drop.BadFrame)+g.drops(drop.BadType) ==
			before[drop.BadFrame]+before[drop.BadType] {
			t.Errorf("garbage as %s was not counted", f.Name)
		}
	}
	p.leave()
	survived(t, w)
}

func TestGarbageInALinkFrameIsDropped(t *testing.T) {
	w, p := attackedBy(t, 152, nil)
	root := w.Host("root")
	before := root.allDrops()
	for _, f := range framesOf(t, wire.LayerLink) {
		for _, plain := range p.garbage(f, 1000) {
			p.frame(len(plain)%2 == 0, plain)
		}
		w.Run(300 * time.Millisecond)
		if root.gauge(t, "links") < 4 {
			p.attach(t)
		}
	}
	for i := range uint32(100) { // packets far ahead are not kept, those near are, within bounds
		p.sent += 1 + i
		p.packet(wire.AppendMessage(nil, wire.ControlGone, make([]byte, 1000)))
	}
	w.Run(time.Second)
	counted(t, root, before, drop.BadFrame, 20)
	if n := root.gauge(t, "packets that came early"); n > 32 {
		t.Errorf("%d packets are kept", n)
	}
	survived(t, w)
}

func TestGarbageInAnySessionMessageIsDropped(t *testing.T) {
	w, p := attackedBy(t, 153, nil)
	g := w.Host("gateway")
	s := p.talk(t, g.ID())
	send := func(say func()) {
		sessions := g.Node.Sessions()
		say()
		if w.Run(30 * time.Millisecond); g.Node.Sessions() < sessions {
			s = p.talk(t, g.ID()) // it was a close
		}
	}
	for _, f := range framesOf(t, wire.LayerSession) {
		before := g.allDrops()
		for _, body := range p.garbage(f, 1000) {
			send(func() { s.message(f.Type, body) })
		}
		if got := g.drops(drop.BadFrame) + g.drops(drop.NotAdmitted) - before[drop.BadFrame] -
			before[drop.NotAdmitted]; got == 0 && f.Max > 0 {
			t.Errorf("garbage as %s was not counted", f.Name)
		}
	}
	for _, f := range framesOf(t, wire.LayerData) {
		before := g.allDrops()
		for _, plain := range p.garbage(f, 1000) {
			send(func() { s.say(plain) })
		}
		counted(t, g, before, drop.BadContext, 1)
		counted(t, g, before, drop.NoTunnel, 1)
	}
	survived(t, w)
}

func TestGarbageInTheBodyOfAPathIsRefused(t *testing.T) {
	w, p := attackedBy(t, 156, nil)
	g := w.Host("gateway")
	s := p.talk(t, g.ID())
	prover := session.NewProver(s.hs.Keys(), true)
	for _, f := range framesOf(t, wire.LayerPath) {
		before := g.allDrops()
		list := p.garbage(f, wire.MaxPathBody)
		for range 40 { // of a session that is there
			proof, _ := prover.Ask(s.send, [8]byte{1})
			body := wire.Resume(proof).Append(nil)
			body[8+len(list)%24] ^= 1
			list = append(list, body)
		}
		oks := p.told(wire.ControlPathOK)
		for i, body := range list {
			path := wire.Path{
				Dest: g.ID(), ID: [8]byte{2, byte(i), byte(i >> 8)}, Kind: wire.PathResume,
				Hops: 60, Back: 0x777777, Size: wire.MinDatagram, Body: body,
			}
			p.tell(wire.ControlPath, path.Append(nil))
			w.Run(20 * time.Millisecond)
		}
		for _, r := range []drop.Reason{drop.BadFrame, drop.NoSession, drop.OpenFailed} {
			counted(t, g, before, r, 30)
		}
		if p.told(wire.ControlPathOK) != oks {
			t.Errorf("garbage as %s was answered", f.Name)
		}
	}
	if !s.stands(g) {
		t.Error("the session moved")
	}
	survived(t, w)
}

func TestGarbageInASessionOfATunnelIsDropped(t *testing.T) {
	w, p := attackedBy(t, 154, nil)
	g := w.Host("gateway")
	end, err := ident.NewSecret(p.rand)
	must(err)
	id := p.tunnelOf(t, g, "second", end.ID(), end)
	call := func() *rawSession {
		secret := session.TunnelSecret(end, id)
		s, hello := p.hello(id, end, &secret)
		s.call(hello)
		s.finish(wire.XKPayload{}.Append(nil))
		return s
	}
	s, sessions := call(), g.Node.Sessions()
	before := g.allDrops()
	for _, f := range append(framesOf(t, wire.LayerSession), framesOf(t, wire.LayerData)...) {
		for _, body := range p.garbage(f, 1000) {
			if f.Layer == wire.LayerSession {
				s.message(f.Type, body)
			} else {
				s.say(body)
			}
			if w.Run(30 * time.Millisecond); g.Node.Sessions() < sessions {
				s = call() // it was a close, or another one was idle for too long
				sessions = g.Node.Sessions()
			}
		}
	}
	counted(t, g, before, drop.BadType, 100) // words between nodes have no place here
	if n := len(g.Node.Tunnels()); n != 2 {
		t.Errorf("the gateway has %d tunnels", n)
	}
	survived(t, w)
}

// Even a well-formed word has no place in the session of a tunnel, whose other end is an endpoint
// and no node: it must not be looked at.
func TestWordsBetweenNodesHaveNoPlaceInATunnel(t *testing.T) {
	w, p := attackedBy(t, 156, nil)
	g := w.Host("gateway")
	end, err := ident.NewSecret(p.rand)
	must(err)
	id := p.tunnelOf(t, g, "second", end.ID(), end)
	secret := session.TunnelSecret(end, id)
	s, hello := p.hello(id, end, &secret)
	s.call(hello)
	s.finish(wire.XKPayload{}.Append(nil))
	w.Run(time.Second)
	before := g.allDrops()
	words := []uint8{
		wire.SessionOffer, wire.SessionAccept, wire.SessionReject, wire.SessionPending,
		wire.SessionSwitch, wire.SessionSwitchOK, wire.SessionHello, wire.SessionClaim,
		wire.SessionClaimOK, wire.SessionWantList, wire.SessionListPart,
	}
	for _, f := range framesOf(t, wire.LayerSession) {
		if slices.Contains(words, f.Type) {
			s.message(f.Type, f.Sample())
			s.message(f.Type, nil)
			w.Run(30 * time.Millisecond)
		}
	}
	counted(t, g, before, drop.BadType, uint64(2*len(words)))
	for r, n := range g.allDrops() {
		if reason := drop.Reason(r); n != before[r] && reason != drop.BadType {
			t.Errorf("%d were dropped as %v", n-before[r], reason)
		}
	}
	survived(t, w)
}

func TestGarbageInAnyHandshakePayloadIsRefused(t *testing.T) {
	w, p := underEvil(t, 155)
	root, g := w.Host("root"), w.Host("gateway")
	child := w.newRaw("198.51.100.67:9376", rootAddr, nil)
	member := w.newRaw("198.51.100.68:9376", rootAddr, nil)
	member.attach(t)
	for _, f := range framesOf(t, wire.LayerHandshake) {
		list := child.garbage(f, 900)
		list = list[len(list)%3:]
		before := root.allDrops()
		tried := uint64(0)
		for i, payload := range list {
			if i%4 != 0 {
				continue // each costs a handshake
			}
			tried++
			child.says = payload
			child.dial()
			s, hello := member.hello(root.ID(), member.who.Secret, nil)
			s.call(hello)
			s.finish(payload)
		}
		counted(t, root, before, drop.NotAdmitted, 2*tried)
	}
	if child.got != 0 {
		t.Error("somebody attached with garbage")
	}
	p.leave()
	before := g.allDrops()
	p.w.listen(p.addr, p.arrive) // back again, and now as a parent who cannot say who it is
	p.says = []byte("no payload")
	w.Run(5 * time.Minute)
	counted(t, g, before, drop.NotAdmitted, 1)
	if id, _, _ := g.Node.Parent(); id != root.ID() {
		t.Errorf("the gateway went to %v", id)
	}
	survived(t, w)
}
