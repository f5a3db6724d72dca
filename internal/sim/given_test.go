// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"staex/internal/ident"
	"staex/internal/overlay/node"
	"staex/internal/overlay/tunnel"
)

// doors gives a client two tunnels that claim the same name and the same static address.
func doors(t *testing.T, seed uint64) (w *World, g, c *Host, ids [2]ident.NodeID) {
	t.Helper()
	w = home(seed)
	g, c = agreed(t, w)
	for i := range ids {
		ids[i] = g.Tunnel("door", c, snmp)
		g.tunnels[len(g.tunnels)-1].Static = netip.MustParseAddr("10.115.0.7")
		must(g.Apply(node.SetTunnels{Tunnels: g.tunnels}))
		if !w.Until(20*time.Second, func() bool { return len(c.Node.Tunnels()) == i+2 }) {
			t.Fatal("the tunnel was not agreed on")
		}
		w.Run(5 * time.Second)
	}
	return w, g, c, ids
}

func TestTheSecondWithANameGetsItWhenTheFirstGoes(t *testing.T) {
	for _, who := range []string{"server", "client"} {
		for _, restart := range []bool{false, true} {
			w, g, c, ids := doors(t, 2030)
			is := func(want ident.NodeID) bool {
				id, ok := c.Node.Named("door")
				a, _ := c.Address("door")
				return ok && id == want && a == netip.MustParseAddr("10.115.0.7")
			}
			if !is(ids[0]) || !warned(c, "lacks its name door") ||
				!warned(c, "lacks its address 10.115.0.7") {
				t.Fatalf("before: %q", c.Node.Warnings())
			}
			if restart {
				for _, h := range []*Host{g, c} {
					h.Kill()
					h.Start()
				}
				g.Serve = Shout
				w.Run(10 * time.Second)
				id, _ := c.Node.Named("door")
				if id != ids[0] || !warned(c, "lacks its name door") {
					t.Errorf("after a restart: %q", c.Node.Warnings())
				}
			}
			h := map[string]*Host{"server": g, "client": c}[who]
			must(h.Apply(node.DeleteTunnel{Tunnel: ids[0].String()}))
			if !w.Until(5*time.Second, func() bool { return is(ids[1]) }) {
				t.Errorf("deleted at the %s: the name is nobody's: %q", who, c.Node.Warnings())
			}
			if warned(c, "lacks") {
				t.Errorf("deleted at the %s: %q", who, c.Node.Warnings())
			}
			talks(t, w, c, "door", "the second", 20*time.Second)
			sound(t, w)
		}
	}
}

func TestANameOfAnotherNetworkStandsBeforeThatOfItsNetwork(t *testing.T) {
	w := neighbours(2031, func(w *World, other *Network) (g, c node.Config) {
		g.TrustNetworks = []ident.NetworkKey{other.Cert.Key}
		c.TrustNetworks = w.Keys()
		return g, c
	})
	g, c := w.Host("gateway"), w.Host("technician")
	g.Serve = Shout
	w.Run(3 * time.Second)
	g.Tunnel("meter", c, snmp)
	if !w.Until(20*time.Second, func() bool { _, ok := c.Address("meter.home"); return ok }) {
		t.Fatalf("%v", c.Node.Tunnels())
	}
	if _, ok := c.Address("meter"); ok {
		t.Error("it has the name of a tunnel of this network")
	}
	for range 2 {
		talks(t, w, c, "meter.home", "across networks", 30*time.Second)
		c.Kill()
		c.Start()
	}
	if name := c.Node.NameOf(meterOf(t, g).ID); name != "meter.home" {
		t.Errorf("its address is called %q", name)
	}
	sound(t, w)
}

func TestAnOfferTooManySaysAtTheServerThatAPersonIsWaitedForAndIsNextInLine(t *testing.T) {
	w := home(2032)
	g, c := w.Host("gateway"), w.Host("technician")
	w.Run(3 * time.Second)
	var ids []ident.NodeID
	for i := range tunnel.MaxAuto + 1 {
		ids = append(ids, g.Tunnel(fmt.Sprint("meter", i), c, snmp))
		w.Run(5 * time.Second)
	}
	last := fmt.Sprint("meter", tunnel.MaxAuto)
	if active(c, last) || !warned(g, "waits for a person at node "+c.ID().String()) ||
		!warned(g, "takes 16 of one node without one") {
		t.Fatalf("the last one: %q", g.Node.Warnings())
	}
	must(g.Apply(node.DeleteTunnel{Tunnel: ids[3].String()}))
	if !w.Until(10*time.Second, func() bool { return active(c, last) && active(g, last) }) {
		t.Error("the one that waits did not get the place of the one that is gone")
	}
	if warned(g, "waits for a person") {
		t.Errorf("afterwards: %q", g.Node.Warnings())
	}
	sound(t, w)
}

func TestATunnelThatWaitsForAPersonAnywayIsNamedToo(t *testing.T) {
	w := open(2033)
	g, c := w.Host("gateway"), w.Host("technician")
	c.cfg.AcceptByHand = true
	c.Kill()
	c.Start()
	w.Run(3 * time.Second)
	first := g.Tunnel("meter", c, snmp)
	g.Tunnel("hall", c, snmp)
	w.Run(10 * time.Second)
	if !warned(g, "waits for a person") || warned(g, "without one") {
		t.Errorf("%q", g.Node.Warnings())
	}
	must(g.Apply(node.DeleteTunnel{Tunnel: first.String()}))
	w.Run(time.Minute)
	if active(c, "hall") {
		t.Error("nobody accepted it")
	}
	sound(t, w)
}
