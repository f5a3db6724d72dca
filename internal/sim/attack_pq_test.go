// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"staex/internal/ident"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/flow"
	"staex/internal/overlay/node"
	"staex/internal/overlay/session"
	"staex/internal/wire"
)

// unfinished counts the sessions of a host that ended because of their exchange.
func unfinished(h *Host) (n int) {
	for _, e := range h.Events {
		if e.Kind == node.EventSessionDown && strings.Contains(e.Text, "post-quantum") {
			n++
		}
	}
	return n
}

func TestASessionWhoseExchangeIsSwallowedEndsAndIsMadeAnew(t *testing.T) {
	for _, pq := range []node.PostQuantum{node.PQPrefer, node.PQRequire} {
		run := func() [32]byte {
			w := homePQ(330, node.PQPrefer, pq, pq)
			_, c := agreed(t, w)
			c.Kill() // its next session is a new one
			c.Start()
			swallow := true
			w.attack.held = func(_ *Host, _, _ netip.AddrPort, b []byte) bool {
				return swallow && wire.PeekType(b) == wire.TypeData && len(b) > wire.KEMPartSize
			}
			w.Run(5 * time.Second)
			c.Forget()
			for range 60 {
				c.Ask("meter", 5000, 161, "under way")
				w.Run(time.Second)
			}
			_, sessions := c.Node.Hybrid()
			if unfinished(c) < 2 || unfinished(c) > 5 || sessions != 0 {
				t.Errorf("%v: %d sessions ended in a minute, %d are hybrid", pq,
					unfinished(c), sessions)
			}
			if answered := len(c.Got) > 0; answered != (pq == node.PQPrefer) {
				t.Errorf("%v: %d answers without the exchange", pq, len(c.Got))
			}
			swallow = false
			talks(t, w, c, "meter", "after it", 40*time.Second)
			w.Run(30 * time.Second)
			if _, s := c.Node.Hybrid(); s == 0 || s != c.Node.Sessions() {
				t.Errorf("%v: %d of %d sessions are hybrid", pq, s, c.Node.Sessions())
			}
			sound(t, w)
			return w.Trace()
		}
		if first, second := run(), run(); first != second {
			t.Errorf("%v: two runs from one seed differ", pq)
		}
	}
}

// saysPQ is the payload of a member that claims to do the exchange.
func (p *rawPeer) saysPQ() []byte {
	x := wire.XKPayload{Flags: wire.FlagPQ << wire.XKFlagsPQ, NodeCert: p.who.Cert.Append(nil)}
	return x.Append(nil)
}

// strict lets the gateway require the exchange from now on, and everybody else do it.
func strict(t *testing.T, w *World, p *rawPeer) (g *Host) {
	t.Helper()
	for _, h := range w.Hosts() {
		h.cfg.PostQuantum = node.PQPrefer
	}
	g = w.Host("gateway")
	g.cfg.PostQuantum, g.Serve = node.PQRequire, Shout
	for _, h := range w.Hosts() {
		h.Kill()
		h.Start()
	}
	w.Run(time.Minute)
	p.attach(t)
	talks(t, w, w.Host("technician"), "meter", "with the exchange", 40*time.Second)
	w.Run(10 * time.Second)
	return g
}

// kemKey sends an encapsulation key in its two parts.
func (s *rawSession) kemKey(public []byte) {
	for i := range uint8(wire.KEMKeyParts) {
		half := public[int(i)*wire.KEMPartSize : (int(i)+1)*wire.KEMPartSize]
		s.message(wire.SessionKEMKey, wire.KEMKey{Part: i, Half: half}.Append(nil))
	}
}

func TestWhoOnlyClaimsToDoTheExchangeGetsNothingFromWhoRequiresIt(t *testing.T) {
	w, p := attackedBy(t, 331, nil)
	g := w.Host("gateway")
	end, err := ident.NewSecret(p.rand)
	must(err)
	id := p.tunnelOf(t, g, "second", end.ID(), end)
	secret := session.TunnelSecret(end, id)
	strict(t, w, p)
	sessions := g.Node.Sessions()
	before := g.allDrops()
	g.Forget()
	udp := flow.Compact{Kind: flow.KindUDP, Slot: 3, Announce: true, Port: 5000}
	for _, flags := range []uint8{0, wire.FlagPQ, wire.FlagPQ | wire.FlagPQMust} {
		s, hello := p.hello(id, end, &secret)
		s.call(hello)
		s.finish(wire.XKPayload{Flags: flags << wire.XKFlagsPQ}.Append(nil))
		for range 10 {
			s.say(append(udp.Append(nil), "without"...))
		}
		w.Run(time.Second)
	}
	if len(g.Got) != 0 {
		t.Errorf("the gateway received %v", g.Got)
	}
	counted(t, g, before, drop.TunnelDisabled, 20)
	counted(t, g, before, drop.NotAdmitted, 1)
	s, hello := p.hello(g.ID(), p.who.Secret, nil)
	s.call(hello)
	s.finish(p.saysPQ())
	question := wire.Claim{Kind: wire.ClaimName, Text: []byte("g")}
	for range 10 {
		s.message(wire.SessionClaim, question.Append(nil))
	}
	w.Run(time.Second)
	counted(t, g, before, drop.NoSession, 10)
	if s.answered(wire.SessionClaimOK) || s.answered(wire.SessionOffer) {
		t.Error("somebody without the exchange was answered")
	}
	if n := g.Node.Sessions(); n <= sessions {
		t.Errorf("%d sessions, %d before: nobody waits for the exchange", n, sessions)
	}
	w.Run(30 * time.Second)
	if n := unfinished(g); n < 2 {
		t.Errorf("%d sessions ended for want of an exchange", n)
	}
	if n := g.Node.Sessions(); n > sessions {
		t.Errorf("%d sessions became %d", sessions, n)
	}
	sound(t, w)
}

func TestAKeyThatIsNoneEndsTheSession(t *testing.T) {
	w, p := attackedBy(t, 332, nil)
	g := strict(t, w, p)
	s, hello := p.hello(g.ID(), p.who.Secret, nil)
	s.call(hello)
	s.finish(p.saysPQ())
	had := g.Node.Sessions()
	before := g.allDrops()
	answer := wire.KEMAnswer{Ciphertext: make([]byte, session.KEMAnswerSize)}.Append(nil)
	s.message(wire.SessionKEMAnswer, answer) // the caller has no answers to give
	w.Run(100 * time.Millisecond)
	counted(t, g, before, drop.BadType, 1)
	public := make([]byte, session.KEMKeySize)
	for i := range public {
		public[i] = 0xff // coefficients above the modulus (FIPS 203, section 7.2)
	}
	s.kemKey(public)
	w.Run(time.Second)
	if n := g.Node.Sessions(); n != had-1 || unfinished(g) != 1 {
		t.Errorf("%d sessions became %d; %d unfinished", had, n, unfinished(g))
	}
	s.kemKey(public) // nobody is there any more
	w.Run(time.Second)
	sound(t, w)
}

// answerCall answers the last path set-up to the attacker's own node, and takes message 3.
func (p *rawPeer) answerCall(t *testing.T) *rawSession {
	t.Helper()
	path := p.asked(t)
	hs, err := session.NewXK(false, p.who.Secret, ident.NodeID{}, p.rand)
	must(err)
	_, err = hs.Read(nil, path.Body[session.HelloMACSize:])
	must(err)
	says := wire.XKPayload{
		Flags: wire.FlagPQ << wire.XKFlagsPQ, Network: p.who.Cert.Network,
	}
	msg, err := hs.Write(nil, says.Append(nil))
	must(err)
	s := &rawSession{p: p, hs: hs, out: path.Back, back: 0x700001, seen: len(p.frames)}
	ok := wire.PathOK{ID: path.ID, Label: s.back, Size: wire.MinDatagram, Body: msg}
	p.tell(wire.ControlPathOK, ok.Append(nil))
	p.w.Until(time.Second, func() bool { return len(p.frames) > s.seen })
	f, err := wire.ParsePathHandshake(p.frames[s.seen])
	must(err)
	_, err = hs.Read(nil, f.Body)
	must(err)
	k := hs.Keys()
	s.send = session.NewSender(k.Send, session.ChaCha)
	s.recv = session.NewReceiver(k.Recv, session.ChaCha, session.WindowSession)
	return s
}

func TestAnAnswerToNoKeyEndsTheSessionOfWhoCalled(t *testing.T) {
	w, p := attackedBy(t, 333, nil)
	g := strict(t, w, p)
	_, had := g.Node.Hybrid()
	p.announce(w.Host("root").ID())
	g.Tunnel("third", &Host{Who: p.who}, snmp) // so that the gateway calls
	w.Run(time.Second)
	s := p.answerCall(t)
	w.Run(time.Second)
	if s.answered(wire.SessionOffer) || !s.answered(wire.SessionKEMKey) {
		t.Error("the gateway did not begin with the exchange")
	}
	answer := make([]byte, session.KEMAnswerSize)
	_, _ = p.rand.Read(answer) // a ciphertext, and of nothing that the gateway would find
	s.message(wire.SessionKEMAnswer, wire.KEMAnswer{Ciphertext: answer}.Append(nil))
	w.Run(5 * time.Second)
	if unfinished(g) != 0 {
		t.Error("the gateway gave up at once: a frame may be late")
	}
	before := g.allDrops()
	s.message(wire.SessionClaim, wire.Claim{Kind: wire.ClaimName, Text: []byte("g")}.Append(nil))
	w.Run(20 * time.Second)
	counted(t, g, before, drop.NoSession, 1)
	if unfinished(g) != 1 || s.answered(wire.SessionOffer) || s.answered(wire.SessionClaimOK) {
		t.Errorf("%d unfinished; the attacker heard %x", unfinished(g), s.heard)
	}
	if _, n := g.Node.Hybrid(); n != had {
		t.Errorf("%d sessions were hybrid, now %d", had, n)
	}
	sound(t, w)
}

func TestAChildThatOnlyClaimsToDoTheExchangeIsNotHeardAndNotKept(t *testing.T) {
	w := homePQ(334, node.PQRequire, node.PQPrefer, node.PQPrefer)
	root := w.Host("root")
	agreed(t, w)
	p := w.newRaw(evilAddr, rootAddr, nil)
	p.says = wire.LinkPayload{
		KeepAlive: 30, Size: wire.MinDatagram, NodeCert: p.who.Cert.Append(nil), Flags: wire.FlagPQ,
	}.Append(nil)
	before := root.allDrops()
	links, records := root.gauge(t, "links"), root.gauge(t, "records")
	p.dial()
	w.Run(time.Second)
	if n := root.gauge(t, "links"); n != links+1 {
		t.Fatalf("%d links became %d", links, n)
	}
	p.announce(root.ID())
	p.knock(w.Host("gateway").ID(), 1)
	w.Run(time.Second)
	counted(t, root, before, drop.BadType, 2)
	if n := root.gauge(t, "records"); n != records || root.gauge(t, "path set-ups") != 0 {
		t.Errorf("%d records became %d", records, n)
	}
	for range 25 { // it shows that it lives, and that is not enough
		p.frame(true, nil)
		w.Run(time.Second)
	}
	if n := root.gauge(t, "links"); n != links {
		t.Errorf("%d links became %d: the link stands without the exchange", links, n)
	}
	survived(t, w)
}
