// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"staex/internal/ident"
	"staex/internal/overlay/node"
)

// nameLife is a little more than a verified owner is believed.
const nameLife = 11 * time.Minute

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

// given puts a names certificate of the network's key on a host and starts it again.
func (h *Host) given(f func(c *ident.NamesCert)) {
	h.Kill()
	c := &ident.NamesCert{Key: h.ID()}
	f(c)
	must(ident.SignNamesCert(c, h.w.network.Secret))
	h.cfg.Names = c
	h.Start()
}

// rivals is a network in which two nodes at different places claim a name, and one who asks beside
// the second.
func rivals(seed uint64, claim node.Config) (w *World, first, second, near, far *Host) {
	w = New(seed)
	w.Add(Config{Name: "root", Addr: "203.0.113.1:9376"})
	for i, name := range []string{"east", "west"} {
		w.Add(Config{
			Name: name, Addr: []string{"203.0.113.2:9376", "203.0.113.3:9376"}[i],
			Parents: []string{"203.0.113.1:9376"},
		})
	}
	east, west := []string{"203.0.113.2:9376"}, []string{"203.0.113.3:9376"}
	first = w.Add(Config{Name: "first", Addr: "192.0.2.1:9376", Parents: east, Node: claim})
	second = w.Add(Config{Name: "second", Addr: "192.0.2.2:9376", Parents: west, Node: claim})
	near = w.Add(Config{Name: "near", Addr: "192.0.2.3:9376", Parents: west})
	far = w.Add(Config{
		Name: "far", Addr: "192.0.2.4:9376", Parents: []string{"203.0.113.1:9376"},
	})
	w.Run(3 * time.Second)
	return w, first, second, near, far
}

func warned(h *Host, text string) bool {
	return slices.ContainsFunc(h.Node.Warnings(), func(p string) bool {
		return strings.Contains(p, text)
	})
}

func TestTheNetworksWordBeatsTheConfigurationWhereverItIs(t *testing.T) {
	static := netip.MustParseAddr("10.115.0.9")
	claim := node.Config{DNSNames: []string{"hall"}, Static: static}
	twice(t, func(t *testing.T) *World {
		w, first, second, near, far := rivals(341, claim)
		what := []node.Lookup{{Name: "hall"}, {Addr: static}}
		for _, l := range what {
			if got := asks(t, w, near, l); got != second.ID() {
				t.Errorf("%v: the nearer one does not have it", l)
			}
		}
		first.given(func(c *ident.NamesCert) { c.Names, c.Static = []string{"hall"}, static })
		w.Run(nameLife)
		for _, l := range what {
			for _, h := range []*Host{near, far, first} {
				if got := asks(t, w, h, l); got != first.ID() {
					t.Errorf("%s: %v belongs to %v", h.Name, l, got)
				}
			}
		}
		w.Run(7 * time.Hour) // the loser finds out by itself
		if got := asks(t, w, second, what[0]); got != first.ID() {
			t.Errorf("for the loser it belongs to %v", got)
		}
		if !warned(second, "claims it in vain") || !happened(second, node.EventNameClash, "hall") {
			t.Errorf("the loser is not told: %q", second.Node.Warnings())
		}
		first.cfg.Names = nil // taken back by the network
		first.cfg.DNSNames, first.cfg.Static = nil, netip.Addr{}
		first.Kill()
		first.Start()
		w.Run(8 * time.Hour)
		for _, h := range []*Host{near, far, second} {
			if got := asks(t, w, h, what[0]); got != second.ID() {
				t.Errorf("%s: after the end it belongs to %v", h.Name, got)
			}
		}
		if len(second.Node.Warnings()) != 0 {
			t.Errorf("still warned: %q", second.Node.Warnings())
		}
		return w
	})
}

func TestAmongEqualsTheFirstOneVerifiedStaysUntilItIsGone(t *testing.T) {
	for name, give := range map[string]func(h *Host){
		"by configuration": func(h *Host) {
			h.Kill()
			h.cfg.DNSNames = []string{"hall"}
			h.Start()
		},
		"by the network": func(h *Host) {
			h.given(func(c *ident.NamesCert) { c.Names = []string{"hall"} })
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, first, second, _, far := rivals(342, node.Config{})
			hall := node.Lookup{Name: "hall"}
			give(first)
			w.Run(10 * time.Second)
			if got := asks(t, w, far, hall); got != first.ID() {
				t.Fatalf("hall belongs to %v", got)
			}
			give(second)
			// The other one answers first.
			w.SetLinkBetween("first", "east", Link{Delay: 200 * time.Millisecond})
			for range 5 {
				w.Run(nameLife)
				if got := asks(t, w, far, hall); got != first.ID() {
					t.Errorf("hall belongs to %v now", got)
				}
			}
			w.Run(time.Second)
			if !warned(far, "hall is claimed by several nodes") ||
				!happened(far, node.EventNameClash, "hall") {
				t.Errorf("nobody is told: %q", far.Node.Warnings())
			}
			first.Kill()
			w.Run(nameLife)
			if got := asks(t, w, far, hall); got != second.ID() {
				t.Errorf("the owner is gone, and hall belongs to %v", got)
			}
			first.Start()
			w.Run(nameLife)
			if got := asks(t, w, far, hall); got != second.ID() {
				t.Errorf("the first one is back, and hall belongs to %v", got)
			}
			sound(t, w)
		})
	}
}

func TestOnlyTheNetworksOwnWordForThisNodeAndThisNameCounts(t *testing.T) {
	for name, forge := range map[string]func(w *World, c *ident.NamesCert, second *Host){
		"signed by somebody else": func(w *World, c *ident.NamesCert, _ *Host) {
			must(ident.SignNamesCert(c, w.NewNetwork("other").Secret))
			c.Network = w.network.Cert.Key.Hash()
		},
		"of another node": func(w *World, c *ident.NamesCert, second *Host) {
			c.Key = second.ID()
			must(ident.SignNamesCert(c, w.network.Secret))
		},
		"of another name": func(w *World, c *ident.NamesCert, _ *Host) {
			c.Names = []string{"cellar"}
			must(ident.SignNamesCert(c, w.network.Secret))
			c.Names = []string{"hall"}
		},
		"expired": func(w *World, c *ident.NamesCert, _ *Host) {
			c.NotAfter = w.unix(-day)
			must(ident.SignNamesCert(c, w.network.Secret))
		},
	} {
		w, first, second, near, _ := rivals(343, node.Config{DNSNames: []string{"hall"}})
		c := &ident.NamesCert{Key: first.ID(), Names: []string{"hall"}}
		forge(w, c, second)
		first.Kill()
		first.cfg.Names = c
		if name == "expired" {
			first.Unset = true // he does not know, or does not care
		}
		first.Start()
		w.Run(20 * time.Second)
		if got := asks(t, w, near, node.Lookup{Name: "hall"}); got != second.ID() {
			t.Errorf("%s: hall belongs to %v", name, got)
		}
		sound(t, w)
	}
}
