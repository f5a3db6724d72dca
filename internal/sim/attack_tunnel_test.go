// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"testing"
	"time"

	"staex/internal/ident"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/flow"
	"staex/internal/overlay/session"
	"staex/internal/wire"
)

// tunnelOf gives the attacker a tunnel of its own with the gateway; it accepts it with a client
// endpoint of this key, and proves what it can with the secret that it has.
func (p *rawPeer) tunnelOf(t *testing.T, g *Host, name string, key ident.NodeID,
	end *ident.Secret,
) ident.NodeID {
	t.Helper()
	s := p.talk(t, g.ID())
	id := g.Tunnel(name, &Host{Who: p.who}, snmp)
	var offered wire.Offer
	p.w.Until(5*time.Second, func() bool {
		for _, plain := range s.listen() {
			if plain[1] == wire.SessionOffer {
				o, err := wire.ParseOffer(plain[wire.SessionHeaderSize:])
				must(err)
				if cert, err := ident.DecodeEndpointCert(o.Cert); err == nil && cert.Key == id {
					offered = o
				}
			}
		}
		return len(offered.Cert) > 0
	})
	cert := &ident.EndpointCert{
		Kind: ident.ClientEndpoint, Network: p.who.Cert.Network, Key: key, Peer: id,
	}
	must(ident.SignEndpointCert(cert, p.who.Secret))
	a := wire.Accept{ID: offered.ID, Cert: cert.Append(nil), Node: p.who.Cert.Append(nil)}
	a.Proof = session.HelloMAC(session.TunnelSecret(end, id), []byte("accept"), a.ID[:])
	s.message(wire.SessionAccept, a.Append(nil))
	p.w.Run(time.Second)
	return id
}

// agreedOn reports whether a host has a remote key for a tunnel.
func agreedOn(h *Host, id ident.NodeID) bool {
	for _, x := range h.Node.Tunnels() {
		if x.ID == id {
			return !x.RemoteKey.IsZero()
		}
	}
	return false
}

func TestAClientCannotAcceptWithAKeyThatIsNotItsOwnOrInUse(t *testing.T) {
	w, p := attackedBy(t, 127, nil)
	g, c := w.Host("gateway"), w.Host("technician")
	made := meterOf(t, g)
	other, err := ident.NewSecret(p.rand)
	must(err)
	for i, key := range []ident.NodeID{
		made.RemoteKey, made.ID, g.ID(), c.ID(), other.ID(), p.who.Secret.ID(),
	} {
		before := g.allDrops()
		id := p.tunnelOf(t, g, fmt.Sprint("bad", i), key, p.who.Secret)
		counted(t, g, before, drop.NotAdmitted, 1)
		if agreedOn(g, id) {
			t.Errorf("accepted with the key %v", key)
		}
		talks(t, w, c, "meter", "still the client", 10*time.Second)
	}
	end, err := ident.NewSecret(p.rand)
	must(err)
	first := p.tunnelOf(t, g, "first", end.ID(), end)
	again := p.tunnelOf(t, g, "again", end.ID(), end)
	if !agreedOn(g, first) || agreedOn(g, again) {
		t.Error("one key stands at the end of two tunnels")
	}
	g.Kill() // what the disk holds must be good for a start
	g.Start()
	survived(t, w)
}

func TestAClientGetsWhatItsTunnelNamesAndNothingElse(t *testing.T) {
	w, p := attackedBy(t, 128, nil)
	g := w.Host("gateway")
	end, err := ident.NewSecret(p.rand)
	must(err)
	id := p.tunnelOf(t, g, "second", end.ID(), end)
	secret := session.TunnelSecret(end, id)
	s, hello := p.hello(id, end, &secret)
	s.call(hello)
	if s.out == 0 {
		t.Fatal("the attacker's own tunnel does not work")
	}
	s.finish(wire.XKPayload{}.Append(nil))
	before := g.allDrops()
	x, hello := p.hello(id, p.who.Secret, &secret) // the secret alone is not the key
	x.call(hello)
	x.finish(wire.XKPayload{}.Append(nil))
	counted(t, g, before, drop.NotAdmitted, 1)
	udp := flow.Compact{Kind: flow.KindUDP, Slot: 3, Announce: true, Port: 5000}
	send := func(c flow.Compact, payload string) { s.say(append(c.Append(nil), payload...)) }
	g.Forget()
	send(udp, "mine")
	w.Run(time.Second)
	if len(g.Got) != 1 || g.Got[0].Dst.Port() != 161 {
		t.Fatalf("the gateway received %v", g.Got)
	}
	g.Forget()
	before = g.allDrops()
	for i := 1; i < 256; i++ {
		if udp.Target = uint8(i); i == flow.AnyTarget {
			udp.Slot = flow.NoSlot // as between nodes: both ports follow
		}
		send(udp, "another target")
	}
	udp.Target, udp.Slot = 0, 3
	tcp := udp
	tcp.Kind = flow.KindTCP
	send(tcp, "another protocol")
	udp.Announce, udp.Slot = false, 77
	send(udp, "a slot that nobody announced")
	for b := range 256 {
		s.say([]byte{byte(b)})
		s.say([]byte{byte(b), 3})
	}
	s.say(nil)
	w.Run(time.Second)
	counted(t, g, before, drop.NoPort, 256)
	counted(t, g, before, drop.UnknownSlot, 1)
	counted(t, g, before, drop.BadContext, 50)
	for _, x := range g.Got {
		if x.Dst.Port() != 161 || x.Proto != flow.ProtoUDP {
			t.Errorf("the gateway received %v", x)
		}
	}
	p.flows(s, 6000)
	p.parts(s)
	w.Run(time.Second)
	counted(t, g, before, drop.BadPart, 0)
	must(g.Apply(switchOff("second")))
	g.Forget()
	before = g.allDrops()
	udp.Announce = true
	send(udp, "switched off")
	w.Run(time.Second)
	counted(t, g, before, drop.UnknownLabel, 1)
	if len(g.Got) != 0 {
		t.Errorf("the gateway received %v", g.Got)
	}
	survived(t, w)
}

// flows announces more flows than a tunnel may have.
func (p *rawPeer) flows(s *rawSession, n int) {
	for i := range n {
		c := flow.Compact{
			Kind: flow.KindUDP, Slot: uint8(i % 256), Announce: true, Port: uint16(i + 1),
		}
		s.say(append(c.Append(nil), 'x'))
	}
	p.w.Run(time.Second)
}

// parts begins packets that are never finished, or that contradict themselves.
func (p *rawPeer) parts(s *rawSession) {
	junk := make([]byte, 1000)
	for id := range 256 {
		for i := range 8 {
			part := flow.Compact{
				Kind: flow.KindPart, PartID: uint8(id), PartIndex: uint8(i * 3 % 8),
				PartLast: i%3 == 0,
			}
			s.say(append(part.Append(nil), junk...))
		}
	}
	p.w.Run(time.Second)
}

func TestARepeatedOfferWritesNothing(t *testing.T) {
	w, p := attackedBy(t, 162, nil)
	c := w.Host("technician")
	key, cert := p.serverCert(w.network, c.ID(), "mine")
	s := p.talk(t, c.ID())
	o := p.offer(key, cert, c.ID())
	s.message(wire.SessionOffer, o.Append(nil))
	w.Run(time.Second)
	before := c.Writes
	for range 100 {
		s.message(wire.SessionOffer, o.Append(nil))
	}
	w.Run(time.Second)
	if n := c.Writes - before; n > 0 {
		t.Errorf("the client wrote %d times", n)
	}
	survived(t, w)
}

func TestAServerReachesNoFlowThatItsClientDidNotBegin(t *testing.T) {
	w, p := attackedBy(t, 163, nil)
	c := w.Host("technician")
	key, cert := p.serverCert(w.network, c.ID(), "mine")
	s := p.talk(t, c.ID())
	s.message(wire.SessionOffer, p.offer(key, cert, c.ID()).Append(nil))
	w.Run(time.Second)
	var far ident.NodeID // the client's endpoint
	for _, plain := range s.listen() {
		if plain[1] == wire.SessionAccept {
			a, err := wire.ParseAccept(plain[wire.SessionHeaderSize:])
			must(err)
			end, err := ident.DecodeEndpointCert(a.Cert)
			must(err)
			far = end.Key
		}
	}
	secret := session.TunnelSecret(key, far)
	s, hello := p.hello(far, key, &secret)
	s.call(hello)
	if s.out == 0 {
		t.Fatal("the attacker's own tunnel does not work")
	}
	s.finish(wire.XKPayload{}.Append(nil))
	c.Forget()
	before := c.allDrops()
	for port := range uint16(300) {
		udp := flow.Compact{Kind: flow.KindUDP, Slot: uint8(port), Port: 4900 + port}
		udp.Announce = true
		s.say(append(udp.Append(nil), "uninvited"...))
		udp.Announce = false
		s.say(append(udp.Append(nil), "uninvited"...))
	}
	w.Run(time.Second)
	counted(t, c, before, drop.NoFlow, 250)
	counted(t, c, before, drop.UnknownSlot, 250)
	if len(c.Got) != 0 {
		t.Errorf("the client received %v", c.Got)
	}
	survived(t, w)
}
