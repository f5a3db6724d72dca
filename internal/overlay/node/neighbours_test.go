// SPDX-License-Identifier: Apache-2.0

package node

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/flow"
	"staex/internal/overlay/pool"
	"staex/internal/wire"
)

// allowing is a node that allows packets outside tunnels, and its network's key.
func allowing(t *testing.T) (n *Node, network *ident.Secret, fresh func() *ident.Secret) {
	t.Helper()
	dice := rand.NewChaCha8([32]byte{7})
	fresh = func() *ident.Secret {
		s, err := ident.NewSecret(dice)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	network = fresh()
	secret := fresh()
	n, err := New(Config{NodeTraffic: true, Ranges: pool.Ranges{
		V4: netip.MustParsePrefix("10.83.0.0/16"), V6: netip.MustParsePrefix("200::/7"),
	}}, &ident.Identity{
		Secret: secret, Cert: signed(t, network, secret.ID()),
		Network: &ident.NetworkCert{Key: network.NetworkKey()},
	}, dice)
	if err != nil {
		t.Fatal(err)
	}
	return n, network, fresh
}

func signed(t *testing.T, network *ident.Secret, key ident.NodeID) *ident.NodeCert {
	t.Helper()
	cert := &ident.NodeCert{Key: key}
	if err := ident.SignNodeCert(cert, network); err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestOnlyTheKeyOfASessionThatIsAMemberIsLetInOutsideTunnels(t *testing.T) {
	now := clock.Reading{Up: time.Second}
	n, network, fresh := allowing(t)
	other, member, foreign := fresh(), fresh().ID(), fresh()
	forged := signed(t, network, member).Append(nil)
	forged[len(forged)-1] ^= 1
	hello := func(cert []byte) *openNode {
		c := n.conversationWith(now, n.who.Secret, member, nil)
		before := n.Drops()[drop.NotAdmitted]
		if err := n.fromHello(now, c, wire.Hello{Ask: true, Node: cert}.Append(nil)); err != nil {
			t.Fatal(err)
		}
		o := n.openOf(c)
		if open := o != nil && o.open; open == (n.Drops()[drop.NotAdmitted] > before) {
			t.Errorf("open: %v, %d not admitted", open, n.Drops()[drop.NotAdmitted])
		}
		return o
	}
	n.trusted.add(foreign.NetworkKey()) // which is not enough
	for name, cert := range map[string][]byte{
		"no certificate":        {1, 2, 3},
		"another member's":      signed(t, network, other.ID()).Append(nil),
		"of a trusted network":  signed(t, foreign, member).Append(nil),
		"of an unknown network": signed(t, other, member).Append(nil),
		"forged":                forged,
	} {
		if o := hello(cert); o != nil && o.open {
			t.Errorf("%s: let in", name)
		}
	}
	if o := hello(signed(t, network, member).Append(nil)); o == nil || !o.open {
		t.Error("a member is not let in")
	}
	c := n.conversationWith(now, n.who.Secret, member, nil)
	n.forgetConversation(now, c)
	if l, ok := n.leases.Find(member); !ok || n.tables.Peer(l.V4) != nil || n.openOf(c) != nil ||
		len(n.opens.byKey) != 0 {
		t.Error("a conversation that is forgotten still carries packets")
	}
}

func TestAPacketForNobodyOpensNoConversation(t *testing.T) {
	now := clock.Reading{Up: time.Second}
	n, _, fresh := allowing(t)
	self := n.tables.Self()
	var out Effects
	for _, to := range []netip.Addr{self.V4, netip.MustParseAddr("10.83.250.250")} {
		c := flow.Compact{Kind: flow.KindUDP}
		p := make([]byte, flow.OffloadSize+flow.HeaderLen(&c))
		flow.RebuildOffload(&c, 0, 1, 1).Put(p)
		flow.PutHeaders(p[flow.OffloadSize:], &c, flow.Ends{Src: self.V4, Dst: to}, 0)
		n.FromHost(now, p, &out)
		if len(n.sessions.byPair) != 0 {
			t.Errorf("%v has a conversation", to)
		}
	}
	l, _ := n.leases.Lease(now.Up, fresh().ID())
	c := flow.Compact{Kind: flow.KindUDP}
	for range 2 * maxWaiting {
		p := make([]byte, flow.OffloadSize+flow.HeaderLen(&c))
		flow.RebuildOffload(&c, 0, 1, 1).Put(p)
		flow.PutHeaders(p[flow.OffloadSize:], &c, flow.Ends{Src: self.V4, Dst: l.V4}, 0)
		n.FromHost(now, p, &out)
	}
	if len(n.sessions.byPair) != 1 {
		t.Errorf("%d conversations", len(n.sessions.byPair))
	}
	for _, c := range n.conversations() {
		if len(c.waiting().packets) > maxWaiting {
			t.Errorf("%d packets wait", len(c.waiting().packets))
		}
	}
}
