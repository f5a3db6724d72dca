// SPDX-License-Identifier: Apache-2.0

package sim

import "time"

// clocks are machines that sleep, or do not know what day it is.
func clocks() []Scenario {
	return []Scenario{
		{
			Name: "suspend", plot: suspend, Least: Counts{6000, 20, 30},
			Story: "The gateway, then the client, then both sleep for a day and wake up.",
		},
		{
			Name: "boot-in-1970", plot: bootIn1970, Least: Counts{400, 9, 50},
			Story: "Machines without a battery for their clock join, agree and talk.",
		},
	}
}

func suspend(p *play) {
	_, g, c := p.trio()
	const day = 24 * time.Hour
	for _, sleepers := range [][]*Host{{g}, {c}, {g, c}} {
		var wake []func()
		for _, h := range sleepers {
			wake = append(wake, h.Suspend())
		}
		p.run(day)
		for _, f := range wake {
			f()
		}
		took := p.asks(c, "meter", 3*time.Minute)
		p.say("the first answer came %v after the wake-up", took)
		p.stream(c, "meter", 10*time.Second, 90)
	}
}

func bootIn1970(p *play) {
	root := p.host("root")
	add := func(name string) *Host {
		h := p.host(name, "root")
		h.Kill()
		h.Unset = true
		h.Start()
		return h
	}
	g, c := add("gateway"), add("technician")
	p.await("everybody is attached", 10*time.Second, attached(root, g, c))
	p.run(3 * time.Second)
	p.tunnel("meter", g, c)
	p.stream(c, "meter", 20*time.Second, 100)
	p.say("the gateway learns what day it is")
	g.Unset = false
	p.run(time.Hour)
	p.stream(c, "meter", 20*time.Second, 90)
	g.Kill()
	g.Unset = true
	g.Start()
	p.asks(c, "meter", time.Minute)
	p.stream(c, "meter", 10*time.Second, 90)
}
