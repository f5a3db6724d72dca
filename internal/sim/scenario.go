// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"staex/internal/ident"
	"staex/internal/overlay/node"
	"staex/internal/overlay/state"
	"staex/internal/wire"
)

// Scenario is a story that a seed makes repeatable.
type Scenario struct {
	Name  string
	Story string // one sentence
	Large bool   // takes seconds rather than a moment
	Least Counts // what a run must reach to prove anything
	plot  func(*play)
}

// Counts is what happened in a run.
type Counts struct {
	Frames  int // datagrams that reached somebody
	Changes int // parents and sessions that came up, moved or went down
	Answers int // questions that were answered through a tunnel
}

// Result is the end of a story.
type Result struct {
	Counts
	Failed []string // what should have happened and did not
	Trace  [32]byte // hash over every frame's bytes, time and link
}

// Scenarios lists every story in the order in which they are told.
func Scenarios() []Scenario {
	var all []Scenario
	for _, part := range [][]Scenario{
		shapes(), losses(), parents(), translators(), clocks(), networks(),
	} {
		all = append(all, part...)
	}
	return all
}

// Find returns the scenario with a name.
func Find(name string) (Scenario, bool) {
	for _, s := range Scenarios() {
		if s.Name == name {
			return s, true
		}
	}
	return Scenario{}, false
}

// Play runs the story from a seed and writes it to log, unless that is nil. Equal seeds give
// equal worlds.
func (s Scenario) Play(seed uint64, log io.Writer) (*World, *Result) {
	w := New(seed)
	if log != nil {
		w.Log = log
	}
	p := &play{w: w, res: &Result{}}
	s.plot(p)
	w.inspect()
	p.res.Frames, p.res.Trace = w.Frames, w.Trace()
	for _, h := range w.hosts {
		for _, e := range h.Events {
			switch e.Kind {
			case node.EventParentUp, node.EventParentDown, node.EventSessionUp,
				node.EventSessionDown, node.EventSessionMoved:
				p.res.Changes++
			default:
			}
		}
	}
	return w, p.res
}

// service is the port behind every tunnel of the stories.
const service = 161

// play is a story while it is told.
type play struct {
	w     *World
	res   *Result
	asked int
}

func (p *play) say(format string, args ...any) { p.w.logf("· "+format, args...) }

func (p *play) fail(format string, args ...any) {
	text := fmt.Sprintf("%v: ", p.w.Now) + fmt.Sprintf(format, args...)
	p.res.Failed = append(p.res.Failed, text)
	p.w.logf("FAILED: %s", text)
}

// run lets time pass.
func (p *play) run(d time.Duration) { p.w.Run(d) }

// await lets time pass until cond holds, and fails after d. It looks every tenth of a second.
func (p *play) await(what string, d time.Duration, cond func() bool) {
	for end := p.w.Now + d; !cond(); p.w.Run(100 * time.Millisecond) {
		if p.w.Now >= end {
			p.fail("not within %v: %s", d, what)
			return
		}
	}
}

// host adds a host; parents are names of hosts that are there already.
func (p *play) host(name string, parents ...string) *Host {
	return p.hostWith(Config{Name: name}, parents...)
}

func (p *play) hostWith(c Config, parents ...string) *Host {
	i := len(p.w.hosts) + 1
	if c.Addr == "" {
		c.Addr = fmt.Sprintf("100.64.%d.%d:9376", i/250, i%250+1)
	}
	for _, name := range parents {
		entry := p.w.Host(name).Addr.String()
		if c.Network != nil {
			entry = name + "@" + entry
		}
		c.Parents = append(c.Parents, entry)
	}
	return p.w.Add(c)
}

// attached reports whether hosts have a parent; roots count as attached.
func attached(hosts ...*Host) func() bool {
	return func() bool {
		for _, h := range hosts {
			if h.Node == nil {
				continue
			}
			if _, _, ok := h.Node.Parent(); !ok && !h.Node.IsRoot() {
				return false
			}
		}
		return true
	}
}

// tunnel makes a tunnel from one host to another and waits until both hold it.
func (p *play) tunnel(name string, server, client *Host) {
	if server.Serve == nil {
		server.Serve = Shout
	}
	server.Tunnel(name, client, ident.Target{Proto: ident.ProtoUDP, Port: service})
	p.agreed(name, server, client)
}

// agreed waits until a tunnel carries a question and its answer.
func (p *play) agreed(name string, server, client *Host) {
	p.say("%s offers %s the tunnel %q", server.Name, client.Name, name)
	p.await("the tunnel "+name+" is agreed on", 30*time.Second, func() bool {
		_, ok := client.Address(name)
		return ok
	})
	p.asks(client, name, 90*time.Second)
}

// asks puts a new question to a tunnel each second, as real clients do, until one is answered;
// it fails after d and returns how long it took.
func (p *play) asks(c *Host, name string, d time.Duration) time.Duration {
	began := p.w.Now
	var open []func() bool
	answered := func() bool {
		return slices.ContainsFunc(open, func(done func() bool) bool { return done() })
	}
	for p.w.Now-began < d {
		open = append(open, p.ask(c, name))
		if p.w.Until(time.Second, answered) {
			p.res.Answers++
			return p.w.Now - began
		}
	}
	p.fail("%s asked %s for %v and got no answer", c.Name, name, d)
	return d
}

// ask puts one question to a tunnel and returns whether its answer has come by now.
func (p *play) ask(c *Host, name string) (answered func() bool) {
	p.asked++
	text := fmt.Sprintf("question %d of %s", p.asked, c.Name)
	mark, port := len(c.Got), uint16(5000+p.asked%8)
	if c.Node == nil || !c.Ask(name, port, service, text) {
		return func() bool { return false }
	}
	want := strings.ToUpper(text)
	return func() bool {
		for _, got := range c.Got[min(mark, len(c.Got)):] {
			if strings.HasPrefix(got.Payload, want) {
				return true
			}
		}
		return false
	}
}

// stream asks once a second for a while and fails unless so many in a hundred questions are
// answered within a second.
func (p *play) stream(c *Host, name string, d time.Duration, share int) {
	asked, answered := int(d/time.Second), 0
	for range asked {
		end := p.w.Now + time.Second
		if p.w.Until(time.Second, p.ask(c, name)) {
			answered++
		}
		p.run(end - p.w.Now)
	}
	p.res.Answers += answered
	p.say("%s asked %s %d times in %v: %d answers", c.Name, name, asked, d, answered)
	if answered*100 < share*asked {
		p.fail("%d of %d questions were answered, less than %d in 100", answered, asked, share)
	}
}

// knows counts the nodes that a host knows.
func (p *play) knows(h *Host) int {
	count := 0
	for _, x := range h.Node.Nodes(h.reading()) {
		if x.Kind == state.Node {
			count++
		}
	}
	return count
}

// way probes the path between two hosts and tells which nodes it passed.
func (p *play) way(from, to *Host) []string {
	mark := len(from.Events)
	p.asked++
	must(from.Apply(node.Probe{Token: uint64(p.asked), Dest: to.ID()}))
	var trail []string
	var text string
	p.w.Until(6*time.Second, func() bool {
		for _, e := range from.Events[mark:] {
			if e.Kind == node.EventProbe && e.Token == uint64(p.asked) {
				trail, text = p.names(e.Trail), e.Text
				return true
			}
		}
		return false
	})
	if len(trail) == 0 {
		p.say("a probe from %s to %s: %s", from.Name, to.Name, text)
		return nil
	}
	p.say("a probe from %s to %s went %s", from.Name, to.Name, strings.Join(trail, " > "))
	return trail
}

// names turns keys into the names of hosts.
func (p *play) names(keys []ident.NodeID) []string {
	list := make([]string, 0, len(keys))
	for _, k := range keys {
		name := k.String()[:8]
		for _, h := range p.w.hosts {
			if h.ID() == k {
				name = h.Name
			}
		}
		list = append(list, name)
	}
	return list
}

// look asks one question and tells what each link on its way shows to whoever listens there.
func (p *play) look(c *Host, name string) {
	const marker = "the valve of pump 7 is open"
	addr, ok := c.Address(name)
	if !ok {
		p.fail("%s does not know %q", c.Name, name)
		return
	}
	p.w.Watch([]byte(marker))
	p.say("%s sends %q to %s:", c.Name, marker, name)
	p.w.audit.eye = func(s sight) {
		if wire.PeekType(s.frame) != wire.TypeData {
			return
		}
		p.w.logf("    %-12s > %-12s %s", s.from, s.to, describeFrame(s.frame))
	}
	c.SendIP(UDP(addrPort(c.Own(), 6000), addrPort(addr, service), []byte(marker)))
	p.run(2 * time.Second)
	p.w.audit.eye = nil
}
