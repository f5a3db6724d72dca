// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"time"

	"staex/internal/overlay/node"
)

// parents are machines that die, come back, and do so again and again.
func parents() []Scenario {
	return []Scenario{
		{
			Name: "second-parent", plot: secondParent, Least: Counts{400, 18, 43},
			Story: "A parent dies and the second takes over; the first returns and is taken back.",
		},
		{
			Name: "flapping-parent", plot: flappingParent, Least: Counts{2700, 20, 500},
			Story: "The first parent comes and goes every 20 s for ten minutes; the second holds.",
		},
		{
			Name: "flapping-link", plot: flappingLink, Least: Counts{2000, 10, 250},
			Story: "The way to the first parent, not the parent, comes and goes every 20 s.",
		},
		{
			Name: "root-restart", plot: rootRestart, Least: Counts{4500, 200, 500},
			Story: "A root restarts while twenty tunnels talk each second.",
		},
		{
			Name: "reboot", plot: reboot, Least: Counts{500, 20, 33},
			Story: "Every machine in turn loses power, and finds its way back with its disk.",
		},
		{
			Name: "lost-disks", plot: lostDisks, Least: Counts{550, 20, 33},
			Story: "Root, gateway and client lose their disks in turn; nobody is locked out.",
		},
		{
			Name: "moving-gateway", plot: movingGateway, Least: Counts{550, 12, 100},
			Story: "The gateway gets another address while it answers each second.",
		},
	}
}

// pair is a root, a relay below it, and two leaves that prefer the root.
func (p *play) pair() (first, second, g, c *Host) {
	first, second = p.host("first"), p.host("second", "first")
	g = p.host("gateway", "first", "second")
	c = p.host("technician", "first", "second")
	p.await("everybody is attached", 10*time.Second, attached(g, c))
	p.run(3 * time.Second)
	p.tunnel("meter", g, c)
	return first, second, g, c
}

func hangsOn(parent *Host, hosts ...*Host) func() bool {
	return func() bool {
		for _, h := range hosts {
			if id, _, ok := h.Node.Parent(); !ok || id != parent.ID() {
				return false
			}
		}
		return true
	}
}

func secondParent(p *play) {
	first, second, g, c := p.pair()
	p.way(c, g)
	first.Kill()
	took := p.asks(c, "meter", time.Minute)
	p.say("over the second parent after %v", took)
	p.await("both hang on the second parent", 3*time.Minute, hangsOn(second, g, c))
	p.way(c, g)
	p.stream(c, "meter", 20*time.Second, 100)
	first.Start()
	p.await("both are back at the first parent", 20*time.Minute, hangsOn(first, g, c))
	took = p.asks(c, "meter", time.Minute)
	p.say("over the first parent again, the first answer after %v", took)
	p.way(c, g)
	p.stream(c, "meter", 20*time.Second, 100)
}

// swings counts how often a host changed its parent.
func swings(h *Host) int {
	count := 0
	for _, e := range h.Events {
		if e.Kind == node.EventParentUp {
			count++
		}
	}
	return count
}

const (
	flapPeriod = 20 * time.Second
	flapFor    = 10 * time.Minute
)

// flap calls off and on in turn while a client asks each second; share of its questions in
// hundredths must be answered.
func (p *play) flap(c *Host, share int, off, on func()) {
	began := p.w.Now
	for i := range int(flapFor / flapPeriod) {
		turn := off
		if i%2 == 1 {
			turn = on
		}
		p.w.At(began+time.Duration(i)*flapPeriod, turn)
	}
	p.stream(c, "meter", flapFor, share)
}

func flappingParent(p *play) {
	first, second, g, c := p.pair()
	p.flap(c, 90, first.Kill, first.Start)
	p.calm(second, g, c)
}

func flappingLink(p *play) {
	_, second, g, c := p.pair()
	// The gateway only answers. While its link is cut it hears nothing and misses nothing, so it
	// keeps a parent that it can reach half of the time.
	p.flap(c, 40, func() {
		p.w.Cut("first", "gateway")
		p.w.Cut("first", "technician")
	}, func() {
		p.w.Heal("first", "gateway")
		p.w.Heal("first", "technician")
	})
	p.calm(second, g, c)
}

// calm checks that nobody swung along with a flapping parent.
func (p *play) calm(second, g, c *Host) {
	for _, h := range []*Host{g, c} {
		p.say("%s changed its parent %d times", h.Name, swings(h))
		if swings(h) > 6 {
			p.fail("%s changed its parent %d times", h.Name, swings(h))
		}
	}
	p.asks(c, "meter", time.Minute)
	if second.Node.Links() > 3 { // two children and a parent
		p.fail("the second parent holds %d links", second.Node.Links())
	}
	p.run(20 * time.Minute)
	p.await("both are back at the first parent", time.Minute, hangsOn(p.w.Host("first"), g, c))
	p.stream(c, "meter", 10*time.Second, 100)
}

func rootRestart(p *play) {
	const pairs = 20
	root := p.host("root")
	var clients []*Host
	for i := range pairs {
		g := p.host(fmt.Sprint("gateway", i), "root")
		c := p.host(fmt.Sprint("technician", i), "root")
		clients = append(clients, c)
		p.await("both are attached", 10*time.Second, attached(g, c))
		p.run(time.Second)
		p.tunnel(meterName(i), g, c)
	}
	p.streams(clients, 10*time.Second)
	root.Kill()
	p.streams(clients, 5*time.Second)
	root.Start()
	back := map[int]bool{}
	restarted := p.w.Now
	for p.w.Now-restarted < 3*time.Minute && len(back) < pairs {
		for i, ok := range p.streams(clients, time.Second) {
			if ok > 0 && !back[i] {
				back[i] = true
				p.say("%s is back after %v", meterName(i), p.w.Now-restarted)
			}
		}
	}
	if len(back) < pairs {
		p.fail("only %d of %d tunnels came back", len(back), pairs)
	}
	for i, ok := range p.streams(clients, 20*time.Second) {
		if ok < 20 {
			p.fail("%s answered %d of 20 questions after the restart", meterName(i), ok)
		}
	}
}

func meterName(i int) string { return fmt.Sprint("meter", i) }

// streams lets every client ask its own meter once a second and counts the answers of each.
func (p *play) streams(clients []*Host, d time.Duration) []int {
	answers := make([]int, len(clients))
	for range int(d / time.Second) {
		open := make([]func() bool, len(clients))
		for i, c := range clients {
			open[i] = p.ask(c, meterName(i))
		}
		p.run(time.Second)
		for i, done := range open {
			if done() {
				answers[i]++
				p.res.Answers++
			}
		}
	}
	return answers
}

func reboot(p *play) {
	root, g, c := p.trio()
	for _, h := range []*Host{root, g, c} {
		h.Kill()
		p.run(3 * time.Second)
		h.Start()
		took := p.asks(c, "meter", time.Minute)
		p.say("%s was off for 3s; an answer came %v after it was back", h.Name, took)
		p.stream(c, "meter", 10*time.Second, 90)
		p.run(10 * time.Minute)
	}
	p.asks(c, "meter", 10*time.Second)
}

func lostDisks(p *play) {
	root, g, c := p.trio()
	for _, h := range []*Host{root, g, c} {
		h.Kill()
		h.LoseDisk()
		p.run(3 * time.Second)
		h.Start()
		if h == c { // it asks who has tunnels for it, and the server end offers them again
			p.await("the tunnel was offered again", time.Minute, func() bool {
				_, ok := c.Address("meter")
				return ok
			})
		}
		took := p.asks(c, "meter", 2*time.Minute)
		p.say("%s lost its disk; an answer came after %v", h.Name, took)
		p.stream(c, "meter", 10*time.Second, 90)
		p.run(10 * time.Minute)
	}
}

func movingGateway(p *play) {
	_, g, c := p.trio()
	p.stream(c, "meter", 20*time.Second, 100)
	for i := range 3 {
		g.MoveTo(fmt.Sprintf("100.99.0.%d:9376", i+1))
		took := p.asks(c, "meter", time.Minute)
		p.say("the first answer came %v after the move", took)
		p.stream(c, "meter", 40*time.Second, 100)
	}
	if n := swings(g); n > 4 {
		p.fail("the gateway changed its parent %d times", n)
	}
}
