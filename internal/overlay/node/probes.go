// SPDX-License-Identifier: Apache-2.0

package node

import (
	"time"

	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/wire"
)

// maxProbes bounds the probes under way at one node.
const maxProbes = 64

// probeMAC is the size of the proof of membership in a probe in bytes.
const probeMAC = 8

// noNames says why a node that only carries others' packets asks nobody.
const noNames = "this node has no names key, so it only carries others' packets"

// probe is a question along the path to a node: is it there, and by which nodes of ours?
type probe struct {
	token uint64
	dest  ident.NodeID
	began time.Duration
}

type probeBook struct{ count int }

func (b *probeBook) init() {}

// startProbe sends a probe; its end is reported as EventProbe with the token.
func (n *Node) startProbe(now clock.Reading, token uint64, dest ident.NodeID) {
	p := &probe{token: token, dest: dest, began: now.Up}
	if _, local := n.nextHop(dest, nil); local {
		n.event(Event{Kind: EventProbe, Key: dest, Token: token, Trail: []ident.NodeID{n.self}})
		return
	}
	if n.probes.count >= maxProbes {
		n.event(Event{Kind: EventProbe, Key: dest, Token: token, Text: "too many probes"})
		return
	}
	if !n.who.HasNames {
		n.event(Event{Kind: EventProbe, Key: dest, Token: token, Text: noNames})
		return
	}
	mac := n.who.Names.MAC8([]byte("probe"), dest[:])
	if !n.ask(now, dest, wire.PathProbe, 0, mac[:], p) {
		n.event(Event{Kind: EventProbe, Key: dest, Token: token, Text: "no parent"})
		return
	}
	n.probes.count++
}

// pathOK is for asker: the probe came back.
func (p *probe) pathOK(n *Node, now clock.Reading, s *setup, ok wire.PathOK, _ *Effects) {
	n.probes.count--
	trail := append([]ident.NodeID{n.self}, ok.Trail...)
	trail = append(trail, s.dest)
	n.event(Event{
		Kind: EventProbe, Key: p.dest, Token: p.token, Trail: trail, Took: now.Up - p.began,
	})
}

// pathNo is for asker: the probe got lost.
func (p *probe) pathNo(n *Node, _ clock.Reading, _ *setup, reason uint8) {
	n.probes.count--
	text := "no answer"
	if reason == wire.PathNoRoute {
		text = "no route"
	}
	n.event(Event{Kind: EventProbe, Key: p.dest, Token: p.token, Text: text})
}

// member reports whether a probe was made by a member of our network.
func (n *Node) member(p *wire.Path) bool {
	return n.who.HasNames && len(p.Body) == probeMAC &&
		n.who.Names.MAC8([]byte("probe"), p.Dest[:]) == [probeMAC]byte(p.Body)
}

// signTrail adds this node to a probe of its own network; others do not learn who relays.
func (n *Node) signTrail(p *wire.Path) {
	if n.member(p) && len(p.Trail) < wire.MaxTrail {
		p.Trail = append(p.Trail, n.self)
	}
}

// answerProbe answers a member's question whether we are there.
func (n *Node) answerProbe(l *link, p wire.Path) uint8 {
	if !n.member(&p) {
		return wire.PathRefused
	}
	ok := wire.PathOK{ID: p.ID, Size: p.Size, Trail: p.Trail}
	n.tell(l, wire.ControlPathOK, ok.Append(nil))
	return 0
}
