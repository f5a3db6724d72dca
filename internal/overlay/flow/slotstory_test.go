// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"staex/internal/overlay/flow"
)

// frame is what of a frame matters to slots, and truth what it really belongs to.
type frame struct {
	at       time.Duration
	up       bool // to the server
	slot     uint8
	announce bool
	truth    flow.Flow
}

// story is two ends and a path that loses, delays by up to ten seconds and reorders.
type story struct {
	t         *testing.T
	r         *rand.Rand
	client    flow.ClientSlots
	server    flow.ServerSlots
	air       []frame
	short     int // frames without an announcement that were taken
	announced int
}

func TestNoFrameEverReachesAnotherFlow(t *testing.T) {
	for seed := range uint64(2) {
		s := story{t: t, r: dice(400 + seed)}
		var now time.Duration
		for i := range 30000 {
			now += time.Duration(s.r.IntN(120)) * time.Millisecond
			if s.r.IntN(3000) == 0 {
				now += time.Duration(s.r.IntN(300)) * time.Second
			}
			s.deliver(now)
			f := flowNo(s.r.IntN(600) + i/100) // far more flows than slots, and never the same
			if s.r.IntN(2) == 0 {
				f = flowNo(s.r.IntN(20))
			}
			outage := i/4000%3 == 2
			s.send(now, f, outage)
		}
		if s.short == 0 || s.announced == 0 {
			t.Errorf("seed %d: %d short frames, %d announced", seed, s.short, s.announced)
		}
	}
}

// send lets one end send a packet of f.
func (s *story) send(now time.Duration, f flow.Flow, outage bool) {
	g := frame{at: now + time.Duration(s.r.IntN(10000))*time.Millisecond, truth: f}
	if s.r.IntN(2) == 0 {
		g.up = true
		g.slot, g.announce = s.client.Get(now, f)
	} else {
		var ok bool
		if g.slot, g.announce, ok = s.server.Reverse(now, f); !ok {
			return
		}
	}
	if !outage && s.r.IntN(4) > 0 {
		s.air = append(s.air, g)
	}
}

// deliver hands over, in order, what has arrived by now.
func (s *story) deliver(now time.Duration) {
	slices.SortFunc(s.air, func(a, b frame) int { return cmp.Compare(a.at, b.at) })
	for len(s.air) > 0 && s.air[0].at <= now {
		g := s.air[0]
		s.air = s.air[1:]
		if g.up {
			s.toServer(g)
		} else {
			s.toClient(g)
		}
	}
}

func (s *story) toServer(g frame) {
	if g.announce {
		s.announced++
		if s.server.Announce(g.at, g.slot, g.truth) && s.r.IntN(3) > 0 {
			s.client.Confirm(g.slot)
		}
		return
	}
	got, ok := s.server.Lookup(g.at, g.slot, flow.ProtoUDP, false)
	if !ok {
		s.client.Unknown(g.slot)
		return
	}
	s.short++
	if got != g.truth {
		s.t.Fatalf("at %v the server takes %v for %v", g.at, g.truth, got)
	}
}

func (s *story) toClient(g frame) {
	if g.announce {
		if !s.client.Has(g.truth) {
			s.t.Fatalf("at %v the client has forgotten %v", g.at, g.truth)
		}
		return
	}
	got, ok := s.client.Lookup(g.at, g.slot, flow.ProtoUDP, false)
	if ok && got != g.truth {
		s.t.Fatalf("at %v the client takes %v for %v", g.at, g.truth, got)
	}
}
