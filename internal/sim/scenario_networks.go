// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"strings"
	"time"

	"staex/internal/ident"
	"staex/internal/overlay/node"
)

// networks are relays that carry for others.
func networks() []Scenario {
	return []Scenario{{
		Name: "two-networks", plot: twoNetworks, Least: Counts{300, 12, 42},
		Story: "Two networks use one tunnel name under a root of a third; neither sees the other.",
	}}
}

// site is one network's hosts in a story.
type site struct {
	network *Network
	g, c    *Host
	sign    string // what its meter puts behind every answer
}

func twoNetworks(p *play) {
	public := p.w.NewNetwork("public")
	sites := []*site{{sign: "RED"}, {sign: "BLUE"}}
	var carried []ident.NetworkKey
	for _, s := range sites {
		s.network = p.w.NewNetwork(strings.ToLower(s.sign))
		carried = append(carried, s.network.Cert.Key)
	}
	p.hostWith(Config{
		Name: "root", Network: public, Node: node.Config{RelayNetworks: carried},
	})
	for _, s := range sites {
		name := strings.ToLower(s.sign)
		s.g = p.hostWith(Config{Name: name + "-gateway", Network: s.network}, "root")
		s.c = p.hostWith(Config{Name: name + "-client", Network: s.network}, "root")
		s.g.Serve = func(q Packet) []byte { return append(Shout(q), s.sign...) }
	}
	p.await("everybody is attached", 10*time.Second, attached(p.w.Hosts()...))
	p.run(3 * time.Second)
	udp := ident.Target{Proto: ident.ProtoUDP, Port: service}
	for _, s := range sites {
		s.g.TunnelIn(s.network, "meter", s.c, udp)
		p.agreed("meter", s.g, s.c)
		p.stream(s.c, "meter", 20*time.Second, 100)
		p.look(s.c, "meter")
	}
	for i, s := range sites {
		other := sites[1-i]
		for _, got := range s.c.Got {
			if strings.HasSuffix(got.Payload, other.sign) {
				p.fail("%s was answered by %s", s.c.Name, other.g.Name)
			}
		}
		p.blind(s.c, other.g, other.c)
		if trail := p.way(s.c, other.g); len(trail) > 0 {
			p.fail("%s found %s", s.c.Name, other.g.Name)
		}
		p.trespass(s.c, other.g)
	}
}

// blind checks that a host does not know others.
func (p *play) blind(h *Host, others ...*Host) {
	for _, x := range h.Node.Nodes(h.reading()) {
		for _, o := range others {
			if x.ID == o.ID() {
				p.fail("%s knows %s", h.Name, o.Name)
			}
		}
	}
}

// trespass lets a host send to the address that another one would have.
func (p *play) trespass(h, other *Host) {
	before := len(other.Got)
	l, _ := h.Node.Lease(h.reading(), other.ID())
	h.SendIP(UDP(addrPort(h.Own(), 5000), addrPort(l.V4, service), []byte("open")))
	h.SendIP(Echo(h.Own(), l.V4, 1, 1, []byte("open")))
	p.run(10 * time.Second)
	if len(other.Got) != before {
		p.fail("%s was given a packet of %s", other.Name, h.Name)
	}
}
