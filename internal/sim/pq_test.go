// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/node"
	"staex/internal/wire"
)

// homePQ is a root, a gateway and a technician with a post-quantum setting each.
func homePQ(seed uint64, root, gateway, technician node.PostQuantum) *World {
	w := New(seed)
	add := func(name, addr string, pq node.PostQuantum, parents ...string) {
		w.Add(Config{
			Name: name, Addr: addr, Parents: parents, Node: node.Config{PostQuantum: pq},
		})
	}
	add("root", rootAddr, root)
	add("gateway", "198.51.100.7:9376", gateway, rootAddr)
	add("technician", "192.0.2.55:9376", technician, rootAddr)
	return w
}

// hybrid checks how many links and sessions of a host have keys with the secret of ML-KEM.
func hybrid(t *testing.T, h *Host, links, sessions int) {
	t.Helper()
	if l, s := h.Node.Hybrid(); l != links || s != sessions {
		t.Errorf("%s: %d links and %d sessions are hybrid, want %d and %d", h.Name, l, s, links,
			sessions)
	}
}

func TestTwoEndsThatPreferThePostQuantumExchangeDoIt(t *testing.T) {
	for _, pq := range []node.PostQuantum{node.PQPrefer, node.PQRequire} {
		run := func() [32]byte {
			w := homePQ(91, node.PQPrefer, pq, node.PQPrefer)
			g, c := agreed(t, w)
			w.Run(5 * time.Second)
			hybrid(t, w.Host("root"), 2, 0)
			hybrid(t, g, 1, 2) // one for the offer, one for the tunnel
			hybrid(t, c, 1, 2)
			talks(t, w, c, "meter", "after the exchange", 2*time.Second)
			sound(t, w)
			return w.Trace()
		}
		if first, second := run(), run(); first != second {
			t.Errorf("%v: two runs from one seed differ", pq)
		}
	}
}

func TestWhoPrefersTheExchangeTalksToWhoHasItOff(t *testing.T) {
	w := homePQ(92, node.PQPrefer, node.PQOff, node.PQPrefer)
	g, c := agreed(t, w)
	w.Run(5 * time.Second)
	hybrid(t, w.Host("root"), 1, 0)
	hybrid(t, g, 0, 0)
	hybrid(t, c, 1, 0)
	sound(t, w)
}

func TestWhoRequiresTheExchangeRefusesWhoHasItOffWithASentence(t *testing.T) {
	says := func(h *Host, kind node.EventKind, text string) bool {
		return slices.ContainsFunc(h.Events, func(e node.Event) bool {
			return e.Kind == kind && strings.Contains(e.Text, text)
		})
	}
	for name, c := range map[string]struct {
		root, gateway node.PostQuantum
		text          string
	}{
		"parent off":   {node.PQOff, node.PQRequire, "it does not do the post-quantum"},
		"parent needs": {node.PQRequire, node.PQOff, "it requires the post-quantum"},
	} {
		t.Run(name, func(t *testing.T) {
			w := homePQ(93, c.root, c.gateway, node.PQPrefer)
			g := w.Host("gateway")
			w.Run(5 * time.Second)
			if _, _, ok := g.Node.Parent(); ok || !says(g, node.EventParentRefused, c.text) {
				t.Errorf("attached %v, events %v", ok, g.Events)
			}
			problems := strings.Join(g.Node.Problems(), "\n")
			if !strings.Contains(problems, c.text) {
				t.Errorf("problems: %s", problems)
			}
			sound(t, w)
		})
	}
	w := homePQ(94, node.PQPrefer, node.PQRequire, node.PQOff)
	g, c := w.Host("gateway"), w.Host("technician")
	w.Run(3 * time.Second)
	g.Tunnel("meter", c, snmp)
	w.Run(20 * time.Second)
	if _, ok := c.Address("meter"); ok || !says(g, node.EventSessionRefused, "does not do the") {
		t.Errorf("agreed %v, events %v", ok, g.Events)
	}
	sound(t, w)
}

func TestTheExchangeStandsLoss(t *testing.T) {
	for _, pq := range []node.PostQuantum{node.PQPrefer, node.PQRequire} {
		run := func() [32]byte {
			w := homePQ(96, pq, pq, pq)
			w.SetLink(Link{
				Delay: 15 * time.Millisecond, Jitter: 30 * time.Millisecond, Loss: 0.2, Twice: 0.05,
			})
			g, c := w.Host("gateway"), w.Host("technician")
			g.Serve = Shout
			w.Run(20 * time.Second)
			g.Tunnel("meter", c, snmp)
			w.Until(90*time.Second, func() bool { _, ok := c.Address("meter"); return ok })
			talks(t, w, c, "meter", "through loss", time.Minute)
			w.Until(time.Minute, func() bool {
				_, s := c.Node.Hybrid()
				return s == c.Node.Sessions() && s > 0
			})
			if l, s := c.Node.Hybrid(); l != 1 || s != c.Node.Sessions() || s == 0 {
				t.Errorf("%d links and %d of %d sessions are hybrid", l, s, c.Node.Sessions())
			}
			sound(t, w)
			return w.Trace()
		}
		if first, second := run(), run(); first != second {
			t.Errorf("%v: two runs from one seed differ", pq)
		}
	}
}

// Each message that may get lost gets lost in some of these runs.
func TestATunnelAnswersWithinAMinuteWhereOneInFiveIsLost(t *testing.T) {
	for _, pq := range []node.PostQuantum{node.PQOff, node.PQPrefer, node.PQRequire} {
		for seed := range uint64(40) {
			w := homePQ(seed, pq, pq, pq)
			w.SetLink(Link{
				Delay: 15 * time.Millisecond, Jitter: 30 * time.Millisecond, Loss: 0.2, Twice: 0.05,
			})
			g, c := w.Host("gateway"), w.Host("technician")
			g.Serve = Shout
			w.Run(20 * time.Second)
			g.Tunnel("meter", c, snmp)
			known := func() bool { _, ok := c.Address("meter"); return ok }
			if !w.Until(2*time.Minute, known) {
				t.Errorf("%v, seed %d: no tunnel within two minutes", pq, seed)
				continue
			}
			talks(t, w, c, "meter", "through loss", time.Minute)
			sound(t, w)
		}
	}
}

func TestBitsFlippedInTheExchangeAreRepaired(t *testing.T) {
	w := homePQ(96, node.PQRequire, node.PQRequire, node.PQRequire)
	seen, flipped := [16]int{}, 0
	w.attack.held = func(_ *Host, _, _ netip.AddrPort, b []byte) bool {
		typ := wire.PeekType(b)
		if len(b) < wire.KEMPartSize || typ != wire.TypeLink && typ != wire.TypeData {
			return false
		}
		if seen[typ]++; seen[typ] <= 12 && seen[typ]%2 == 1 {
			b[100] ^= 1
			flipped++
		}
		return false
	}
	g, c := agreed(t, w)
	if flipped != 12 {
		t.Fatalf("only %d frames of an exchange were changed", flipped)
	}
	w.Run(5 * time.Second)
	hybrid(t, g, 1, 2)
	hybrid(t, c, 1, 2)
	if w.Host("root").drops(drop.OpenFailed) == 0 {
		t.Error("no flipped frame was counted")
	}
	sound(t, w)
}

func TestSilenceDoesNotTakeTheExchangeAway(t *testing.T) {
	w := homePQ(97, node.PQPrefer, node.PQPrefer, node.PQPrefer)
	swallow := true
	w.attack.held = func(_ *Host, _, _ netip.AddrPort, b []byte) bool {
		return swallow && wire.PeekType(b) == wire.TypeLink && len(b) > wire.KEMPartSize
	}
	w.Run(time.Minute)
	for _, h := range w.Hosts() {
		hybrid(t, h, 0, 0)
		if _, _, ok := h.Node.Parent(); ok {
			t.Errorf("%s attached without the exchange", h.Name)
		}
	}
	if n := w.Host("root").Node.Links(); n > 2 {
		t.Errorf("the root keeps %d links", n)
	}
	swallow = false
	w.Run(time.Minute)
	agreed(t, w)
	hybrid(t, w.Host("root"), 2, 0)
	sound(t, w)
}

func TestNoDatagramIsLostWhenASessionSwitchesItsKeys(t *testing.T) {
	const each = 1000
	run := func() [32]byte {
		w := homePQ(98, node.PQPrefer, node.PQPrefer, node.PQPrefer)
		w.SetLink(Link{Delay: 40 * time.Millisecond})
		_, c := agreed(t, w)
		c.Kill()
		c.Start()
		w.Run(5 * time.Second)
		c.Forget()
		c.Ask("meter", 5000, 161, "wake up")
		if !w.Until(10*time.Second, func() bool { return c.Answered("WAKE UP") }) {
			t.Fatal("no answer")
		}
		if _, s := c.Node.Hybrid(); s == c.Node.Sessions() {
			t.Fatal("the exchange is over before the transfer")
		}
		c.Forget()
		for i := range each {
			c.Ask("meter", 5000, 161, fmt.Sprintf("datagram %d", i))
			w.Run(200 * time.Microsecond)
		}
		w.Run(time.Second)
		if len(c.Got) != each {
			t.Errorf("%d of %d datagrams were answered", len(c.Got), each)
		}
		hybrid(t, c, 1, c.Node.Sessions())
		sound(t, w)
		return w.Trace()
	}
	if first, second := run(), run(); first != second {
		t.Error("two runs from one seed differ")
	}
}

func TestATicketKeepsWhatTheExchangeBrought(t *testing.T) {
	w := homePQ(99, node.PQRequire, node.PQPrefer, node.PQPrefer)
	root, g := w.Host("root"), w.Host("gateway")
	w.Run(time.Minute)
	root.Kill()
	x := listen(w)
	root.Start()
	w.Until(time.Minute, links(root, 2))
	w.Run(time.Second)
	if x.handshakes() != 0 {
		t.Errorf("%d handshakes", x.handshakes())
	}
	hybrid(t, root, 2, 0)
	hybrid(t, g, 1, 0)
	sound(t, w)
}

func TestATicketWithoutTheExchangeIsNotEnoughForWhoRequiresIt(t *testing.T) {
	for _, name := range []string{"root", "gateway"} {
		w := homePQ(100, node.PQOff, node.PQOff, node.PQOff)
		root, g := w.Host("root"), w.Host("gateway")
		w.Run(time.Minute)
		for _, h := range []*Host{root, g} {
			h.Kill()
			h.cfg.PostQuantum = node.PQPrefer
		}
		w.Host(name).cfg.PostQuantum = node.PQRequire
		root.Start()
		g.Start()
		w.Run(time.Minute)
		hybrid(t, g, 1, 0)
		sound(t, w)
	}
}
