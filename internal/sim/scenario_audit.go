// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"net/netip"
	"time"

	"staex/internal/wire"
)

const (
	// linksMost is how many links one data frame may cross: 64 relays lie between 65 of them.
	linksMost = 65
	// turnEvery is how often the older half of what the auditor remembers is forgotten. A label
	// rests longer (60 s) than a counter is remembered (at most twice this), so that no two
	// sessions are mistaken for one.
	turnEvery = 30 * time.Second
)

// Invariants are, in words, what a world checks at every frame, packet and half minute.
func Invariants() []string {
	return []string{
		"no frame shows a plaintext that the scenario marked",
		"a host is given only packets that a tunnel of its own names, with correct checksums",
		"no data frame crosses more links than a path may have; none leaves one host twice",
		"no sender uses a counter twice under one label",
		"no frame is larger than the largest datagram",
		"no table and no queue of a node grows beyond its bound",
	}
}

// sealTag is the end of a sealed frame: it tells every frame from every other, and no relay
// changes it.
type sealTag [wire.TagSize]byte

// sight is one frame on one link as anybody there sees it.
type sight struct {
	from, to string
	frame    []byte
}

// crossing counts how a data frame travelled.
type crossing struct {
	links  int
	copies int // that the underlay made
	hosts  map[*Host]bool
}

// counterKey is what a counter may be used for only once. Its low 16 bits are enough: nobody
// sends so many frames in a minute here.
type counterKey struct {
	sender  *Host
	to      netip.AddrPort
	label   wire.Label
	typ     uint8
	epoch   uint8
	counter uint16
}

// memory is what the auditor saw in one span of time.
type memory struct {
	crossed  map[sealTag]*crossing
	counters map[counterKey]sealTag
}

func newMemory() memory {
	return memory{map[sealTag]*crossing{}, map[counterKey]sealTag{}}
}

// audit holds every frame against the invariants that need a memory.
type audit struct {
	now, before memory
	turned      time.Duration
	eye         func(sight) // sees every data and link frame, while a scenario looks
}

// sent looks at a frame that leaves a host.
func (a *audit) sent(w *World, h *Host, to netip.AddrPort, b []byte) {
	if a.now.crossed == nil {
		a.now, a.before = newMemory(), newMemory()
	}
	if w.Now-a.turned >= turnEvery {
		a.turned, a.before, a.now = w.Now, a.now, newMemory()
		w.inspect()
	}
	if len(b) > wire.MaxDatagram {
		w.broken("%s sent a frame of %d bytes", h.Name, len(b))
	}
	head, _, err := wire.ParseDataHeader(b)
	if err != nil || len(b) < wire.TagSize {
		return
	}
	tag := tagOf(b)
	origin := true
	if head.Type == wire.TypeData {
		origin = a.crossing(w, h, tag)
	}
	if a.eye != nil {
		a.eye(sight{h.Name, w.nameAt(to), b})
	}
	if origin {
		key := counterKey{h, to, head.Label, head.Type, head.Epoch, uint16(head.Counter)}
		a.counter(w, key, tag)
	}
}

// tagOf is the tag of a sealed frame, in front of its hop MAC if it has one.
func tagOf(b []byte) sealTag {
	marked := wire.PeekType(b) == wire.TypeData && wire.HasHopMAC(b[0])
	if marked && len(b) >= wire.TagSize+wire.HopMACSize {
		b = b[:len(b)-wire.HopMACSize]
	}
	return sealTag(b[len(b)-wire.TagSize:])
}

// crossing counts a data frame's links and reports whether this is its first.
func (a *audit) crossing(w *World, h *Host, tag sealTag) (first bool) {
	c := a.now.crossed[tag]
	if c == nil {
		c = a.before.crossed[tag]
	}
	if c == nil {
		first = true
		c = &crossing{hosts: map[*Host]bool{}}
	}
	a.now.crossed[tag] = c
	c.links++
	if c.hosts[h] && c.copies == 0 {
		w.broken("%s sent one data frame twice: a loop of labels", h.Name)
	}
	c.hosts[h] = true
	if c.links > linksMost*(1+c.copies) {
		w.broken("a data frame crossed %d links", c.links)
	}
	return first
}

// copied notes that the underlay made a second frame of one.
func (a *audit) copied(b []byte) {
	if wire.PeekType(b) == wire.TypeData && len(b) >= wire.TagSize {
		if c := a.now.crossed[tagOf(b)]; c != nil {
			c.copies++
		}
	}
}

// counter checks that a counter is used for one ciphertext only.
func (a *audit) counter(w *World, key counterKey, tag sealTag) {
	for _, m := range []memory{a.now, a.before} {
		if other, used := m.counters[key]; used && other != tag {
			w.broken("%s used counter %d twice under label %06x",
				key.sender.Name, key.counter, uint32(key.label))
		}
	}
	a.now.counters[key] = tag
}

// inspect compares what grows in every node with its bound.
func (w *World) inspect() {
	for _, h := range w.hosts {
		if h.Node == nil {
			continue
		}
		for _, g := range h.Node.Gauges() {
			if g.Value > g.Most {
				w.broken("%s has %d %s, at most %d", h.Name, g.Value, g.Name, g.Most)
			}
		}
	}
}

// hostAt finds who would get a datagram for an address now.
func (w *World) hostAt(to netip.AddrPort) *Host {
	if nat := w.nats[to.Addr()]; nat != nil {
		m := nat.in[to.Port()]
		if m == nil {
			return nil
		}
		to = m.inside
	}
	return w.byAddr[to]
}

func (w *World) nameAt(to netip.AddrPort) string {
	if h := w.hostAt(to); h != nil {
		return h.Name
	}
	return "nobody"
}
