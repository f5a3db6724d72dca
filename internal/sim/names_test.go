// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"staex/internal/ident"
	"staex/internal/overlay/node"
)

// asks lets a host look a name up and returns the owner, zero if there is none.
func asks(t *testing.T, w *World, h *Host, c node.Lookup) ident.NodeID {
	t.Helper()
	h.tokens++
	c.Token = h.tokens
	must(h.Apply(c))
	var found *node.Event
	answered := func() bool {
		for i := range h.Events {
			if e := &h.Events[i]; e.Kind == node.EventLookup && e.Token == c.Token {
				found = e
			}
		}
		return found != nil
	}
	if !w.Until(25*time.Second, answered) {
		t.Fatalf("%s: no answer about %v", h.Name, c)
	}
	return found.Key
}

func named(seed uint64) *World {
	w := New(seed)
	w.Add(Config{Name: "root", Addr: "203.0.113.1:9376"})
	w.Add(Config{
		Name: "relay", Addr: "203.0.113.2:9376", Parents: []string{"203.0.113.1:9376"},
	})
	w.Add(Config{
		Name: "gateway", Addr: "192.0.2.1:9376", Parents: []string{"203.0.113.2:9376"},
		Node: node.Config{
			DNSNames: []string{"node1", "hall"}, Static: netip.MustParseAddr("10.115.0.7"),
		},
	})
	w.Add(Config{
		Name: "technician", Addr: "192.0.2.2:9376", Parents: []string{"203.0.113.1:9376"},
	})
	w.Run(3 * time.Second)
	return w
}

func TestANameAndAStaticAddressAreFoundThroughTheRoot(t *testing.T) {
	w := named(61)
	g, c := w.Host("gateway"), w.Host("technician")
	for _, name := range []string{"node1", "hall"} {
		if got := asks(t, w, c, node.Lookup{Name: name}); got != g.ID() {
			t.Errorf("%s belongs to %v", name, got)
		}
	}
	static := node.Lookup{Addr: netip.MustParseAddr("10.115.0.7")}
	if got := asks(t, w, c, static); got != g.ID() {
		t.Errorf("the static address belongs to %v", got)
	}
	if got := asks(t, w, c, node.Lookup{Name: "node2"}); !got.IsZero() {
		t.Errorf("node2 belongs to %v", got)
	}
	if got := asks(t, w, g, node.Lookup{Name: "node1"}); got != g.ID() {
		t.Errorf("the owner thinks that its name belongs to %v", got)
	}
	sound(t, w)
}

func TestNoRelaySeesAName(t *testing.T) {
	w := named(62)
	w.Watch([]byte("node1"))
	asks(t, w, w.Host("technician"), node.Lookup{Name: "node1"})
	sound(t, w)
}

func TestWhoOnlyCarriesTheTagDoesNotGetTheName(t *testing.T) {
	w := named(63)
	// A member that puts the tag of another's name into its record, but does not claim it when it
	// is asked: it cannot take the name, nor hide the owner.
	thief := w.Add(Config{
		Name: "thief", Addr: "192.0.2.9:9376", Parents: []string{"203.0.113.1:9376"},
		Node: node.Config{DNSNames: []string{"node1"}},
	})
	w.Run(3 * time.Second)
	thief.Kill()
	if got := asks(t, w, w.Host("technician"), node.Lookup{Name: "node1"}); got !=
		w.Host("gateway").ID() {
		t.Errorf("node1 belongs to %v", got)
	}
	sound(t, w)
}

func TestAForeignNetworkFindsNoNames(t *testing.T) {
	w := named(64)
	other := w.NewNetwork("other")
	w.Host("root").cfg.RelayNetworks = []ident.NetworkKey{other.Cert.Key}
	w.Host("root").Kill()
	w.Host("root").Start()
	spy := w.Add(Config{
		Name: "spy", Addr: "192.0.2.8:9376", Parents: []string{"root@203.0.113.1:9376"},
		Network: other,
	})
	w.Run(40 * time.Second)
	if got := asks(t, w, spy, node.Lookup{Name: "node1"}); !got.IsZero() {
		t.Errorf("the foreign node learned that node1 is %v", got)
	}
	sound(t, w)
}

func TestAStaticAddressOfATunnelIsWhereTheClientFindsIt(t *testing.T) {
	w := home(65)
	g, c := w.Host("gateway"), w.Host("technician")
	g.Serve = Shout
	w.Run(3 * time.Second)
	g.Tunnel("meter", c, snmp)
	g.tunnels[0].Static = netip.MustParseAddr("10.115.1.1")
	must(g.Apply(node.SetTunnels{Tunnels: g.tunnels}))
	found := func() bool {
		a, ok := c.Address("meter")
		return ok && a == g.tunnels[0].Static
	}
	if !w.Until(30*time.Second, found) {
		a, _ := c.Address("meter")
		t.Fatalf("the client finds the tunnel at %v", a)
	}
	talks(t, w, c, "meter", "by its static address", 10*time.Second)
	src := c.Got[len(c.Got)-1].Src.Addr()
	if !bytes.Equal(src.AsSlice(), g.tunnels[0].Static.AsSlice()) {
		t.Errorf("the answer came from %v", src)
	}
	sound(t, w)
}
