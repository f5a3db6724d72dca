// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"net/netip"
	"testing"
	"time"

	"staex/internal/overlay/flow"
	"staex/internal/overlay/node"
)

// refusal is what a host without a service says of a datagram: nobody listens on the port.
func refusal(p Packet) []byte {
	c := flow.Compact{
		Kind: flow.KindError, Error: flow.ErrorPort, OfTCP: p.Proto == flow.ProtoTCP,
		V6: p.Src.Addr().Is6(),
	}
	return flow.AppendError(nil, &c, flow.Ends{
		Src: p.Dst.Addr(), Dst: p.Src.Addr(), SrcPort: p.Dst.Port(), DstPort: p.Src.Port(),
	})
}

// refused counts the errors that a host's stack was given, all of them from one address.
func refused(t *testing.T, h *Host, from netip.Addr) (n int) {
	t.Helper()
	for _, p := range h.Got {
		if p.Proto != flow.ProtoICMP {
			continue
		}
		if n++; p.Src.Addr() != from {
			t.Errorf("%s is given an error from %v, want %v", h.Name, p.Src.Addr(), from)
		}
	}
	return n
}

func TestAClosedPortIsRefusedAtOnceAlsoOverBadLinks(t *testing.T) {
	twice(t, func(t *testing.T) *World {
		w := home(61)
		g, c := agreed(t, w)
		meter, _ := c.Address("meter")
		w.SetLink(Link{Delay: 20 * time.Millisecond, Loss: 0.05})
		g.Serve = func(p Packet) []byte {
			g.SendIP(refusal(p))
			return nil
		}
		for range 20 {
			c.Forget()
			begin := w.Now
			for !w.Until(200*time.Millisecond, func() bool { return refused(t, c, meter) > 0 }) {
				if c.Ask("meter", 7000, 161, "anybody?"); w.Now-begin > 5*time.Second {
					t.Fatal("nothing is heard of the closed port")
				}
			}
		}
		sound(t, w)
		return w
	})
}

func TestAnErrorDoesNotPassWhereNoPacketOfItsFlowMay(t *testing.T) {
	w := home(62)
	w.Add(Config{Name: "stranger", Addr: "192.0.2.9:9376", Parents: []string{"203.0.113.1:9376"}})
	g, c := agreed(t, w)
	last := g.Got[len(g.Got)-1]
	w.Run(3 * time.Second)
	c.Forget()
	invented := last
	invented.Src = netip.AddrPortFrom(last.Src.Addr(), 9)
	g.SendIP(refusal(invented))
	s := w.Host("stranger")
	at, _ := s.Node.Lease(w.reading(), c.ID())
	foreign := Packet{
		Proto: flow.ProtoUDP, Src: netip.AddrPortFrom(at.V4, 5000),
		Dst: netip.AddrPortFrom(s.Own(), 161),
	}
	s.SendIP(refusal(foreign))
	w.Run(3 * time.Second)
	if len(c.Got) != 0 {
		t.Errorf("the technician received %v", c.Got)
	}
	g.SendIP(refusal(last))
	meter, _ := c.Address("meter")
	if !w.Until(3*time.Second, func() bool { return refused(t, c, meter) == 1 }) {
		t.Error("an error about a flow does not arrive")
	}
	must(c.Apply(node.SwitchTunnel{Tunnel: "meter"}))
	w.Run(3 * time.Second)
	c.Forget()
	g.SendIP(refusal(last))
	w.Run(3 * time.Second)
	if len(c.Got) != 0 {
		t.Errorf("the tunnel is off, and the technician received %v", c.Got)
	}
	sound(t, w)
}
