// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"slices"
	"testing"
	"time"

	"staex/internal/ident"
	"staex/internal/overlay/drop"
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
	junk := wire.PathHandshake{Label: s.out, Stage: wire.StageNoise3, Body: make([]byte, 80)}
	p.out(junk.Append(nil))
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
	mine, cert := p.serverCert(w.network, c.ID())
	s.message(wire.SessionOffer, p.offer(mine, cert, c.ID()).Append(nil)) // one is genuine
	w.Run(time.Second)
	friend := w.newRaw("198.51.100.67:9376", rootAddr, nil)
	friend.attach(t)
	made, tunnels := meterOf(t, g), len(c.Node.Tunnels())
	key, err := ident.NewSecret(p.rand)
	must(err)
	signed := func(n *Network, edit func(*ident.EndpointCert)) []byte { // signed, of a key we hold
		x := &ident.EndpointCert{
			Kind: ident.ServerEndpoint, Key: key.ID(), Peer: c.ID(), Targets: []ident.Target{snmp},
		}
		edit(x)
		must(ident.SignEndpointCert(x, n.Secret))
		return x.Append(nil)
	}
	keyed := func(key ident.NodeID) []byte {
		return signed(w.network, func(x *ident.EndpointCert) { x.Key = key })
	}
	good := signed(w.network, func(*ident.EndpointCert) {})
	elsewhere := signed(w.network, func(x *ident.EndpointCert) { x.Peer = g.ID() })
	foreign := signed(w.NewNetwork("other"), func(*ident.EndpointCert) {})
	forged := append([]byte(nil), good...)
	forged[len(forged)-1] ^= 1
	_, client := p.endpoint(c.ID())
	for _, x := range []struct {
		name string
		by   *rawPeer
		key  *ident.Secret // what it can prove
		cert []byte
	}{
		{"for another client", p, key, elsewhere},
		{"of a foreign network", p, key, foreign},
		{"of a client", p, key, client},
		{"of the client itself", p, key, keyed(c.ID())},
		{"of the client's endpoint", p, key, keyed(meterOf(t, c).Local.ID())},
		{"of a node that has a tunnel", p, p.who.Secret, keyed(p.who.Secret.ID())},
		{"that nobody signed", p, key, forged},
		{"of somebody else", p, key, made.LocalCert},
		{"of what a friend holds", friend, key, cert.Append(nil)},
		{"of garbage", p, key, []byte("garbage")},
	} {
		before := c.allDrops()
		s := x.by.talk(t, c.ID())
		o := x.by.offer(x.key, cert, c.ID())
		o.Cert, o.Seq = x.cert, 99
		s.message(wire.SessionOffer, o.Append(nil))
		w.Run(500 * time.Millisecond)
		counted(t, c, before, drop.NotAdmitted, 1)
		if !s.answered(wire.SessionReject) || s.answered(wire.SessionAccept) {
			t.Errorf("an offer %s was not refused", x.name)
		}
		if n := len(c.Node.Tunnels()); n != tunnels || meterOf(t, c).RemoteNode != g.ID() {
			t.Errorf("an offer %s: the client has %d tunnels", x.name, n)
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
	stolen := wire.Offer{ID: [8]byte{1}, Seq: 99, Families: 3, Cert: cert}
	s.message(wire.SessionOffer, stolen.Append(nil))
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
func (p *rawPeer) offer(key *ident.Secret, cert *ident.EndpointCert,
	client ident.NodeID,
) wire.Offer {
	o := wire.Offer{
		ID: [8]byte{7}, Seq: 1, Families: 3, Cert: cert.Append(nil),
		Names: [][]byte{[]byte("meter")},
	}
	id := p.who.Secret.ID()
	secret := session.TunnelSecret(key, client)
	o.Proof = session.HelloMAC(secret, []byte("offer"), id[:], o.ID[:])
	return o
}

func TestWordsAboutOthersTunnelsAreNotBelieved(t *testing.T) {
	w, p := attackedBy(t, 126, nil)
	g, c := w.Host("gateway"), w.Host("technician")
	made := meterOf(t, g)
	key := made.RemoteKey
	before := [2][drop.Count]uint64{g.allDrops(), c.allDrops()}
	for _, h := range []*Host{g, c} {
		s := p.talk(t, h.ID())
		end, cert := p.endpoint(made.ID)
		a := wire.Accept{ID: made.Offer, Cert: cert, Node: p.who.Cert.Append(nil)}
		a.Proof = session.HelloMAC(session.TunnelSecret(end, made.ID), []byte("accept"), a.ID[:])
		s.message(wire.SessionAccept, a.Append(nil))
		for state := range uint8(5) {
			for _, id := range []ident.NodeID{made.ID, made.RemoteKey, h.ID()} {
				sw := wire.Switch{ID: [8]byte{1}, Tunnel: id, State: state, Seq: 1 << 30}
				if state >= wire.SwitchEnabled && state <= wire.SwitchDeleted {
					s.message(wire.SessionSwitch, sw.Append(nil))
				}
			}
		}
		s.message(wire.SessionReject, wire.Reject{ID: made.Offer, Reason: 1}.Append(nil))
		s.message(wire.SessionPending, wire.Pending{ID: made.Offer}.Append(nil))
		s.message(wire.SessionSwitchOK, wire.SwitchOK{ID: made.Offer}.Append(nil))
		s.message(wire.SessionSlotOK, []byte{0, 1})
		s.message(wire.SessionSlotUnknown, []byte{0, 1})
		w.Run(time.Second)
	}
	counted(t, g, before[0], drop.NotAdmitted, 1)
	counted(t, g, before[0], drop.NoTunnel, 5)
	counted(t, c, before[1], drop.NotAdmitted, 1)
	counted(t, c, before[1], drop.NoTunnel, 5)
	if x := meterOf(t, g); x.DisabledThere || x.RemoteNode != c.ID() || x.RemoteKey != key {
		t.Errorf("the server end is %+v", x.State)
	}
	if x := meterOf(t, c); x.DisabledThere || x.RemoteNode != g.ID() {
		t.Errorf("the client end is %+v", x.State)
	}
	survived(t, w)
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
