// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"testing"
	"time"

	"staex/internal/ident"
	"staex/internal/overlay/node"
)

// neighbours are two networks under one root of a third; trust says what each end trusts.
func neighbours(seed uint64, trust func(w *World, other *Network) (g, c node.Config)) *World {
	w := New(seed)
	other, public := w.NewNetwork("other"), w.NewNetwork("public")
	keys := append(w.Keys(), other.Cert.Key)
	w.Add(Config{
		Name: "root", Addr: "203.0.113.1:9376", Network: public,
		Node: node.Config{RelayNetworks: keys},
	})
	server, client := trust(w, other)
	parents := []string{"root@203.0.113.1:9376"}
	w.Add(Config{Name: "gateway", Addr: "192.0.2.2:9376", Parents: parents, Node: server})
	w.Add(Config{
		Name: "technician", Addr: "192.0.2.3:9376", Parents: parents, Network: other, Node: client,
	})
	return w
}

func TestTwoNetworksThatTrustEachOtherAgreeOnATunnel(t *testing.T) {
	w := neighbours(71, func(w *World, other *Network) (g, c node.Config) {
		g.TrustNetworks = []ident.NetworkKey{other.Cert.Key}
		c.TrustNetworks = w.Keys()
		return g, c
	})
	_, c := agreedAs(t, w, "meter.home")
	talks(t, w, c, "meter.home", "across networks", 10*time.Second)
	sound(t, w)
}

func TestTwoNodesThatTrustEachOtherAgreeOnATunnel(t *testing.T) {
	// Keys follow from seed and name alone, so a first world tells those of the second.
	plain := neighbours(72, func(*World, *Network) (g, c node.Config) { return g, c })
	gateway, technician := plain.Host("gateway").ID(), plain.Host("technician").ID()
	w := neighbours(72, func(*World, *Network) (g, c node.Config) {
		g.TrustNodes, c.TrustNodes = []ident.NodeID{technician}, []ident.NodeID{gateway}
		return g, c
	})
	_, c := agreedAs(t, w, "meter.home")
	talks(t, w, c, "meter.home", "across networks", 10*time.Second)
	sound(t, w)
}

func TestOneSidedTrustOpensNothing(t *testing.T) {
	for _, side := range []string{"server", "client"} {
		w := neighbours(73, func(w *World, other *Network) (g, c node.Config) {
			if side == "server" {
				g.TrustNetworks = []ident.NetworkKey{other.Cert.Key}
			} else {
				c.TrustNetworks = w.Keys()
			}
			return g, c
		})
		g, c := w.Host("gateway"), w.Host("technician")
		g.Serve = Shout
		w.Run(3 * time.Second)
		g.Tunnel("meter", c, snmp)
		w.Run(2 * time.Minute)
		c.Ask("meter", 5000, 161, "x")
		w.Run(10 * time.Second)
		if len(g.Got) != 0 {
			t.Errorf("trust at the %s alone delivered %v", side, g.Got)
		}
		sound(t, w)
	}
}
