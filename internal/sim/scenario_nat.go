// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"bytes"
	"net/netip"
	"time"
)

// translators are hosts behind NATs of every kind.
func translators() []Scenario {
	kinds := []struct {
		name, story string
		nat         NAT
	}{
		{"nat-open", "lets anybody in", NAT{Filter: FilterNothing}},
		{"nat-address", "lets in addresses that were written to", NAT{Filter: FilterAddress}},
		{"nat-port", "lets in ports that were written to", NAT{}},
		{"nat-symmetric", "has a port for each destination", NAT{Symmetric: true}},
	}
	var list []Scenario
	for _, k := range kinds {
		list = append(list, Scenario{
			Name: k.name, Least: Counts{450, 14, 40},
			Story: "Both ends are behind a NAT that " + k.story + "; its timeout shrinks to 20 s.",
			plot:  func(p *play) { shrinkingNAT(p, k.nat) },
		})
	}
	return append(list, Scenario{
		Name: "nat-restart", plot: restartingNAT, Least: Counts{450, 8, 60},
		Story: "A NAT forgets its mappings, while a tunnel is quiet and while it talks.",
	})
}

// behind is a root with two leaves behind a NAT each, which have agreed on a tunnel.
func (p *play) behind(like NAT) (g, c *Host, nats []*NAT) {
	p.host("root")
	p.host("second")
	for i, name := range []string{"gateway", "technician"} {
		nat := p.w.NewNAT([]string{"203.0.113.10", "203.0.113.20"}[i], 2*time.Minute)
		nat.Filter, nat.Symmetric = like.Filter, like.Symmetric
		nats = append(nats, nat)
		p.hostWith(Config{Name: name, NAT: nat}, "root", "second")
	}
	g, c = p.w.Host("gateway"), p.w.Host("technician")
	p.await("both are attached", 10*time.Second, attached(g, c))
	p.run(3 * time.Second)
	p.tunnel("meter", g, c)
	return g, c, nats
}

func shrinkingNAT(p *play, like NAT) {
	g, c, nats := p.behind(like)
	p.say("behind a NAT with %v filtering", like.Filter)
	for i, timeout := range []time.Duration{
		2 * time.Minute, time.Minute, 40 * time.Second, 20 * time.Second,
	} {
		for _, nat := range nats {
			nat.Timeout = timeout
		}
		p.run(5*time.Minute + time.Duration(7*i)*time.Second) // not always at the same beat
		took := p.asks(c, "meter", 45*time.Second)
		p.say("timeout %v: the first answer after a quiet time came after %v", timeout, took)
		p.stream(c, "meter", 5*time.Second, 100)
	}
	p.knocks(g, c)
	for _, h := range []*Host{g, c} {
		if n := swings(h); n > 1 {
			p.fail("%s lost its parent %d times", h.Name, n-1)
		}
	}
	p.say("the first root dies: the NATs meet a second address")
	p.w.Host("root").Kill()
	p.asks(c, "meter", time.Minute)
	p.await("both hang on the second root", 3*time.Minute, hangsOn(p.w.Host("second"), g, c))
	p.stream(c, "meter", 5*time.Second, 100)
}

// knocks repeats what the gateway was sent, from a port beside the root's and from elsewhere: the
// filter decides whether it reaches the gateway's machine; its node gives it to nobody.
func (p *play) knocks(g, c *Host) {
	root := p.w.Host("root")
	var heard [][]byte
	p.w.audit.eye = func(s sight) {
		if s.from == root.Name && s.to == g.Name {
			heard = append(heard, bytes.Clone(s.frame))
		}
	}
	p.stream(c, "meter", 5*time.Second, 100)
	p.w.audit.eye = nil
	spies := []*Host{
		{Name: "beside", Addr: addrPort(root.Addr.Addr(), 4000), w: p.w},
		{Name: "elsewhere", Addr: addrPort(netip.MustParseAddr("198.18.0.1"), 4000), w: p.w},
	}
	delivered := len(g.Got)
	mapped := g.NAT.outward(p.w.Now, g.Addr, root.Addr)
	for _, spy := range spies {
		for _, b := range heard {
			p.w.send(spy, mapped, b)
		}
	}
	p.run(time.Second)
	for _, spy := range spies {
		in := p.w.Bytes(spy.Name, g.Name) > 0
		p.say("%d frames repeated from %s reached the gateway: %v", len(heard), spy.Name, in)
		near := spy == spies[0]
		want := g.NAT.Filter == FilterNothing || near && g.NAT.Filter == FilterAddress
		if in != want {
			p.fail("%v filtering let in %s: %v", g.NAT.Filter, spy.Name, in)
		}
	}
	if len(g.Got) != delivered {
		p.fail("the gateway's host was given %d repeated packets", len(g.Got)-delivered)
	}
	p.stream(c, "meter", 5*time.Second, 100)
}

func restartingNAT(p *play) {
	g, c, nats := p.behind(NAT{})
	for i, name := range []string{"the gateway's NAT", "the technician's NAT"} {
		p.run(5 * time.Minute)
		nats[i].Forget()
		took := p.asks(c, "meter", time.Minute)
		p.say("%s restarted while all was quiet: an answer after %v", name, took)
		p.stream(c, "meter", 10*time.Second, 100)
		nats[i].Forget()
		took = p.asks(c, "meter", time.Minute)
		p.say("%s restarted while they talked: an answer after %v", name, took)
		p.stream(c, "meter", 20*time.Second, 100)
	}
	for _, h := range []*Host{g, c} {
		if n := swings(h); n > 2 {
			p.fail("%s lost its parent %d times", h.Name, n-1)
		}
	}
}
