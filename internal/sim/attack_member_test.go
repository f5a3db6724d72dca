// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"staex/internal/ident"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/flow"
	"staex/internal/overlay/session"
	"staex/internal/overlay/tunnel"
	"staex/internal/wire"
)

// meterOf is the tunnel of the story as one of its ends knows it.
func meterOf(t *testing.T, h *Host) *tunnel.Tunnel {
	t.Helper()
	for _, x := range h.Node.Tunnels() {
		if x.Name == "meter" {
			return x
		}
	}
	t.Fatalf("%s has no tunnel", h.Name)
	return nil
}

func TestAMemberWithoutTheTunnelCannotCallItsEndpoints(t *testing.T) {
	w, p := attackedBy(t, 120, nil)
	g, c := w.Host("gateway"), w.Host("technician")
	end, err := ident.NewSecret(p.rand)
	must(err)
	for _, x := range []struct {
		host *Host
		key  ident.NodeID
	}{{g, meterOf(t, g).ID}, {c, meterOf(t, g).RemoteKey}} {
		before, halves := x.host.allDrops(), x.host.gauge(t, "half-open sessions")
		_, asMember := p.hello(x.key, p.who.Secret, nil)
		own := session.TunnelSecret(end, x.key)
		_, asEndpoint := p.hello(x.key, end, &own)
		guess := session.TunnelSecret(p.who.Secret, x.key)
		_, asNode := p.hello(x.key, p.who.Secret, &guess)
		tries := [][]byte{asMember, asEndpoint, asNode, make([]byte, 56), make([]byte, 300)}
		for _, hello := range tries {
			s, _ := p.hello(x.key, end, nil)
			if s.call(hello); s.no != wire.PathRefused {
				t.Errorf("%s answered %d", x.host.Name, s.no)
			}
		}
		s, _ := p.hello(x.key, end, nil)
		s.call(nil)
		counted(t, x.host, before, drop.BadMac, uint64(len(tries)))
		counted(t, x.host, before, drop.NoTunnel, 1)
		if n := x.host.gauge(t, "half-open sessions"); n != halves {
			t.Errorf("%d sessions are half open at %s", n, x.host.Name)
		}
	}
	survived(t, w)
}

func TestANodeSessionNeedsTheCertificateOfItsKey(t *testing.T) {
	w, p := attackedBy(t, 121, nil)
	g := w.Host("gateway")
	other := w.NewNetwork("other")
	foreign := w.identity(p.rand, other)
	stolen := &ident.NodeCert{Key: p.who.Secret.ID()}
	must(ident.SignNodeCert(stolen, p.who.Secret)) // signed by ourselves
	for name, payload := range map[string]wire.XKPayload{
		"somebody else's": {NodeCert: w.Host("other").Who.Cert.Append(nil)},
		"foreign":         {NodeCert: foreign.Cert.Append(nil)},
		"home-made":       {NodeCert: stolen.Append(nil)},
		"none":            {},
	} {
		before := g.allDrops()
		s, hello := p.hello(g.ID(), p.who.Secret, nil)
		s.call(hello)
		s.finish(payload.Append(nil))
		counted(t, g, before, drop.NotAdmitted, 1)
		if s.answered(wire.SessionConfirm) {
			t.Errorf("a session stands with a certificate that is %s", name)
		}
	}
	before := g.allDrops()
	s, hello := p.hello(g.ID(), foreign.Secret, nil) // a leaked names key is no membership
	s.call(hello)
	s.finish(wire.XKPayload{NodeCert: foreign.Cert.Append(nil)}.Append(nil))
	counted(t, g, before, drop.NotAdmitted, 1)
	s, hello = p.hello(g.ID(), p.who.Secret, nil)
	s.call(hello)
	p.out(wire.PathHandshake{Label: s.out, Stage: wire.StageNoise3, Body: make([]byte, 80)}.Append(nil))
	w.Run(time.Second)
	counted(t, g, before, drop.OpenFailed, 1)
	s.finish([]byte("no payload at all"))
	counted(t, g, before, drop.NotAdmitted, 2)
	survived(t, w)
}

func TestUnfinishedCallsOfAMemberLeaveRoomForATunnel(t *testing.T) {
	w, p := attackedBy(t, 122, nil)
	g, c := w.Host("gateway"), w.Host("technician")
	var bodies [][]byte
	for i := range 250 {
		s, hello := p.hello(g.ID(), p.who.Secret, nil)
		path := wire.Path{
			Dest: s.dest, ID: [8]byte{9, byte(i)}, Kind: wire.PathHello, Hops: 60,
			Back: wire.Label(i + 1), Size: wire.MinDatagram, Body: hello,
		}
		bodies = append(bodies, path.Append(nil))
	}
	before := g.allDrops()
	p.flood(wire.ControlPath, bodies)
	w.Run(100 * time.Millisecond)
	if n := g.gauge(t, "half-open sessions"); n < 100 || n > 200 {
		t.Errorf("%d sessions are half open", n)
	}
	counted(t, g, before, drop.Quota, 50)
	c.Kill()
	c.Start()
	talks(t, w, c, "meter", "during the flood", 4*time.Second)
	survived(t, w)
}

// serverCert makes the certificate of a tunnel to a client node, signed by a network.
func (p *rawPeer) serverCert(n *Network, client ident.NodeID, names ...string) (*ident.Secret,
	*ident.EndpointCert,
) {
	secret, err := ident.NewSecret(p.rand)
	must(err)
	cert := &ident.EndpointCert{
		Kind: ident.ServerEndpoint, Key: secret.ID(), Peer: client,
		Targets: []ident.Target{snmp}, Names: names,
	}
	must(ident.SignEndpointCert(cert, n.Secret))
	return secret, cert
}

func TestOffersThatAreNotTheOfferersAreRefused(t *testing.T) {
	w, p := attackedBy(t, 123, nil)
	g, c := w.Host("gateway"), w.Host("technician")
	s := p.talk(t, c.ID())
	real := meterOf(t, g)
	_, elsewhere := p.serverCert(w.network, g.ID())
	_, foreign := p.serverCert(w.NewNetwork("other"), c.ID())
	_, client := p.endpoint(c.ID())
	_, self := p.serverCert(w.network, c.ID())
	self.Key = c.ID() // whoever signs certificates might sign any key
	must(ident.SignEndpointCert(self, w.network.Secret))
	_, taken := p.serverCert(w.network, c.ID())
	taken.Key = meterOf(t, c).Local.ID()
	must(ident.SignEndpointCert(taken, w.network.Secret))
	forged := append([]byte(nil), real.LocalCert...)
	forged[len(forged)-1] ^= 1
	tunnels := len(c.Node.Tunnels())
	for name, cert := range map[string][]byte{
		"another client's":    elsewhere.Append(nil),
		"a foreign network's": foreign.Append(nil),
		"a client's":          client,
		"the client's own":    self.Append(nil),
		"an endpoint's":       taken.Append(nil),
		"forged":              forged,
		"somebody else's":     real.LocalCert,
		"garbage":             []byte("garbage"),
	} {
		before := c.allDrops()
		s.heard = nil
		s.message(wire.SessionOffer, wire.Offer{ID: [8]byte{1}, Seq: 99, Families: 3, Cert: cert}.Append(nil))
		w.Run(500 * time.Millisecond)
		counted(t, c, before, drop.NotAdmitted, 1)
		if !s.answered(wire.SessionReject) || s.answered(wire.SessionAccept) {
			t.Errorf("an offer with a certificate that is %s was not refused", name)
		}
		if n := len(c.Node.Tunnels()); n != tunnels || meterOf(t, c).RemoteNode != g.ID() {
			t.Errorf("%s: the client has %d tunnels", name, n)
		}
	}
	survived(t, w)
}

func TestAnOfferCannotBeStolenBeforeItsOwnerMakesIt(t *testing.T) {
	w := open(124)
	g, c := w.Host("gateway"), w.Host("technician")
	g.Serve = Shout
	w.Run(3 * time.Second)
	p := w.newRaw(evilAddr, rootAddr, nil)
	p.attach(t)
	c.Kill() // so that the attacker comes first
	g.Tunnel("meter", c, snmp)
	w.Run(2 * time.Second)
	c.Start()
	w.Until(10*time.Second, func() bool { _, _, ok := c.Node.Parent(); return ok })
	s := p.talk(t, c.ID())
	before := c.allDrops()
	cert := meterOf(t, g).LocalCert // every relay above the gateway has seen it
	s.message(wire.SessionOffer, wire.Offer{ID: [8]byte{1}, Seq: 99, Families: 3, Cert: cert}.Append(nil))
	w.Run(200 * time.Millisecond)
	counted(t, c, before, drop.NotAdmitted, 1)
	if s.answered(wire.SessionAccept) {
		t.Error("the client accepted an offer from who does not hold the tunnel's key")
	}
	survived(t, w)
}

func TestAnotherTunnelCannotTakeOverAName(t *testing.T) {
	w, p := attackedBy(t, 125, nil)
	c := w.Host("technician")
	old, _ := c.Address("meter")
	for range 6 { // some of the keys are lower than the tunnel's
		key, cert := p.serverCert(w.network, c.ID(), "meter")
		s := p.talk(t, c.ID())
		s.message(wire.SessionOffer, p.offer(key, cert, c.ID()).Append(nil))
		w.Run(500 * time.Millisecond)
		if !s.answered(wire.SessionAccept) {
			t.Fatal("the attacker's own tunnel was refused")
		}
		if now, ok := c.Address("meter"); !ok || now != old {
			t.Errorf("the name moved from %v to %v", old, now)
		}
	}
	survived(t, w)
}

// offer is a genuine offer of a tunnel that the attacker holds the key of.
func (p *rawPeer) offer(key *ident.Secret, cert *ident.EndpointCert, client ident.NodeID) wire.Offer {
	o := wire.Offer{
		ID: [8]byte{7}, Seq: 1, Families: 3, Cert: cert.Append(nil), Names: [][]byte{[]byte("meter")},
	}
	id := p.who.Secret.ID()
	secret := session.TunnelSecret(key, client)
	o.Proof = session.HelloMAC(secret, []byte("offer"), id[:], o.ID[:])
	return o
}

func TestWordsAboutOthersTunnelsAreNotBelieved(t *testing.T) {
	w, p := attackedBy(t, 126, nil)
	g, c := w.Host("gateway"), w.Host("technician")
	real := meterOf(t, g)
	before := [2][drop.Count]uint64{g.allDrops(), c.allDrops()}
	for _, h := range []*Host{g, c} {
		s := p.talk(t, h.ID())
		_, cert := p.endpoint(real.ID)
		s.message(wire.SessionAccept, wire.Accept{
			ID: real.Offer, Cert: cert, Node: p.who.Cert.Append(nil),
		}.Append(nil))
		for state := range uint8(5) {
			for _, id := range []ident.NodeID{real.ID, real.RemoteKey, h.ID()} {
				sw := wire.Switch{ID: [8]byte{1}, Tunnel: id, State: state, Seq: 1 << 30}
				if state >= wire.SwitchEnabled && state <= wire.SwitchDeleted {
					s.message(wire.SessionSwitch, sw.Append(nil))
				}
			}
		}
		s.message(wire.SessionReject, wire.Reject{ID: real.Offer, Reason: 1}.Append(nil))
		s.message(wire.SessionPending, wire.Pending{ID: real.Offer}.Append(nil))
		s.message(wire.SessionSwitchOK, wire.SwitchOK{ID: real.Offer}.Append(nil))
		s.message(wire.SessionSlotOK, []byte{0, 1})
		s.message(wire.SessionSlotUnknown, []byte{0, 1})
		w.Run(time.Second)
	}
	counted(t, g, before[0], drop.NotAdmitted, 1)
	counted(t, g, before[0], drop.NoTunnel, 5)
	counted(t, c, before[1], drop.NotAdmitted, 1)
	counted(t, c, before[1], drop.NoTunnel, 5)
	if x := meterOf(t, g); x.DisabledThere || x.RemoteNode != c.ID() {
		t.Errorf("the server end is %+v", x.State)
	}
	if x := meterOf(t, c); x.DisabledThere || x.RemoteNode != g.ID() {
		t.Errorf("the client end is %+v", x.State)
	}
	survived(t, w)
}

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
	real := meterOf(t, g)
	other, err := ident.NewSecret(p.rand)
	must(err)
	for i, key := range []ident.NodeID{
		real.RemoteKey, real.ID, g.ID(), c.ID(), other.ID(), p.who.Secret.ID(),
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
	udp := flow.Compact{Kind: flow.KindUDP, Slot: 3, Announce: true, Port: 5000}
	send := func(c flow.Compact, payload string) { s.say(append(c.Append(nil), payload...)) }
	g.Forget()
	send(udp, "mine")
	w.Run(time.Second)
	if len(g.Got) != 1 || g.Got[0].Dst.Port() != 161 {
		t.Fatalf("the gateway received %v", g.Got)
	}
	g.Forget()
	before := g.allDrops()
	for i := 1; i < 256; i++ {
		udp.Target = uint8(i)
		send(udp, "another target")
	}
	udp.Target = 0
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

func TestAMemberOfAnotherNetworkIsRefusedOrOnlyCarried(t *testing.T) {
	w := open(129)
	public, other := w.NewNetwork("public"), w.NewNetwork("other")
	root := w.Host("root")
	root.cfg.RelayNetworks = append(root.cfg.RelayNetworks, public.Cert.Key)
	root.Kill()
	root.Start()
	g, _ := agreed(t, w)
	refused := w.newRaw("198.51.100.67:9376", rootAddr, other)
	before := root.allDrops()
	refused.dial()
	w.Run(2 * time.Second)
	counted(t, root, before, drop.NotAdmitted, 1)
	if refused.got != 0 {
		t.Error("a foreign node attached")
	}
	p := w.newRaw(evilAddr, rootAddr, public)
	p.attach(t)
	before = g.allDrops()
	for _, key := range []ident.NodeID{g.ID(), meterOf(t, g).ID} {
		s, hello := p.hello(key, p.who.Secret, nil)
		if s.call(hello); s.no != wire.PathRefused {
			t.Errorf("answered %d", s.no)
		}
	}
	counted(t, g, before, drop.BadMac, 2)
	up := slices.ContainsFunc(p.heard, func(m rawMessage) bool {
		return m.typ == wire.ControlUp && len(m.body) > 1
	})
	if up {
		t.Error("a foreign node was told who is above")
	}
	if root.gauge(t, "links") != 4 {
		t.Errorf("%d links", root.gauge(t, "links"))
	}
	survived(t, w)
}

func TestASingleTrustedNodeCannotClaimTheNetworkOfOthers(t *testing.T) {
	w := open(160)
	p := w.newRaw(evilAddr, rootAddr, w.NewNetwork("other"))
	root := w.Host("root")
	root.cfg.TrustNodes = append(root.cfg.TrustNodes, p.who.Secret.ID())
	root.Kill()
	root.Start()
	agreed(t, w)
	p.attach(t) // it is trusted for its key
	genuine := p.who.Cert
	forged := *genuine
	forged.Network = w.network.Cert.Key.Hash()
	p.who.Cert = &forged
	before := root.allDrops()
	p.dial()
	w.Run(2 * time.Second)
	counted(t, root, before, drop.NotAdmitted, 1)
	if p.got != 0 {
		t.Error("it attached as a member of our network")
	}
	survived(t, w)
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
