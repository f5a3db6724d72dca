// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"testing"
	"time"

	"staex/internal/ident"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/node"
	"staex/internal/overlay/revoke"
	"staex/internal/wire"
)

// signed is a network whose certificate an authority signs, changed by f.
func (w *World) signed(authority *Network, name string, f func(c *ident.NetworkCert)) *Network {
	n := w.NewNetwork(name)
	c := *n.Cert
	if f != nil {
		f(&c)
	}
	must(ident.SignNetworkCert(&c, authority.Secret))
	n.Cert = &c
	return n
}

// renetwork gives the host another certificate of its network and starts it again.
func (h *Host) renetwork(c *ident.NetworkCert) {
	h.Kill()
	who := *h.Who
	who.Network = c
	h.Who = &who
	h.Start()
}

// customers is a relay of a network of its own, under a root of the same, and two nodes of a
// network of which the relays know only who signed it.
func customers(seed uint64, root, relay func(c *node.Config)) (w *World, auth, net *Network) {
	w = New(seed)
	auth = w.NewNetwork("authority")
	public := w.signed(auth, "public", func(c *ident.NetworkCert) { c.Roles = ident.RoleRelay })
	net = w.signed(auth, "customer", nil)
	w.network = net
	configs := [2]node.Config{
		{Authorities: []ident.NetworkKey{auth.Cert.Key}},
		{Authorities: []ident.NetworkKey{auth.Cert.Key}},
	}
	for i, f := range []func(c *node.Config){root, relay} {
		if f != nil {
			f(&configs[i])
		}
	}
	w.Add(Config{Name: "root", Addr: "203.0.113.1:9376", Network: public, Node: configs[0]})
	w.Add(Config{
		Name: "relay", Addr: "203.0.113.2:9376", Network: public, Node: configs[1],
		Parents: []string{"203.0.113.1:9376"},
	})
	w.Add(Config{Name: "gateway", Addr: "192.0.2.2:9376", Parents: []string{"203.0.113.2:9376"}})
	w.Add(Config{Name: "technician", Addr: "192.0.2.3:9376", Parents: []string{"203.0.113.1:9376"}})
	return w, auth, net
}

func TestMembersOfANetworkThatATrustedAuthoritySignedAreCarried(t *testing.T) {
	twice(t, func(t *testing.T) *World {
		w, _, _ := customers(301, nil, nil)
		_, c := agreed(t, w)
		talks(t, w, c, "meter", "by an authority's word", 20*time.Second)
		root := w.Host("root")
		if got := root.gauge(t, "networks of authorities"); got != 1 {
			t.Errorf("the root knows %d networks by their authority", got)
		}
		w.Cut("relay", "gateway")
		w.Host("relay").Kill() // and back: tickets and rows still hold
		w.Host("relay").Start()
		w.Heal("relay", "gateway")
		w.Run(3 * time.Minute)
		talks(t, w, c, "meter", "after a restart", 30*time.Second)
		return w
	})
}

func TestAnAuthorityOpensTheRoadAndNothingElse(t *testing.T) {
	w, auth, _ := customers(302, nil, nil)
	other := w.signed(auth, "other", nil)
	w.Add(Config{
		Name: "spy", Addr: "192.0.2.9:9376", Parents: []string{"203.0.113.1:9376"}, Network: other,
		Node: node.Config{Authorities: []ident.NetworkKey{auth.Cert.Key}},
	})
	g, spy := w.Host("gateway"), w.Host("spy")
	w.Run(5 * time.Second)
	if !attachedTo(spy) {
		t.Fatal("the other network's node is not carried")
	}
	tunnel := g.Tunnel("meter", spy, snmp) // the gateway does not trust the spy's network
	w.Run(2 * time.Minute)
	if agreedOn(spy, tunnel) {
		t.Error("two networks of one authority agreed on a tunnel without trust")
	}
	sound(t, w)
}

func TestANetworkOfAnUnknownAuthorityIsRefusedWithASentence(t *testing.T) {
	w, _, _ := customers(303, func(c *node.Config) { c.Authorities = nil },
		func(c *node.Config) { c.Authorities = nil })
	stranger := w.NewNetwork("stranger")
	lost := w.signed(stranger, "lost", nil)
	w.Add(Config{
		Name: "pinned", Addr: "192.0.2.9:9376", Network: lost,
		Parents: []string{"root@203.0.113.1:9376"},
	})
	w.Run(time.Minute)
	root := w.Host("root")
	if attachedTo(w.Host("pinned")) || attachedTo(w.Host("gateway")) {
		t.Fatal("a relay carries a network whose authority it was not told of")
	}
	if !happened(root, node.EventChildRefused, "trusted-authorities does not name") {
		t.Errorf("nobody says why: %v", root.Events)
	}
	sound(t, w)
}

func TestAnExpiredNetworkCertificateIsRefusedAndARenewedOneIsTaken(t *testing.T) {
	twice(t, func(t *testing.T) *World {
		w, auth, net := customers(304, nil, nil)
		short := w.signed(auth, "customer", func(c *ident.NetworkCert) {
			c.NotAfter, c.Serial = w.unix(2*time.Hour), 1
		})
		g, root, relay := w.Host("gateway"), w.Host("root"), w.Host("relay")
		w.Run(5 * time.Second) // the relays know a certificate without end
		for _, h := range []*Host{root, relay, g, w.Host("technician")} {
			if h == root || h == relay {
				h.Kill()
				delete(h.Disk, "network-"+net.Cert.Key.Hash().String())
				h.Start()
				continue
			}
			h.renetwork(short.Cert)
		}
		_, c := agreed(t, w)
		w.Run(time.Hour)
		talks(t, w, c, "meter", "in time", 20*time.Second)
		if !w.Until(2*time.Hour, func() bool {
			return happened(relay, node.EventChildDown, "network has expired")
		}) {
			t.Fatalf("the link stayed up: %v", relay.Events)
		}
		w.Run(time.Minute)
		if attachedTo(g) ||
			!happened(relay, node.EventChildRefused, "network has expired on 2027-01-15") {
			t.Errorf("nobody says why: %v", relay.Events)
		}
		if rows := known(root, w); rows != 2 {
			t.Errorf("the root knows %d nodes of 2", rows)
		}
		if !problem(g, "certificate of this node's network has expired") {
			t.Errorf("problems %q", g.Node.Problems())
		}
		fresh := w.signed(auth, "customer", func(c *ident.NetworkCert) { c.Serial = 2 })
		g.renetwork(fresh.Cert)
		c.renetwork(fresh.Cert)
		if !w.Until(time.Minute, func() bool { return attachedTo(g) }) {
			t.Fatal("the renewed network is refused")
		}
		talks(t, w, c, "meter", "renewed", time.Minute)
		return w
	})
}

func TestAnAuthorityTakesAWholeNetworkBack(t *testing.T) {
	twice(t, func(t *testing.T) *World {
		w, auth, net := customers(305, nil, nil)
		other := w.signed(auth, "other", nil)
		w.Add(Config{
			Name: "other", Addr: "192.0.2.9:9376", Parents: []string{"203.0.113.2:9376"},
			Network: other,
		})
		g, c := agreed(t, w)
		talks(t, w, c, "meter", "before", 20*time.Second)
		root, relay := w.Host("root"), w.Host("relay")
		list := root.NextList(auth, ident.NodeID(net.Cert.Key))
		must(root.Apply(node.Revoke{List: list.Append(nil)}))
		w.Run(time.Minute)
		if attachedTo(g) || attachedTo(c) || !attachedTo(w.Host("other")) {
			t.Error("not exactly the revoked network is out")
		}
		if !happened(relay, node.EventChildRefused, "has revoked the whole network") {
			t.Errorf("nobody says why: %v", relay.Events)
		}
		g.Forget()
		c.Ask("meter", 5000, 161, "after")
		w.Run(10 * time.Second)
		if len(g.Got) != 0 {
			t.Errorf("delivered %v", g.Got)
		}
		for _, h := range []*Host{root, relay} { // for ever, over restarts, without a ticket's help
			h.Kill()
			h.Start()
		}
		w.Run(3 * time.Minute)
		if attachedTo(g) || attachedTo(c) || !attachedTo(w.Host("other")) {
			t.Error("after a restart not exactly the revoked network is out")
		}
		return w
	})
}

func TestAnUnpinnedParentOfAnotherNetworkNeedsTheRoleRelayFromAnAuthorityWeBelieve(t *testing.T) {
	for name, x := range map[string]struct {
		roles   ident.Role
		by      string // who signed the parent's network
		trusted bool   // the child names that authority
		want    bool
	}{
		"our authority, a relay":          {ident.RoleRelay, "authority", false, true},
		"our authority, no relay":         {0, "authority", false, false},
		"a stranger":                      {ident.RoleRelay, "stranger", false, false},
		"a stranger that we were told of": {ident.RoleRelay, "stranger", true, true},
	} {
		w := New(306)
		auth, signer := w.NewNetwork("authority"), w.NewNetwork(x.by)
		public := w.signed(signer, "public", func(c *ident.NetworkCert) { c.Roles = x.roles })
		w.network = w.signed(auth, "customer", nil)
		w.Add(Config{
			Name: "root", Addr: "203.0.113.1:9376", Network: public,
			Node: node.Config{Authorities: []ident.NetworkKey{auth.Cert.Key}},
		})
		var cfg node.Config
		if x.trusted {
			cfg.Authorities = []ident.NetworkKey{signer.Cert.Key}
		}
		leaf := w.Add(Config{
			Name: "leaf", Addr: "192.0.2.2:9376", Parents: []string{"203.0.113.1:9376"}, Node: cfg,
		})
		w.Run(time.Minute)
		if attachedTo(leaf) != x.want {
			t.Errorf("%s: the leaf is attached: %v", name, attachedTo(leaf))
		}
		if !x.want && !problem(leaf, "pin the parent") {
			t.Errorf("%s: problems %q", name, leaf.Node.Problems())
		}
		sound(t, w)
	}
}

// A relay that believes an authority is shown certificates that the authority did not sign, or not
// for this node; each time by somebody who holds the keys that he can hold.
func TestForgedChainsAdmitNobody(t *testing.T) {
	w, auth, net := customers(307, nil, nil)
	agreed(t, w)
	mine := w.NewNetwork("mine")
	forged := func(f func(c *ident.NetworkCert)) []byte {
		c := *mine.Cert
		f(&c)
		return c.Append(nil)
	}
	for i, chain := range [][]byte{
		mine.Cert.Append(nil), // signed by itself
		forged(func(c *ident.NetworkCert) { c.Authority = auth.Cert.Key }),
		net.Cert.Append(nil), // the authority's, of somebody else's network
		{1, 2, 3},
	} {
		p := w.newRaw("198.51.100.7:9376", "203.0.113.1:9376", mine)
		p.addr = at(i)
		w.listen(p.addr, p.arrive)
		p.mac1 = auth.Cert.Key
		p.says = wire.LinkPayload{
			KeepAlive: 30, Size: wire.MinDatagram, NodeCert: p.who.Cert.Append(nil),
			NetworkCert: chain,
		}.Append(nil)
		root := w.Host("root")
		before := root.allDrops()
		p.dial()
		w.Run(5 * time.Second)
		counted(t, root, before, drop.NotAdmitted, 1)
		if w.Host("root").Node.Links() != 2 {
			t.Errorf("chain %d: %d links", i, root.Node.Links())
		}
	}
	survived(t, w)
}

// Whoever has a certificate of an authority may have a list of revoked keys, but not the relay's
// memory.
func TestACustomersListOfRevokedKeysIsBounded(t *testing.T) {
	w, _, net := customers(308, nil, nil)
	w.Run(5 * time.Second)
	g, relay := w.Host("gateway"), w.Host("relay")
	var keys []ident.NodeID
	for i := range 3000 {
		keys = append(keys, ident.NodeID{1, byte(i), byte(i >> 8)})
	}
	must(g.Apply(node.Revoke{List: g.NextList(net, keys...).Append(nil)}))
	w.Run(2 * time.Minute)
	known, ok := relay.Node.Revocations(net.Cert.Key)
	full := happened(relay, node.EventRevoked, revoke.ErrFull.Error())
	if !ok || len(known.Prints) != 0 || !full {
		t.Errorf("the relay keeps %d keys", len(known.Prints))
	}
	if !attachedTo(g) {
		t.Error("the customer lost its link")
	}
	sound(t, w)
}
