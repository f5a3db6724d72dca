// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"net/netip"
	"testing"
	"time"

	"staex/internal/ident"
	"staex/internal/overlay/flow"
	"staex/internal/overlay/node"
)

// pairOf is a root with two leaves, each of which allows packets outside tunnels or does not.
func pairOf(seed uint64, a, b bool) (w *World, x, y *Host) {
	w = New(seed)
	w.Add(Config{Name: "root", Addr: "203.0.113.1:9376"})
	w.Add(Config{
		Name: "x", Addr: "192.0.2.2:9376", Parents: []string{"203.0.113.1:9376"},
		Node: node.Config{NodeTraffic: a},
	})
	w.Add(Config{
		Name: "y", Addr: "192.0.2.3:9376", Parents: []string{"203.0.113.1:9376"},
		Node: node.Config{NodeTraffic: b},
	})
	w.Run(3 * time.Second)
	return w, w.Host("x"), w.Host("y")
}

// lease is the address of another host at this one.
func (h *Host) lease(o *Host, v6 bool) netip.Addr {
	l, _ := h.Node.Lease(h.w.reading(), o.ID())
	if v6 {
		return l.V6
	}
	return l.V4
}

func (h *Host) own(v6 bool) netip.Addr {
	self := h.Node.Tables().Self()
	if v6 {
		return self.V6
	}
	return self.V4
}

// gre is an IPv4 packet of a protocol that no tunnel carries.
func gre(src, dst netip.Addr, payload string) []byte {
	c := flow.Compact{Kind: flow.KindWhole, V6: dst.Is6(), Proto: 47}
	p := append(make([]byte, flow.HeaderLen(&c)), payload...)
	flow.PutHeaders(p, &c, flow.Ends{Src: src, Dst: dst}, len(payload))
	return p
}

// knock sends one packet of each kind to a host, over IPv4 and IPv6.
func knock(x, y *Host) {
	for _, v6 := range []bool{false, true} {
		from, to := x.own(v6), x.lease(y, v6)
		x.SendIP(UDP(netip.AddrPortFrom(from, 4000), netip.AddrPortFrom(to, 4001), []byte("udp")))
		x.SendIP(gre(from, to, "gre"))
		x.SendIP(Echo(from, to, 9, 1, []byte("echo")))
	}
}

func TestTwoNodesThatAllowItReachEachOtherWithEverything(t *testing.T) {
	for _, loss := range []float64{0, 0.2} {
		twice(t, func(t *testing.T) *World {
			w, x, y := pairOf(71, true, true)
			w.SetLink(Link{Delay: 20 * time.Millisecond, Loss: loss})
			y.Serve = func(p Packet) []byte {
				if p.Proto == flow.ProtoUDP {
					return Shout(p)
				}
				return nil
			}
			all := func() bool {
				var udp, gre, echo int
				for _, p := range x.Got {
					switch {
					case p.Src.Addr() == x.lease(y, p.Src.Addr().Is6()) && p.Payload == "UDP":
						udp++
					case p.Proto == flow.ProtoICMP || p.Proto == flow.ProtoICMPv6:
						echo++
					}
				}
				for _, p := range y.Got {
					if p.Proto == 47 && p.Src.Addr() == y.lease(x, p.Src.Addr().Is6()) {
						gre++
					}
				}
				return udp >= 2 && gre >= 2 && echo >= 2
			}
			knock(x, y)
			end := w.Now + 30*time.Second
			for !w.Until(time.Second, all) {
				if w.Now > end {
					t.Fatalf("x received %v, y %v", x.Got, y.Got)
				}
				knock(x, y)
			}
			return w
		})
	}
}

// Programs on both machines may begin at the same moment, and links may be as fast both ways.
func TestTwoNodesThatCallEachOtherAtOnceStayConnected(t *testing.T) {
	for seed := uint64(76); seed < 84; seed++ {
		w, x, y := pairOf(seed, true, true)
		if seed%2 == 1 {
			w.SetLink(Link{Delay: 20 * time.Millisecond, Jitter: 10 * time.Millisecond})
		}
		for second := range 60 {
			x.Forget()
			y.Forget()
			knock(x, y)
			knock(y, x)
			w.Run(time.Second)
			const each = 6 // UDP, GRE and the answer to the echo, over IPv4 and IPv6
			if second > 0 && (len(x.Got) != each || len(y.Got) != each) {
				t.Fatalf("seed %d, second %d: x received %d packets, y %d, want %d", seed, second,
					len(x.Got), len(y.Got), each)
			}
		}
		sound(t, w)
	}
}

// The default is to deny, and both ends have to say otherwise.
func TestNodesReachNothingOfEachOtherUnlessBothAllowIt(t *testing.T) {
	for _, c := range []struct{ x, y bool }{{false, false}, {true, false}, {false, true}} {
		twice(t, func(t *testing.T) *World {
			w, x, y := pairOf(72, c.x, c.y)
			for range 5 {
				knock(x, y)
				knock(y, x)
				w.Run(10 * time.Second)
			}
			if len(x.Got)+len(y.Got) != 0 {
				t.Errorf("allowed %v and %v: x received %v, y %v", c.x, c.y, x.Got, y.Got)
			}
			return w
		})
	}
}

func TestTrustOpensNoTrafficOutsideTunnels(t *testing.T) {
	w := New(73)
	other := w.NewNetwork("other")
	w.Add(Config{
		Name: "root", Addr: "203.0.113.1:9376",
		Node: node.Config{RelayNetworks: []ident.NetworkKey{other.Cert.Key}},
	})
	w.Add(Config{
		Name: "x", Addr: "192.0.2.2:9376", Parents: []string{"203.0.113.1:9376"},
		Node: node.Config{NodeTraffic: true, TrustNetworks: []ident.NetworkKey{other.Cert.Key}},
	})
	w.Add(Config{
		Name: "y", Addr: "192.0.2.3:9376", Parents: []string{"root@203.0.113.1:9376"},
		Network: other, Node: node.Config{NodeTraffic: true, TrustNetworks: w.Keys()},
	})
	w.Run(5 * time.Second)
	x, y := w.Host("x"), w.Host("y")
	for range 3 {
		knock(x, y)
		knock(y, x)
		w.Run(20 * time.Second)
	}
	if len(x.Got)+len(y.Got) != 0 {
		t.Errorf("x received %v, y %v", x.Got, y.Got)
	}
	sound(t, w)
}

// reaches waits for an answer of y.
func reaches(t *testing.T, w *World, x, y *Host, what string, d time.Duration) {
	t.Helper()
	y.Serve, x.Got = Shout, nil
	end := w.Now + d
	want := string(Shout(Packet{Payload: what}))
	for !x.Answered(want) {
		if w.Now > end {
			t.Fatalf("%s: no answer within %v", what, d)
		}
		x.SendIP(UDP(netip.AddrPortFrom(x.own(false), 4000),
			netip.AddrPortFrom(x.lease(y, false), 4001), []byte(what)))
		w.Until(time.Second, func() bool { return x.Answered(want) })
	}
}

func TestTrafficBetweenNodesSurvivesRestartsAndEndsWithARevocation(t *testing.T) {
	w, x, y := pairOf(74, true, true)
	reaches(t, w, x, y, "first", 10*time.Second)
	reaches(t, w, y, x, "back", 10*time.Second)
	for _, h := range []*Host{y, x, w.Host("root")} {
		h.Kill()
		w.Run(3 * time.Second)
		h.Start()
		reaches(t, w, x, y, "after "+h.Name, 60*time.Second)
		reaches(t, w, y, x, "back after "+h.Name, 60*time.Second)
	}
	w.Run(10 * time.Minute)
	reaches(t, w, x, y, "after a pause", 10*time.Second)
	w.Host("root").Revoke(y.ID())
	w.Run(5 * time.Minute)
	x.Forget()
	y.Forget()
	knock(x, y)
	knock(y, x)
	w.Run(30 * time.Second)
	if len(x.Got)+len(y.Got) != 0 {
		t.Errorf("y is revoked, and x received %v, y %v", x.Got, y.Got)
	}
	sound(t, w)
}

// A tunnel beside it stays what it was.
func TestATunnelBesideTrafficBetweenNodesStaysNarrow(t *testing.T) {
	w, x, y := pairOf(75, true, true)
	x.Serve = Shout
	x.Tunnel("meter", y, snmp)
	if !w.Until(20*time.Second, func() bool { _, ok := y.Address("meter"); return ok }) {
		t.Fatal("the tunnel was not agreed on")
	}
	talks(t, w, y, "meter", "first", 10*time.Second)
	x.Forget()
	for range 5 {
		y.Ask("meter", 5000, 162, "another port")
		w.Run(2 * time.Second)
	}
	if len(x.Got) != 0 {
		t.Errorf("the tunnel carries %v", x.Got)
	}
	sound(t, w)
}
