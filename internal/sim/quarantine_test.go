// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"net/netip"
	"testing"
	"time"

	"staex/internal/ident"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/node"
	"staex/internal/overlay/state"
	"staex/internal/wire"
)

// renewing is a network that names one of its nodes as its issuer. Its gateway has a meter for the
// technician, and the issuer a tunnel by which he gets a new certificate.
func renewing(seed uint64, cfg node.Config) *World {
	build := func(issuer string) *World {
		w := New(seed)
		c := *w.network.Cert
		c.Issuer = issuer
		must(ident.SignNetworkCert(&c, w.network.Secret))
		w.network.Cert = &c
		parents := []string{"203.0.113.1:9376"}
		w.Add(Config{Name: "root", Addr: "203.0.113.1:9376", Node: cfg})
		w.Add(Config{Name: "issuer", Addr: "192.0.2.1:9376", Parents: parents, Node: cfg})
		w.Add(Config{Name: "gateway", Addr: "192.0.2.2:9376", Parents: parents, Node: cfg})
		w.Add(Config{Name: "technician", Addr: "192.0.2.3:9376", Parents: parents, Node: cfg})
		return w
	}
	// Keys follow from seed and name alone, so a first world tells those of the second.
	return build(build("").Host("issuer").ID().String() + ".home.arpa:443")
}

// renewable adds the tunnel for renewals and waits until both tunnels work.
func renewable(t *testing.T, w *World) (issuer, g, c *Host) {
	t.Helper()
	g, c = agreed(t, w)
	issuer = w.Host("issuer")
	issuer.Serve = Shout
	issuer.Tunnel("renew", c, snmp)
	if !w.Until(20*time.Second, func() bool { _, ok := c.Address("renew"); return ok }) {
		t.Fatal("the tunnel to the issuer was not agreed on")
	}
	talks(t, w, c, "renew", "hello", 10*time.Second)
	return issuer, g, c
}

func TestAnExpiredMemberReachesItsIssuerAndNobodyElseUntilItIsRenewed(t *testing.T) {
	for name, cfg := range map[string]node.Config{
		"": {}, "post-quantum": {PostQuantum: node.PQRequire},
	} {
		t.Run(name, func(t *testing.T) {
			twice(t, func(t *testing.T) *World { return expires(t, renewing(331, cfg)) })
		})
	}
}

func expires(t *testing.T, w *World) *World {
	t.Helper()
	_, g, c := renewable(t, w)
	root := w.Host("root")
	c.Certify(func(cert *ident.NodeCert) { cert.NotAfter = w.unix(2 * time.Hour) })
	unset(c) // it has no clock: only others know
	w.Run(time.Hour)
	talks(t, w, c, "meter", "in time", 20*time.Second)
	held := func() bool { return happened(root, node.EventChildUp, "in quarantine") }
	if !w.Until(2*time.Hour, held) {
		t.Fatal("the expired member is not in quarantine")
	}
	talks(t, w, c, "renew", "a new one, please", time.Minute)
	for _, again := range []string{"now", "after a restart"} {
		dead(t, w, c, g, "meter")
		if _, there := rows(root)[c.ID()]; there {
			t.Errorf("%s: the root has a row of the expired member", again)
		}
		if !problem(c, "the certificate of this node has expired") {
			t.Errorf("%s: problems %q", again, c.Node.Problems())
		}
		c.Kill()
		c.Start()
		w.Run(20 * time.Second)
		talks(t, w, c, "renew", "once more", time.Minute)
	}
	w.Run(time.Hour) // its time in quarantine ends, and begins again
	if !happened(root, node.EventChildDown, "its time in quarantine is over") {
		t.Error("the place in quarantine is for ever")
	}
	talks(t, w, c, "renew", "still there", time.Minute)
	c.Certify(func(cert *ident.NodeCert) { cert.NotAfter = w.unix(100 * day) })
	talks(t, w, c, "meter", "renewed", time.Minute)
	if got := root.gauge(t, "links in quarantine"); got != 0 || len(c.Node.Problems()) != 0 {
		t.Errorf("%d links are in quarantine, problems %q", got, c.Node.Problems())
	}
	return w
}

func TestARelayOfAnotherNetworkKeepsTheRoadToTheIssuerOpen(t *testing.T) {
	w := renewing(332, node.Config{})
	public := w.NewNetwork("public")
	w.Add(Config{
		Name: "relay", Addr: "203.0.113.9:9376", Network: public,
		Node: node.Config{RelayNetworks: w.Keys()}, Parents: []string{"root@203.0.113.1:9376"},
	})
	root := w.Host("root")
	root.cfg.RelayNetworks = []ident.NetworkKey{public.Cert.Key}
	root.Kill()
	root.Start()
	_, g, c := renewable(t, w)
	c.cfg.Parents = []node.ParentAddr{w.parent("relay@203.0.113.9:9376")}
	c.Certify(func(cert *ident.NodeCert) { cert.NotAfter = w.unix(-day) })
	talks(t, w, c, "renew", "by way of strangers", 2*time.Minute)
	dead(t, w, c, g, "meter")
	if !happened(w.Host("relay"), node.EventChildUp, "in quarantine") {
		t.Error("the relay of another network does not know the issuer")
	}
	sound(t, w)
}

// held is an attacker with a valid key and an expired certificate below the root.
func held(t *testing.T, seed uint64) (*World, *rawPeer) {
	t.Helper()
	w := renewing(seed, node.Config{})
	renewable(t, w)
	w.Watch([]byte("confidential"))
	p := w.newRaw(evilAddr, rootAddr, nil)
	p.who.Cert.NotAfter = w.unix(-day)
	must(ident.SignNodeCert(p.who.Cert, w.network.Secret))
	p.attach(t)
	if p.told(wire.ControlQuarantine) != 1 || p.told(wire.ControlGrant) != 0 {
		t.Fatal("the attacker is not in quarantine, or has a ticket")
	}
	return w, p
}

func TestAHostileMemberInQuarantineAnnouncesNobodyAndAsksForNothing(t *testing.T) {
	w, p := held(t, 333)
	root := w.Host("root")
	table, before := rows(root), root.allDrops()
	p.announce(root.ID())
	key, cert := p.endpoint(p.who.Secret.ID())
	p.tell(wire.ControlRecord, record(state.Record{
		Kind: state.ClientEndpoint, Key: key.ID(), Parent: p.who.Secret.ID(), Seq: 1,
		Network: p.who.Cert.Network,
	}, key, cert))
	friend := w.identity(p.rand, w.network)
	p.tell(wire.ControlRecord, record(state.Record{
		Kind: state.Node, Key: friend.Secret.ID(), Parent: root.ID(), Seq: 1,
		Network: friend.Cert.Network,
	}, friend.Secret, friend.Cert.Append(nil)))
	for _, h := range w.Hosts() {
		p.tell(wire.ControlGone, wire.Gone{Key: h.ID(), Seq: state.MaxSeq}.Append(nil))
	}
	lookup := wire.Lookup{ID: [8]byte{1}, Tag: [8]byte{1}, Hops: 9}
	p.tell(wire.ControlLookup, lookup.Append(nil))
	p.tell(wire.ControlDigest, wire.Digest{Last: true}.Append(nil))
	w.Run(time.Second)
	counted(t, root, before, drop.Quarantine, uint64(5+len(w.Hosts())))
	if after := rows(root); len(after) != len(table) {
		t.Errorf("%d rows became %d", len(table), len(after))
	}
	if n := p.told(wire.ControlFound) + p.told(wire.ControlUp); n != 0 {
		t.Errorf("the attacker was told %d times about others", n)
	}
	survived(t, w)
}

func TestAHostileMemberInQuarantineLaysNoPathBesideTheRoad(t *testing.T) {
	w, p := held(t, 334)
	root, g := w.Host("root"), w.Host("gateway")
	before := root.allDrops()
	dests := []ident.NodeID{root.ID(), g.ID(), w.Host("technician").ID(), meterOf(t, g).ID, {7}}
	for i, dest := range dests {
		p.knock(dest, byte(i))
	}
	w.Run(time.Second)
	counted(t, root, before, drop.Quarantine, uint64(len(dests)))
	if n := p.told(wire.ControlPathNo); n != len(dests) {
		t.Errorf("%d of %d paths were refused", n, len(dests))
	}
	before = root.allDrops()
	for i := range byte(200) { // the road itself is narrow
		p.knock(w.Host("issuer").ID(), 100+i)
	}
	w.Run(time.Second)
	counted(t, root, before, drop.Quota, 100)
	held := root.gauge(t, "labels")
	for range 40 { // calls that the issuer answers
		s, hello := p.hello(w.Host("issuer").ID(), p.who.Secret, nil)
		s.call(hello)
	}
	if n := root.gauge(t, "labels") - held; n > 2*16 { // two for each path
		t.Errorf("the attacker holds %d labels", n)
	}
	g.Forget()
	for l := range wire.Label(4096) { // labels of others' paths, as far as they can be guessed
		p.out(frame(wire.TypeData, l, 1, 0))
	}
	w.Run(time.Second)
	if len(g.Got) != 0 {
		t.Errorf("delivered %v", g.Got)
	}
	survived(t, w)
}

func TestTheRoadToTheIssuerIsMetered(t *testing.T) {
	w := renewing(335, node.Config{})
	issuer, _, c := renewable(t, w)
	root := w.Host("root")
	c.Certify(func(cert *ident.NodeCert) { cert.NotAfter = w.unix(-day) })
	talks(t, w, c, "renew", "hello", time.Minute)
	before, start, spent := root.allDrops(), w.Now, w.Bytes("root", "issuer")
	issuer.Serve = nil
	addr, _ := c.Address("renew")
	for w.Now < start+time.Minute {
		for range 20 { // 200 kB a second
			c.SendIP(UDP(netip.AddrPortFrom(c.Own(), 5000), netip.AddrPortFrom(addr, 161),
				make([]byte, 1000)))
		}
		w.Run(100 * time.Millisecond)
	}
	const budget = 64<<10 + 60*16<<10
	if n := w.Bytes("root", "issuer") - spent; n < budget/2 || n > budget*11/10 {
		t.Errorf("in a minute %d bytes crossed, %d may", n, budget)
	}
	counted(t, root, before, drop.Quarantine, 5000)
	w.Run(10 * time.Second)
	issuer.Serve = func(Packet) []byte { return make([]byte, 1000) }
	start, spent = w.Now, w.Bytes("root", "technician")
	for w.Now < start+time.Minute { // a few bytes that bring many
		for range 10 {
			c.SendIP(UDP(netip.AddrPortFrom(c.Own(), 5000), netip.AddrPortFrom(addr, 161),
				[]byte("more")))
		}
		w.Run(100 * time.Millisecond)
	}
	if n := w.Bytes("root", "technician") - spent; n > budget*11/10 {
		t.Errorf("in a minute %d bytes came back, %d may", n, budget)
	}
	sound(t, w)
}

// A child brings the certificate of its network, because a relay of another one knows but the key.
func TestNobodyNamesAnIssuerOfHisOwn(t *testing.T) {
	w := New(336)
	other := w.NewNetwork("other")
	root := w.Add(Config{
		Name: "root", Addr: "203.0.113.1:9376",
		Node: node.Config{RelayNetworks: []ident.NetworkKey{other.Cert.Key}},
	})
	p := w.newRaw(evilAddr, rootAddr, other)
	p.who.Cert.NotAfter = w.unix(-day)
	must(ident.SignNodeCert(p.who.Cert, other.Secret))
	friend := w.NewNetwork("friend")
	for _, change := range []func(c *ident.NetworkCert){
		func(*ident.NetworkCert) {},
		func(c *ident.NetworkCert) { must(ident.SignNetworkCert(c, friend.Secret)) },
		func(c *ident.NetworkCert) { c.Key = friend.Cert.Key },
	} {
		c := *other.Cert
		c.Issuer = root.ID().String() + ":443"
		change(&c)
		p.says = wire.LinkPayload{
			KeepAlive: 30, Size: wire.MinDatagram, NodeCert: p.who.Cert.Append(nil),
			NetworkCert: c.Append(nil),
		}.Append(nil)
		before := root.allDrops()
		p.dial()
		w.Run(5 * time.Second)
		counted(t, root, before, drop.NotAdmitted, 1)
		if root.Node.Links() != 0 {
			t.Error("the attacker has a link")
		}
	}
	sound(t, w)
}

func TestAPersonIsWarnedLongBeforeACertificateEnds(t *testing.T) {
	w := renewing(337, node.Config{})
	auth := w.NewNetwork("authority")
	c := w.Host("technician")
	for _, x := range []struct {
		from, to time.Duration
		want     bool
	}{
		{-day, 100 * day, false},
		{-200 * day, 90 * day, true}, // the last third of its life
		{-day, 29 * day, true},
		{0, 0, false},
	} {
		limits := ident.Validity{NotBefore: w.unix(x.from), NotAfter: w.unix(x.to)}
		if x.to == 0 {
			limits = ident.Validity{}
		}
		c.Certify(func(cert *ident.NodeCert) { cert.Validity = limits })
		w.Run(5 * time.Second)
		if warned(c, "the certificate of this node ends on 20") != x.want {
			t.Errorf("from %v to %v: warnings %q", x.from, x.to, c.Node.Warnings())
		}
		network := w.signed(auth, "home", func(n *ident.NetworkCert) { n.Validity = limits })
		network.Cert.Key = w.network.Cert.Key
		must(ident.SignNetworkCert(network.Cert, auth.Secret))
		c.renetwork(network.Cert)
		w.Run(5 * time.Second)
		if warned(c, "the certificate of this node's network ends on 20") != x.want {
			t.Errorf("network from %v to %v: warnings %q", x.from, x.to, c.Node.Warnings())
		}
	}
	sound(t, w)
}
