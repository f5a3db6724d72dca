// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"time"
)

// shapes are the topologies that the product promises, and a large tree.
func shapes() []Scenario {
	return []Scenario{
		{
			Name: "line", plot: line, Least: Counts{2000, 20, 31},
			Story: "A question crosses sixteen links to a root and comes back answered.",
		},
		{
			Name: "star", plot: star, Least: Counts{500, 56, 24},
			Story: "Twenty-four leaves under one root; every third one reaches its neighbour.",
		},
		{
			Name: "circle", plot: circle, Least: Counts{1200, 16, 42},
			Story: "Eight nodes are each other's parents in a ring; nothing runs in circles.",
		},
		{
			Name: "torus", plot: torus, Least: Counts{1900, 30, 42},
			Story: "Sixteen nodes with two parents each; one dies and its children go around it.",
		},
		{
			Name: "island", plot: island, Least: Counts{3000, 30, 40},
			Story: "A torus loses its only way to the root; its ring lives on and finds back.",
		},
		{
			Name: "tree", plot: tree, Large: true, Least: Counts{9000, 1003, 21},
			Story: "A thousand nodes join in four generations, and two leaves talk.",
		},
	}
}

// chain adds a root and hosts below it, each the child of the one before, and returns them all.
func (p *play) chain(links int) []*Host {
	hosts := []*Host{p.host("gateway")}
	for i := 1; i <= links; i++ {
		name := fmt.Sprint("relay", i)
		if i == links {
			name = "technician"
		}
		hosts = append(hosts, p.host(name, hosts[i-1].Name))
	}
	p.await("everybody is attached", 10*time.Second, attached(hosts...))
	p.run(3 * time.Second)
	return hosts
}

func line(p *play) {
	hosts := p.chain(16)
	g, c := hosts[0], hosts[16]
	if n := p.knows(g); n != len(hosts) {
		p.fail("the root knows %d nodes", n)
	}
	p.tunnel("meter", g, c)
	p.look(c, "meter")
	if way := p.way(c, g); len(way) != 17 {
		p.fail("the way is %v", way)
	}
	p.stream(c, "meter", 30*time.Second, 100)
}

func star(p *play) {
	root := p.host("root")
	hosts := []*Host{root}
	for i := range 24 {
		hosts = append(hosts, p.host(fmt.Sprint("leaf", i), "root"))
	}
	p.await("everybody is attached", 10*time.Second, attached(hosts...))
	p.run(3 * time.Second)
	for i := 1; i < len(hosts)-1; i += 3 {
		name := fmt.Sprint("meter", i)
		p.tunnel(name, hosts[i], hosts[i+1])
		if way := p.way(hosts[i+1], hosts[i]); len(way) != 3 {
			p.fail("the way is %v", way)
		}
	}
	for i := 1; i < len(hosts)-1; i += 3 {
		p.asks(hosts[i+1], fmt.Sprint("meter", i), 2*time.Second)
		p.asks(hosts[i+1], fmt.Sprint("meter", i), 2*time.Second)
	}
	p.look(hosts[2], "meter1")
}

// ring adds hosts of which each is the child of the next, and the last of the first.
func (p *play) ring(size int) []*Host {
	var hosts []*Host
	addr := func(i int) string { return fmt.Sprintf("203.0.113.%d:9376", i%size+1) }
	for i := range size {
		hosts = append(hosts, p.w.Add(Config{
			Name: fmt.Sprint("node", i), Addr: addr(i), Parents: []string{addr(i + 1)},
		}))
	}
	p.await("everybody is attached", 10*time.Second, attached(hosts...))
	return hosts
}

func circle(p *play) {
	const size = 8
	hosts := p.ring(size)
	p.run(10 * time.Second)
	before := p.w.Frames
	p.run(10 * time.Minute)
	p.say("ten idle minutes took %d frames", p.w.Frames-before)
	if idle := p.w.Frames - before; idle > size*size*30 {
		p.fail("ten idle minutes took %d frames", idle)
	}
	g, c := hosts[0], hosts[4]
	p.tunnel("meter", g, c)
	p.way(c, g)
	p.look(c, "meter")
	p.stream(c, "meter", 30*time.Second, 100)
	p.say("the ring breaks between %s and %s", hosts[6].Name, hosts[7].Name)
	hosts[7].Kill()
	p.asks(c, "meter", 3*time.Minute)
	hosts[7].Start()
	p.run(5 * time.Minute)
	p.stream(c, "meter", 10*time.Second, 100)
}

// grid is four times four hosts whose parents lie west and north of them, around the edges too.
// The first has none; it is the root.
func (p *play) grid() (at func(x, y int) *Host) {
	const size = 4
	addr := func(x, y int) string {
		return fmt.Sprintf("203.0.113.%d:9376", (y+size)%size*size+(x+size)%size+1)
	}
	for y := range size {
		for x := range size {
			c := Config{Name: fmt.Sprintf("node%d%d", x, y), Addr: addr(x, y)}
			west, north := addr(x-1, y), addr(x, y-1)
			switch {
			case x > 0:
				c.Parents = []string{west, north}
			case y > 0:
				c.Parents = []string{north, west}
			}
			p.w.Add(c)
		}
	}
	p.await("everybody is attached", 10*time.Second, attached(p.w.Hosts()...))
	p.run(3 * time.Second)
	return func(x, y int) *Host { return p.w.Host(fmt.Sprintf("node%d%d", x, y)) }
}

func torus(p *play) {
	at := p.grid()
	g, c := at(3, 1), at(3, 3)
	p.tunnel("meter", g, c)
	p.way(c, g)
	p.look(c, "meter")
	p.stream(c, "meter", 20*time.Second, 100)
	between := at(2, 1)
	between.Kill()
	took := p.asks(c, "meter", 3*time.Minute)
	p.say("around %s after %v", between.Name, took)
	p.way(c, g)
	between.Start()
	p.run(10 * time.Minute)
	p.stream(c, "meter", 20*time.Second, 100)
	p.way(c, g)
}

func island(p *play) {
	at := p.grid()
	root, g, c := at(0, 0), at(1, 2), at(2, 3)
	p.tunnel("meter", g, c)
	p.tunnel("gate", root, c)
	p.say("the only way to the root dies; a ring of parents remains without one")
	at(0, 1).Kill()
	p.run(5 * time.Minute)
	before := p.w.Frames
	p.stream(c, "meter", 20*time.Second, 100)
	p.way(c, g)
	if done := p.ask(c, "gate"); p.w.Until(30*time.Second, done) {
		p.fail("the island reached the root")
	}
	p.run(10 * time.Minute)
	p.say("ten quiet minutes on the island took %d frames", p.w.Frames-before)
	if p.w.Frames-before > 2000 {
		p.fail("ten quiet minutes on the island took %d frames", p.w.Frames-before)
	}
	at(0, 1).Start()
	took := p.asks(c, "gate", 10*time.Minute)
	p.say("the root answers %v after the way is back", took)
	p.run(10 * time.Minute)
	p.stream(c, "meter", 10*time.Second, 100)
	p.stream(c, "gate", 10*time.Second, 100)
	if n := p.knows(root); n != 16 {
		p.fail("the root knows %d nodes", n)
	}
}

func tree(p *play) {
	const regions, relays, leaves = 9, 10, 10
	log := p.w.Log
	p.w.Log = nil // a thousand nodes say the same
	p.w.SetLink(Link{Delay: 15 * time.Millisecond, Jitter: 5 * time.Millisecond})
	root := p.host("root")
	var last *Host
	for i := range regions {
		region := p.host(fmt.Sprint("region", i), root.Name)
		for j := range relays {
			relay := p.host(fmt.Sprintf("relay%d-%d", i, j), region.Name)
			for k := range leaves {
				last = p.host(fmt.Sprintf("leaf%d-%d-%d", i, j, k), relay.Name)
			}
		}
	}
	p.await("the root knows everybody", time.Minute, func() bool {
		p.run(900 * time.Millisecond)
		return p.knows(root) == 1+regions+regions*relays+regions*relays*leaves
	})
	p.w.Log = log
	p.say("%d nodes joined with %d frames", len(p.w.hosts), p.w.Frames)
	g := p.w.Host("leaf0-0-0")
	p.tunnel("meter", g, last)
	p.look(last, "meter")
	if way := p.way(last, g); len(way) != 7 {
		p.fail("the way is %v", way)
	}
	p.stream(last, "meter", 20*time.Second, 100)
}
