// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"staex/internal/ident"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/node"
	"staex/internal/overlay/revoke"
)

// keepAlive is the period of the nodes in these tests: the manual's default.
const keepAlive = 30 * time.Second

// twice plays a story two times from one seed; both must be the same.
func twice(t *testing.T, story func(t *testing.T) *World) {
	t.Helper()
	first, second := story(t), story(t)
	sound(t, first)
	if first.Trace() != second.Trace() {
		t.Error("equal seeds gave different traces")
	}
}

// twoTunnels is a root, a gateway with a meter for the technician and one for the office.
func twoTunnels(t *testing.T, seed uint64) (w *World, g, c, o *Host) {
	t.Helper()
	w = home(seed)
	w.Add(Config{Name: "office", Addr: "192.0.2.7:9376", Parents: []string{"203.0.113.1:9376"}})
	g, c = agreed(t, w)
	o = w.Host("office")
	g.Tunnel("counter", o, snmp)
	if !w.Until(20*time.Second, func() bool { _, ok := o.Address("counter"); return ok }) {
		t.Fatal("the second tunnel was not agreed on")
	}
	talks(t, w, o, "counter", "hello", 10*time.Second)
	return w, g, c, o
}

// active tells whether a host believes that a tunnel may carry packets.
func active(h *Host, name string) bool {
	for _, x := range h.Node.Tunnels() {
		if x.HasName(name) && x.Active(0) {
			return true
		}
	}
	return false
}

// dead checks that nothing the client says reaches the server any more.
func dead(t *testing.T, w *World, c, g *Host, name string) {
	t.Helper()
	g.Forget()
	c.Forget()
	for i := range 10 {
		c.Ask(name, 5000+uint16(i), 161, "still there")
		w.Run(time.Second)
	}
	if g.Answered("still there") || len(c.Got) > 0 {
		t.Errorf("%s still carries packets", name)
	}
}

func happened(h *Host, k node.EventKind, text string) bool {
	return slices.ContainsFunc(h.Events, func(e node.Event) bool {
		return e.Kind == k && strings.Contains(e.Text, text)
	})
}

func problem(h *Host, text string) bool {
	return slices.ContainsFunc(h.Node.Problems(), func(p string) bool {
		return strings.Contains(p, text)
	})
}

func attachedTo(h *Host) bool {
	_, _, ok := h.Node.Parent()
	return ok
}

func TestARevokedNodeLosesAllItsTunnelsWithinAKeepAliveAndOthersLoseNone(t *testing.T) {
	twice(t, func(t *testing.T) *World {
		w, g, c, o := twoTunnels(t, 101)
		w.Host("root").Revoke(c.ID())
		if !w.Until(keepAlive, func() bool { return !active(g, "meter") && !active(c, "meter") }) {
			t.Fatal("the tunnel is still there")
		}
		w.Run(time.Second)
		if attachedTo(c) || !problem(c, "own key was revoked") {
			t.Errorf("the revoked node is attached, or does not say why not: %q", c.Node.Problems())
		}
		dead(t, w, c, g, "meter")
		talks(t, w, o, "counter", "untouched", 5*time.Second)
		for _, h := range []*Host{g, w.Host("root")} {
			if slices.ContainsFunc(h.Node.Nodes(h.reading()), func(x node.Info) bool {
				return x.ID == c.ID()
			}) {
				t.Errorf("%s still knows the revoked node", h.Name)
			}
		}
		return w
	})
}

func TestAThiefWhoForgetsTheListStaysOutside(t *testing.T) {
	twice(t, func(t *testing.T) *World {
		w, g, c, _ := twoTunnels(t, 102)
		w.Host("root").Revoke(c.ID())
		w.Run(keepAlive)
		for name := range c.Disk {
			if strings.HasPrefix(name, "revoked-") {
				delete(c.Disk, name)
			}
		}
		c.Kill()
		c.Start()
		w.Run(2 * time.Minute)
		if attachedTo(c) || !happened(w.Host("root"), node.EventChildRefused, "revoked") {
			t.Error("the thief is attached")
		}
		if w.Host("root").Node.Drops()[drop.Revoked] < 2 {
			t.Error("the thief's ticket was not refused before its handshake")
		}
		dead(t, w, c, g, "meter")
		return w
	})
}

func TestANodeThatWasAwayLearnsAtTheNextContact(t *testing.T) {
	twice(t, func(t *testing.T) *World {
		w, g, c, o := twoTunnels(t, 103)
		g.Kill()
		w.Host("root").Revoke(c.ID())
		w.Run(time.Hour)
		g.Start()
		if !active(g, "meter") {
			t.Fatal("the gateway knows already")
		}
		if !w.Until(5*time.Second, func() bool { return !active(g, "meter") }) {
			t.Fatal("the gateway did not learn of it")
		}
		talks(t, w, o, "counter", "untouched", 20*time.Second)
		return w
	})
}

func TestRevokingOneEndOfATunnelEndsThisTunnelOnly(t *testing.T) {
	for _, side := range []string{"server", "client"} {
		t.Run(side, func(t *testing.T) {
			twice(t, func(t *testing.T) *World {
				w, g, c, o := twoTunnels(t, 104)
				key := g.Node.Tunnels()[0]
				if !key.HasName("meter") {
					key = g.Node.Tunnels()[1]
				}
				id := key.ID
				if side == "client" {
					id = key.RemoteKey
				}
				c.Revoke(id) // the list climbs from a leaf to the root and down again
				if !w.Until(keepAlive, func() bool {
					return !active(g, "meter") && !active(c, "meter")
				}) {
					t.Fatal("the tunnel is still there")
				}
				dead(t, w, c, g, "meter")
				talks(t, w, o, "counter", "untouched", 5*time.Second)
				if !attachedTo(c) || len(c.Node.Problems()) > 0 {
					t.Error("the node lost more than its tunnel")
				}
				must(c.Apply(node.SwitchTunnel{Tunnel: "meter"}))
				if err := c.Apply(node.SwitchTunnel{Tunnel: "meter", On: true}); err == nil {
					t.Error("a person brought the tunnel back")
				}
				w.Run(26 * time.Hour) // past the daily offer
				if active(g, "meter") || active(c, "meter") {
					t.Error("the tunnel came back")
				}
				return w
			})
		})
	}
}

func TestARestartKeepsTheSetAndARootThatLostItLearnsItAgain(t *testing.T) {
	twice(t, func(t *testing.T) *World {
		w, g, c, o := twoTunnels(t, 105)
		root := w.Host("root")
		root.Revoke(c.ID())
		w.Run(keepAlive)
		for _, h := range []*Host{root, g, o} {
			h.Kill()
		}
		root.LoseDisk() // rolled back to the day before
		for _, h := range []*Host{root, g, o} {
			h.Start()
			g.Serve = Shout
		}
		if known, _ := g.Node.Revocations(w.network.Cert.Key); known.Number != 1 ||
			active(g, "meter") {
			t.Fatal("the gateway forgot the list")
		}
		relearned := func() bool {
			known, _ := root.Node.Revocations(w.network.Cert.Key)
			return known.Number == 1
		}
		if !w.Until(20*time.Second, relearned) {
			t.Fatal("the root did not learn the list again")
		}
		c.Kill()
		c.LoseDisk()
		c.Start()
		w.Run(time.Minute)
		if attachedTo(c) {
			t.Error("the revoked node is back")
		}
		talks(t, w, o, "counter", "untouched", 40*time.Second)
		return w
	})
}

func TestForgedReplayedAndSmallerListsChangeNothing(t *testing.T) {
	w, g, c, o := twoTunnels(t, 106)
	root := w.Host("root")
	first := root.NextList(w.network, c.ID())
	forged := *first.Head
	forged.Number = 9
	foreign := w.NewNetwork("other")
	for name, l := range map[string]*revoke.List{
		"forged":  {Head: &forged, Prints: first.Prints},
		"foreign": root.NextList(foreign, c.ID()),
	} {
		if err := root.Apply(node.Revoke{List: l.Append(nil)}); err == nil {
			t.Errorf("the %s list was taken", name)
		}
	}
	err := o.Apply(node.Revoke{Keys: []ident.NodeID{g.ID()}})
	if !errors.Is(err, node.ErrNoRevoker) {
		t.Errorf("a node without the role revoked another: %v", err)
	}
	talks(t, w, c, "meter", "as ever", 5*time.Second)
	must(root.Apply(node.Revoke{List: first.Append(nil)}))
	w.Run(keepAlive)
	root.Revoke(ident.SecretFromSeed([32]byte{1}).ID())
	small, err := revoke.Next(revoke.Known{Number: 7},
		[]ident.NodeID{ident.SecretFromSeed([32]byte{2}).ID()},
		revoke.Signer{Secret: w.network.Secret, Network: w.network.Cert.Key}, 0)
	must(err)
	must(root.Apply(node.Revoke{List: small.Append(nil)}))
	must(root.Apply(node.Revoke{List: first.Append(nil)})) // replayed
	w.Run(keepAlive)
	for _, h := range []*Host{root, g, o} {
		if known, _ := h.Node.Revocations(w.network.Cert.Key); len(known.Prints) != 3 {
			t.Errorf("%s knows %d revoked keys", h.Name, len(known.Prints))
		}
	}
	if attachedTo(c) || active(g, "meter") {
		t.Error("the revoked node is back")
	}
	sound(t, w)
}

func TestTwoListsWithOneNumberBecomeOne(t *testing.T) {
	twice(t, func(t *testing.T) *World {
		w, g, c, o := twoTunnels(t, 107)
		w.Cut("gateway", "root")
		w.Cut("office", "root")
		a, b := ident.SecretFromSeed([32]byte{1}).ID(), ident.SecretFromSeed([32]byte{2}).ID()
		g.Revoke(a)
		o.Revoke(b)
		w.Heal("gateway", "root")
		w.Heal("office", "root")
		agree := func() bool {
			for _, h := range []*Host{w.Host("root"), g, c, o} {
				if known, _ := h.Node.Revocations(w.network.Cert.Key); len(known.Prints) != 2 {
					return false
				}
			}
			return true
		}
		if !w.Until(3*time.Minute, agree) {
			t.Fatal("the lists did not become one")
		}
		c.Revoke(ident.SecretFromSeed([32]byte{3}).ID())
		w.Run(keepAlive)
		if known, _ := g.Node.Revocations(w.network.Cert.Key); known.Number != 2 ||
			len(known.Prints) != 3 {
			t.Errorf("the gateway knows list %d with %d keys", known.Number, len(known.Prints))
		}
		return w
	})
}

func TestALongListArrivesThroughLossAndAtWhoComesLater(t *testing.T) {
	twice(t, func(t *testing.T) *World {
		w, g, c, _ := twoTunnels(t, 108)
		w.SetLink(Link{Delay: 20 * time.Millisecond, Jitter: 20 * time.Millisecond, Loss: 0.1})
		keys := []ident.NodeID{c.ID()}
		for i := range 3000 {
			keys = append(keys, ident.NodeID{byte(i >> 8), byte(i), 1})
		}
		w.Host("root").Revoke(keys...)
		all := func(h *Host) func() bool {
			return func() bool {
				known, _ := h.Node.Revocations(w.network.Cert.Key)
				return len(known.Prints) == len(keys)
			}
		}
		if !w.Until(keepAlive, all(g)) || active(g, "meter") {
			t.Fatal("the list did not arrive")
		}
		late := w.Add(Config{
			Name: "late", Addr: "192.0.2.8:9376", Parents: []string{"203.0.113.1:9376"},
		})
		if !w.Until(keepAlive, all(late)) {
			t.Fatal("the list did not arrive at who came later")
		}
		w.Run(10 * time.Second) // until the last piece is acknowledged
		before := w.Bytes("root", "late")
		late.Kill()
		late.Start()
		w.Run(keepAlive)
		if again := w.Bytes("root", "late") - before; again > 4000 {
			t.Errorf("%d bytes to somebody who has the list", again)
		}
		return w
	})
}

func TestARelayOfAnotherNetworkCarriesTheListAndActsOnIt(t *testing.T) {
	twice(t, func(t *testing.T) *World {
		w := New(109)
		public := w.NewNetwork("public")
		w.Add(Config{
			Name: "root", Addr: "203.0.113.1:9376", Network: public,
			Node: node.Config{RelayNetworks: w.Keys()},
		})
		for i, name := range []string{"gateway", "technician"} {
			w.Add(Config{
				Name: name, Addr: fmt.Sprintf("192.0.2.%d:9376", i+2),
				Parents: []string{"root@203.0.113.1:9376"},
			})
		}
		g, c := agreed(t, w)
		g.Revoke(c.ID())
		if !w.Until(keepAlive, func() bool { return !active(c, "meter") }) {
			t.Fatal("the list did not pass the foreign relay")
		}
		w.Run(time.Minute)
		if attachedTo(c) || w.Host("root").Node.Links() != 1 {
			t.Error("the foreign relay still carries the revoked node")
		}
		return w
	})
}

func TestARelayMayNotRevokeTheKeysOfTheNetworksItCarries(t *testing.T) {
	w := New(110)
	public := w.NewNetwork("public")
	w.Add(Config{
		Name: "root", Addr: "203.0.113.1:9376", Network: public,
		Node: node.Config{RelayNetworks: w.Keys()},
	})
	for i, name := range []string{"gateway", "technician"} {
		w.Add(Config{
			Name: name, Addr: fmt.Sprintf("192.0.2.%d:9376", i+2),
			Parents: []string{"root@203.0.113.1:9376"},
			Node:    node.Config{RelayNetworks: []ident.NetworkKey{public.Cert.Key}},
		})
	}
	g, c := agreed(t, w)
	l := w.Host("root").NextList(public, c.ID(), g.ID(), g.Node.Tunnels()[0].ID)
	must(g.Apply(node.Revoke{List: l.Append(nil)}))
	w.Run(keepAlive)
	if !active(g, "meter") || !active(c, "meter") {
		t.Error("a network ended tunnels of another one")
	}
	sound(t, w)
}

// The parent of these two carries them one by one and does not know their network: for them it is
// a parent that keeps every list to itself.
func TestAParentThatWithholdsAListIsRevealedByThePeer(t *testing.T) {
	twice(t, func(t *testing.T) *World {
		w := New(111)
		public := w.NewNetwork("public")
		g := w.Add(Config{Name: "gateway", Addr: "192.0.2.2:9376"})
		c := w.Add(Config{Name: "technician", Addr: "192.0.2.3:9376"})
		root := w.Add(Config{
			Name: "root", Addr: "203.0.113.1:9376", Network: public,
			Node: node.Config{TrustNodes: []ident.NodeID{g.ID(), c.ID()}},
		})
		for _, h := range []*Host{g, c} {
			parent := w.parent("root@203.0.113.1:9376")
			must(h.Apply(node.SetParents{Parents: []node.ParentAddr{parent}}))
		}
		w.Run(3 * time.Second)
		g.Revoke(ident.SecretFromSeed([32]byte{1}).ID())
		w.Run(time.Minute)
		if known, _ := c.Node.Revocations(w.network.Cert.Key); known.Number != 0 {
			t.Fatal("the parent did not withhold the list")
		}
		g.Tunnel("meter", c, snmp) // an offer needs a session, which says how new the list is
		if !w.Until(keepAlive, func() bool { return happened(c, node.EventWithheld, "list 1") }) {
			t.Fatal("nobody noticed")
		}
		if !problem(c, root.ID().String()) || !problem(c, g.ID().String()) {
			t.Errorf("problems %q", c.Node.Problems())
		}
		known, _ := g.Node.Revocations(w.network.Cert.Key)
		if known.Number != 1 {
			t.Fatal("the gateway lost its list")
		}
		return w
	})
}

func TestAKeyMayRevokeItself(t *testing.T) {
	twice(t, func(t *testing.T) *World {
		w, g, c, o := twoTunnels(t, 112)
		must(c.Apply(node.Revoke{Self: true}))
		if !w.Until(keepAlive, func() bool { return !active(g, "meter") }) {
			t.Fatal("nobody heard of it")
		}
		g.Kill()
		g.Start()
		g.Serve = Shout
		if active(g, "meter") {
			t.Error("the restart forgot it")
		}
		talks(t, w, o, "counter", "untouched", 40*time.Second)
		o.Revoke(ident.SecretFromSeed([32]byte{1}).ID())
		w.Run(keepAlive)
		for _, h := range []*Host{w.Host("root"), g, o} {
			known, _ := h.Node.Revocations(w.network.Cert.Key)
			if known.Number != 1 || len(known.Prints) != 2 {
				t.Errorf("%s knows list %d with %d keys", h.Name, known.Number, len(known.Prints))
			}
		}
		return w
	})
}

func TestANodeWithTheRoleRevokesAndAStolenOneIsStopped(t *testing.T) {
	w, g, c, o := twoTunnels(t, 113)
	o.Certify(func(x *ident.NodeCert) { x.Roles = ident.RoleRevoker })
	w.Run(5 * time.Second)
	must(o.Apply(node.Revoke{Keys: []ident.NodeID{c.ID()}}))
	if !w.Until(keepAlive, func() bool { return !active(g, "meter") }) {
		t.Fatal("the list of a revoker was not taken")
	}
	g.Revoke(o.ID())
	w.Run(keepAlive)
	for name := range o.Disk {
		if strings.HasPrefix(name, "revoked-") {
			delete(o.Disk, name)
		}
	}
	o.Kill()
	o.Start()
	must(o.Apply(node.Revoke{Keys: []ident.NodeID{g.ID()}}))
	w.Run(2 * time.Minute)
	if !attachedTo(g) || g.Node.Revoked(g.Who.Cert.Network, g.ID()) {
		t.Error("a stolen revoker took a key back")
	}
	sound(t, w)
}
