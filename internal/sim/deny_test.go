// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"staex/internal/overlay/flow"
	"staex/internal/overlay/node"
	"staex/internal/overlay/tunnel"
)

func TestNothingPassesButWhatTheTunnelNames(t *testing.T) {
	w := home(21)
	g, c := agreed(t, w)
	g.Forget()
	addr, _ := c.Address("meter")
	for port := uint16(1); port < 1024; port++ {
		if port != snmp.Port {
			c.Ask("meter", 6000, port, "scan")
		}
	}
	c.SendIP(UDP(netip.AddrPortFrom(netip.MustParseAddr("10.83.9.9"), 6000),
		netip.AddrPortFrom(addr, 161), []byte("spoofed")))
	w.Run(5 * time.Second)
	if len(g.Got) != 0 {
		t.Errorf("the gateway received %v", g.Got)
	}
	talks(t, w, c, "meter", "the scanner itself works", 3*time.Second)
	sound(t, w)
}

func TestAThirdNodeGetsNothing(t *testing.T) {
	w := home(22)
	w.Add(Config{Name: "stranger", Addr: "192.0.2.9:9376", Parents: []string{"203.0.113.1:9376"}})
	g, c := agreed(t, w)
	g.Forget()
	s := w.Host("stranger")
	if _, ok := s.Address("meter"); ok {
		t.Error("the stranger knows the name")
	}
	for _, id := range []*Host{g, c} {
		l, _ := s.Node.Lease(w.reading(), id.ID())
		s.SendIP(UDP(netip.AddrPortFrom(s.Own(), 5000), netip.AddrPortFrom(l.V4, 161), []byte("x")))
		s.SendIP(Echo(s.Own(), l.V4, 1, 1, []byte("x")))
	}
	w.Run(10 * time.Second)
	if len(g.Got)+len(s.Got) != 0 {
		t.Errorf("received %v and %v", g.Got, s.Got)
	}
	sound(t, w)
}

func TestTheServerMayNotBeginAFlow(t *testing.T) {
	w := home(23)
	g, c := agreed(t, w)
	c.Forget()
	last := g.Got[len(g.Got)-1]
	w.Run(time.Second)
	to := netip.AddrPortFrom(last.Src.Addr(), 9999)
	g.SendIP(UDP(netip.AddrPortFrom(g.Own(), 161), to, []byte("uninvited")))
	w.Run(2 * time.Second)
	if len(c.Got) != 0 {
		t.Errorf("the client received %v", c.Got)
	}
	sound(t, w)
}

func TestAnEchoToTheEndpointIsAnsweredByItsNode(t *testing.T) {
	w := home(24)
	g, c := agreed(t, w)
	g.Forget()
	c.Forget()
	addr, _ := c.Address("meter")
	c.SendIP(Echo(c.Own(), addr, 7, 1, []byte("ping")))
	answered := func() bool {
		return len(c.Got) == 1 && c.Got[0].Proto == flow.ProtoICMP && c.Got[0].Src.Addr() == addr
	}
	if !w.Until(2*time.Second, answered) {
		t.Errorf("the client received %v", c.Got)
	}
	if len(g.Got) != 0 {
		t.Error("the host behind the node saw the echo")
	}
	sound(t, w)
}

func TestDisablingATunnelAtEitherEndStopsItAndEnablingBringsItBack(t *testing.T) {
	for _, end := range []string{"gateway", "technician"} {
		t.Run(end, func(t *testing.T) {
			w := home(25)
			g, c := agreed(t, w)
			h := w.Host(end)
			must(h.Apply(node.SwitchTunnel{Tunnel: "meter"}))
			w.Run(time.Second)
			g.Forget()
			for range 5 {
				c.Ask("meter", 5000, 161, "no")
				w.Run(time.Second)
			}
			if len(g.Got) != 0 {
				t.Errorf("the gateway received %v", g.Got)
			}
			must(h.Apply(node.SwitchTunnel{Tunnel: "meter", On: true}))
			talks(t, w, c, "meter", "yes", 20*time.Second)
			sound(t, w)
		})
	}
}

func TestADisabledTunnelStaysDisabledAfterARestart(t *testing.T) {
	w := home(26)
	g, c := agreed(t, w)
	must(g.Apply(node.SwitchTunnel{Tunnel: "meter"}))
	w.Run(time.Second)
	g.Kill()
	g.Start()
	c.Kill()
	c.Start()
	w.Run(10 * time.Second)
	g.Forget()
	c.Ask("meter", 5000, 161, "no")
	w.Run(10 * time.Second)
	if len(g.Got) != 0 {
		t.Errorf("the gateway received %v", g.Got)
	}
	sound(t, w)
}

func TestATunnelThatItsClientDeletedDoesNotComeBack(t *testing.T) {
	w := home(35)
	g, c := agreed(t, w)
	must(c.Apply(node.DeleteTunnel{Tunnel: "meter"}))
	w.Run(10 * time.Second)
	for _, h := range []*Host{g, c, g} {
		h.Kill()
		h.Start()
		w.Run(time.Minute)
		// The gateway's files are still there, as where they could not be moved.
		if cn, gn := len(c.Node.Tunnels()), len(g.Node.Tunnels()); cn+gn != 0 {
			t.Fatalf("after %s started again the client has %d tunnels, the server %d", h.Name,
				cn, gn)
		}
	}
	if c.Ask("meter", 5000, 161, "x") {
		t.Error("its name resolves")
	}
	sound(t, w)
}

func TestADeletedTunnelIsGoneAtBothEnds(t *testing.T) {
	for _, end := range []string{"gateway", "technician"} {
		t.Run(end, func(t *testing.T) {
			w := home(27)
			g, c := agreed(t, w)
			must(w.Host(end).Apply(node.DeleteTunnel{Tunnel: "meter"}))
			if !w.Until(20*time.Second, func() bool { return len(c.Node.Tunnels()) == 0 }) {
				t.Error("the client still has the tunnel")
			}
			if !w.Until(20*time.Second, func() bool { return len(g.Node.Tunnels()) == 0 }) {
				t.Error("the server still has the tunnel")
			}
			if told := happened(g, node.EventTunnelDeleted, "meter"); told != (end != g.Name) {
				t.Errorf("the gateway was told to move the files: %v", told)
			}
			sound(t, w)
		})
	}
}

func TestAServerThatWasAwayLearnsThatItsTunnelWasDeleted(t *testing.T) {
	w := home(36)
	g, c := agreed(t, w)
	g.Kill()
	must(c.Apply(node.DeleteTunnel{Tunnel: "meter"}))
	w.Run(time.Minute)
	c.Kill() // with it goes that somebody is still to be told
	c.Start()
	w.Run(time.Minute)
	g.Start()
	if !w.Until(time.Minute, func() bool { return len(g.Node.Tunnels()) == 0 }) {
		t.Error("the server still has the tunnel")
	}
	sound(t, w)
}

func TestAnOfferWaitsForAPersonWhereOneIsWanted(t *testing.T) {
	w := New(28)
	w.Add(Config{Name: "root", Addr: "203.0.113.1:9376"})
	w.Add(Config{Name: "gateway", Addr: "192.0.2.2:9376", Parents: []string{"203.0.113.1:9376"}})
	w.Add(Config{
		Name: "technician", Addr: "192.0.2.3:9376", Parents: []string{"203.0.113.1:9376"},
		Node: node.Config{AcceptByHand: true},
	})
	g, c := w.Host("gateway"), w.Host("technician")
	g.Serve = Shout
	w.Run(3 * time.Second)
	g.Tunnel("meter", c, snmp)
	w.Run(20 * time.Second)
	if c.Ask("meter", 5000, 161, "x") {
		t.Error("the name resolves before anybody accepted")
	}
	must(c.Apply(node.AcceptTunnel{Tunnel: "meter"}))
	talks(t, w, c, "meter", "accepted", 20*time.Second)
	sound(t, w)
}

func TestAPersonDecidesAboutMoreThanSixteenTunnelsOfOneNode(t *testing.T) {
	w := New(34)
	w.Add(Config{Name: "root", Addr: "203.0.113.1:9376"})
	for i, name := range []string{"gateway", "technician"} {
		w.Add(Config{
			Name: name, Addr: []string{"192.0.2.2:9376", "192.0.2.3:9376"}[i],
			Parents: []string{"203.0.113.1:9376"},
		})
	}
	g, c := w.Host("gateway"), w.Host("technician")
	g.Serve = Shout
	w.Run(3 * time.Second)
	const offered = tunnel.MaxAuto + 2
	for i := range offered {
		g.Tunnel(fmt.Sprint("meter", i), c, snmp)
	}
	w.Run(time.Minute)
	var waits []string
	for _, x := range c.Node.Tunnels() {
		if x.Pending {
			waits = append(waits, x.Name)
		}
	}
	if n := len(c.Node.Tunnels()); n != offered || len(waits) != offered-tunnel.MaxAuto {
		t.Fatalf("%d tunnels, of which %q wait for a person", n, waits)
	}
	must(c.Apply(node.AcceptTunnel{Tunnel: waits[0]}))
	talks(t, w, c, waits[0], "accepted", 20*time.Second)
	if c.Ask(waits[1], 5000, 161, "x") {
		t.Errorf("%s resolves before anybody accepted", waits[1])
	}
	sound(t, w)
}

func TestAForeignNetworkIsRefusedAndSaysWhy(t *testing.T) {
	w := New(29)
	other := w.NewNetwork("other")
	w.Add(Config{Name: "root", Addr: "203.0.113.1:9376", Network: other})
	h := w.Add(Config{Name: "leaf", Addr: "192.0.2.2:9376", Parents: []string{"203.0.113.1:9376"}})
	w.Run(20 * time.Second)
	if _, _, ok := h.Node.Parent(); ok {
		t.Error("attached to a foreign network")
	}
	if p := h.Node.Problems(); len(p) == 0 || !strings.Contains(p[0], "does not answer") {
		t.Errorf("problems: %q", p)
	}
}

func TestAPinnedRelayOfAnotherNetworkCarriesATunnelItCannotRead(t *testing.T) {
	w := New(30)
	w.Watch([]byte("confidential"))
	public := w.NewNetwork("public")
	w.Add(Config{
		Name: "root", Addr: "203.0.113.1:9376", Network: public,
		Node: node.Config{RelayNetworks: w.Keys()},
	})
	for i, name := range []string{"gateway", "technician"} {
		w.Add(Config{
			Name: name, Addr: []string{"192.0.2.2:9376", "192.0.2.3:9376"}[i],
			Parents: []string{"root@203.0.113.1:9376"},
		})
	}
	_, c := agreed(t, w)
	talks(t, w, c, "meter", "confidential", 5*time.Second)
	sound(t, w)
}
