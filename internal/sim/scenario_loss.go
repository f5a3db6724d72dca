// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"time"
)

// losses are underlays that lose, copy and reorder.
func losses() []Scenario {
	return []Scenario{
		{
			Name: "loss-one-link", plot: lossOneLink, Least: Counts{700, 8, 25},
			Story: "One link of four loses every fifth datagram; questions still get through.",
		},
		{
			Name: "loss-every-link", plot: lossEveryLink, Least: Counts{3000, 20, 20},
			Story: "Each of sixteen links loses two datagrams in a hundred.",
		},
		{
			Name: "duplicates", plot: duplicates, Least: Counts{400, 6, 60},
			Story: "The underlay delivers every third datagram twice; no host sees one twice.",
		},
		{
			Name: "reordering", plot: reordering, Least: Counts{400, 6, 60},
			Story: "Datagrams overtake each other by up to a fifth of a second.",
		},
		{
			Name: "slow", plot: slow, Least: Counts{500, 8, 20},
			Story: "Every link takes 600 ms, as by a satellite.",
		},
		{
			Name: "quiet", plot: quiet, Least: Counts{450, 8, 22},
			Story: "A tunnel that nobody uses costs nothing, and answers at once when asked.",
		},
		{
			Name: "partition", plot: partition, Least: Counts{950, 16, 50},
			Story: "Half of the network is cut off for five minutes, and comes back by itself.",
		},
	}
}

func lossOneLink(p *play) {
	hosts := p.chain(4)
	p.w.SetLinkBetween("relay1", "relay2", Link{Delay: 10 * time.Millisecond, Loss: 0.2})
	g, c := hosts[0], hosts[4]
	p.tunnel("meter", g, c)
	p.stream(c, "meter", time.Minute, 40) // 0.8 x 0.8 of the questions, less bad luck
	p.run(10 * time.Minute)
	if !attached(hosts...)() {
		p.fail("the loss cost somebody his parent")
	}
	p.asks(c, "meter", 20*time.Second)
}

func lossEveryLink(p *play) {
	hosts := p.chain(16)
	lossy := Link{Delay: 10 * time.Millisecond, Loss: 0.02}
	for i := 1; i < len(hosts); i++ {
		p.w.SetLinkBetween(hosts[i-1].Name, hosts[i].Name, lossy)
	}
	g, c := hosts[0], hosts[16]
	p.tunnel("meter", g, c)
	p.stream(c, "meter", time.Minute, 25) // 0.98 to the 32nd of the questions, less bad luck
	p.run(10 * time.Minute)
	p.asks(c, "meter", 30*time.Second)
}

// trio is a root with two leaves that have agreed on a tunnel.
func (p *play) trio() (root, g, c *Host) {
	root = p.host("root")
	g, c = p.host("gateway", "root"), p.host("technician", "root")
	p.await("everybody is attached", time.Minute, attached(root, g, c))
	p.run(3 * time.Second)
	p.tunnel("meter", g, c)
	return root, g, c
}

func duplicates(p *play) {
	p.w.SetLink(Link{Delay: 10 * time.Millisecond, Twice: 0.33})
	_, g, c := p.trio()
	p.stream(c, "meter", time.Minute, 100)
	once := map[string]int{}
	for _, h := range []*Host{g, c} {
		for _, got := range h.Got {
			if once[got.Payload]++; once[got.Payload] > 1 {
				p.fail("%s was given %q twice", h.Name, got.Payload)
			}
		}
	}
}

func reordering(p *play) {
	p.w.SetLink(Link{Delay: 5 * time.Millisecond, Jitter: 200 * time.Millisecond})
	_, g, c := p.trio()
	for i := range 20 { // a burst, so that they do overtake each other
		c.Ask("meter", 7000, service, fmt.Sprint("burst ", i))
	}
	p.run(2 * time.Second)
	arrived, inOrder, last := 0, true, ""
	for _, got := range g.Got {
		if len(got.Payload) > 5 && got.Payload[:5] == "burst" {
			arrived++
			inOrder = inOrder && len(got.Payload) >= len(last) && got.Payload >= last
			last = got.Payload
		}
	}
	p.say("%d of 20 questions of a burst arrived, in order: %v", arrived, inOrder)
	if arrived != 20 || inOrder {
		p.fail("%d of 20 questions of a burst arrived, in order: %v", arrived, inOrder)
	}
	p.stream(c, "meter", time.Minute, 95)
}

func slow(p *play) {
	p.w.SetLink(Link{Delay: 600 * time.Millisecond})
	_, g, c := p.trio()
	for range 20 {
		p.asks(c, "meter", 4*time.Second)
	}
	p.run(10 * time.Minute)
	p.asks(c, "meter", time.Minute)
	for _, h := range []*Host{g, c} {
		if n := swings(h); n > 1 {
			p.fail("%s lost its parent %d times", h.Name, n-1)
		}
	}
}

func partition(p *play) {
	root := p.host("root")
	east, west := p.host("east", "root"), p.host("west", "root")
	g, c := p.host("gateway", "east"), p.host("technician", "west")
	near := p.host("neighbour", "west")
	p.await("everybody is attached", 10*time.Second, attached(root, east, west, g, c, near))
	p.run(3 * time.Second)
	p.tunnel("meter", g, c)
	p.tunnel("printer", near, c)
	p.way(c, g)
	p.say("the west is cut off")
	p.w.Cut("root", "west")
	p.run(30 * time.Second)
	p.stream(c, "printer", 30*time.Second, 100)
	if done := p.ask(c, "meter"); p.w.Until(4*time.Minute, done) {
		p.fail("a question crossed the cut")
	}
	p.say("the cut is mended")
	p.w.Heal("root", "west")
	took := p.asks(c, "meter", 2*time.Minute)
	p.say("the first answer came after %v", took)
	p.stream(c, "meter", 20*time.Second, 100)
	p.way(c, g)
}

func quiet(p *play) {
	_, g, c := p.trio()
	p.stream(c, "meter", 20*time.Second, 100)
	p.run(5 * time.Minute)
	spent := func() int { return p.w.Bytes(g.Name, "root") + p.w.Bytes("root", g.Name) }
	before := spent()
	p.run(time.Hour)
	const budget = 200_000 / 24 // what an idle leaf may cost a day
	p.say("an idle hour with a tunnel cost the gateway %d bytes", spent()-before)
	if spent()-before > budget {
		p.fail("an idle hour with a tunnel cost %d bytes, at most %d", spent()-before, budget)
	}
	took := p.asks(c, "meter", 3*time.Second)
	p.say("the first answer after it came after %v", took)
}
