// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/node"
	"staex/internal/overlay/session"
	"staex/internal/wire"
)

// asked counts the paths of a kind that all hosts began.
func asked(w *World, kind uint8) (n uint64) {
	for _, h := range w.Hosts() {
		if h.Node != nil {
			n += h.Node.PathsAsked(kind)
		}
	}
	return n
}

// kept checks that since before no session got new keys, and at least one a new path.
func kept(t *testing.T, w *World, hellos uint64) {
	t.Helper()
	if got := asked(w, wire.PathHello) - hellos; got != 0 {
		t.Errorf("%d handshakes were begun", got)
	}
	if asked(w, wire.PathResume) == 0 {
		t.Error("no session was resumed")
	}
}

func TestARestartedRelayCostsNoSessionItsKeys(t *testing.T) {
	for _, loss := range []float64{0, 0.2} {
		t.Run(fmt.Sprint(loss), func(t *testing.T) {
			twice(t, func(t *testing.T) *World {
				w := home(91)
				_, c := agreed(t, w)
				w.SetLink(Link{Delay: 20 * time.Millisecond, Loss: loss})
				hellos := asked(w, wire.PathHello)
				for range 3 {
					w.Host("root").Kill()
					w.Run(3 * time.Second)
					w.Host("root").Start()
					talks(t, w, c, "meter", "again", 40*time.Second)
				}
				kept(t, w, hellos)
				return w
			})
		})
	}
}

// fork is a gateway that may hang on either of two relays.
//
//	gateway ── relay1 ──┐
//	       └── relay2 ──┴── root ── technician
func fork(seed uint64) *World {
	w := New(seed)
	w.Add(Config{Name: "root", Addr: "203.0.113.1:9376"})
	relays := []string{"203.0.113.2:9376", "203.0.113.3:9376"}
	for i, addr := range relays {
		w.Add(Config{
			Name: fmt.Sprint("relay", i+1), Addr: addr, Parents: []string{"203.0.113.1:9376"},
		})
	}
	w.Add(Config{
		Name: "gateway", Addr: "192.0.2.2:9376", Parents: relays,
		Node: node.Config{Rejoin: 10 * time.Second},
	})
	w.Add(Config{
		Name: "technician", Addr: "192.0.2.3:9376", Parents: []string{"203.0.113.1:9376"},
	})
	return w
}

func (h *Host) parents(addrs ...string) {
	var c node.SetParents
	for _, a := range addrs {
		c.Parents = append(c.Parents, node.ParentAddr{
			Entry: a, Addrs: []netip.AddrPort{netip.MustParseAddrPort(a)},
		})
	}
	must(h.Apply(c))
}

func TestATransferGoesOnWhenTheGatewayChangesItsParent(t *testing.T) {
	for _, x := range []struct {
		name    string
		send    func(g, c *Host) func(int)
		happens func(w *World, g *Host)
		most    time.Duration
	}{
		{
			"told to", func(_, c *Host) func(int) { return asking(c) },
			func(_ *World, g *Host) { g.parents("203.0.113.3:9376") }, time.Second,
		},
		{
			"cut off", func(g, _ *Host) func(int) { return answering(g) },
			func(w *World, _ *Host) { w.Cut("gateway", "relay1") }, 13 * time.Second,
		},
		{
			"killed", func(g, _ *Host) func(int) { return answering(g) },
			func(w *World, _ *Host) { w.Host("relay1").Kill() }, 6 * time.Second,
		},
	} {
		t.Run(x.name, func(t *testing.T) {
			twice(t, func(t *testing.T) *World {
				w := fork(92)
				g, c := agreed(t, w)
				hellos := asked(w, wire.PathHello)
				got := gap(w, c, 20*time.Second, x.send(g, c), func() { x.happens(w, g) })
				if got > x.most {
					t.Errorf("nothing arrived for %v", got)
				}
				kept(t, w, hellos)
				if id, _, _ := g.Node.Parent(); id != w.Host("relay2").ID() {
					t.Error("the gateway has not moved")
				}
				return w
			})
		})
	}
}

func TestTheWayBackToAnEarlierParentLosesNothing(t *testing.T) {
	twice(t, func(t *testing.T) *World {
		w := fork(93)
		w.Host("relay1").Kill()
		g, c := agreed(t, w)
		hellos := asked(w, wire.PathHello)
		w.Host("relay1").Start()
		back := func() bool {
			id, _, ok := g.Node.Parent()
			return ok && id == w.Host("relay1").ID()
		}
		longest, last, seen := time.Duration(0), w.Now, len(c.Got)
		ask := asking(c)
		for i := 0; i < 3000 && !back(); i++ {
			ask(i)
			w.Run(200 * time.Millisecond)
			if len(c.Got) != seen {
				seen, last = len(c.Got), w.Now
			}
			longest = max(longest, w.Now-last)
		}
		if !back() || longest > 400*time.Millisecond {
			t.Errorf("back: %v, nothing arrived for %v", back(), longest)
		}
		got := gap(w, c, 5*time.Second, ask, func() {})
		if got > 100*time.Millisecond {
			t.Errorf("nothing arrived for %v", got)
		}
		kept(t, w, hellos)
		return w
	})
}

func TestAnIdleSessionGoesOnWithinTwoRoundTrips(t *testing.T) {
	twice(t, func(t *testing.T) *World {
		w := home(94)
		_, c := agreed(t, w)
		hellos := asked(w, wire.PathHello)
		for range 5 {
			w.Run(time.Hour)
			began := w.Now
			talks(t, w, c, "meter", "after an hour", time.Second)
			if took := w.Now - began; took > 100*time.Millisecond {
				t.Errorf("the answer took %v", took)
			}
		}
		kept(t, w, hellos)
		return w
	})
}

func TestAnUnknownLabelIsRepairedWithoutAHandshake(t *testing.T) {
	twice(t, func(t *testing.T) *World {
		w := fork(95)
		g, c := agreed(t, w)
		hellos := asked(w, wire.PathHello)
		w.Host("relay1").Kill() // its rows are lost, and with them the way to the gateway
		w.Host("relay1").Start()
		g.parents("203.0.113.2:9376") // the gateway is back before the technician asks
		back := func() bool { _, _, ok := g.Node.Parent(); return ok }
		w.Until(10*time.Second, back)
		w.Run(3 * time.Second)
		began := w.Now
		talks(t, w, c, "meter", "who is there", 10*time.Second)
		if took := w.Now - began; took > 2*time.Second {
			t.Errorf("the answer took %v", took)
		}
		kept(t, w, hellos)
		return w
	})
}

func TestBothEndsMayAskForANewPathAtOnce(t *testing.T) {
	for seed := range uint64(3) {
		twice(t, func(t *testing.T) *World {
			w := home(960 + seed)
			g, c := agreed(t, w)
			w.SetLink(Link{Delay: 20 * time.Millisecond, Jitter: 30 * time.Millisecond, Loss: 0.1})
			hellos := asked(w, wire.PathHello)
			for i := range 2 {
				addr := "203.0.113.1:9376"
				if i%2 == 0 {
					addr = "root@" + addr
				}
				for _, h := range []*Host{g, c} { // both lose their paths and lay new ones
					must(h.Apply(node.SetParents{Parents: []node.ParentAddr{w.parent(addr)}}))
				}
				gap(w, c, 3*time.Second, func(i int) { asking(c)(i); answering(g)(i) }, func() {})
				if got := gap(w, c, 3*time.Second, asking(c), func() {}); got > 2*time.Second {
					t.Errorf("seed %d: nothing arrived for %v", seed, got)
				}
			}
			kept(t, w, hellos)
			return w
		})
	}
}

func TestARestartedEndHasNoSessionAndGetsANewOne(t *testing.T) {
	twice(t, func(t *testing.T) *World {
		w := home(97)
		g, c := agreed(t, w)
		for range 4 {
			g.Kill()
			g.Start()
			g.Serve = Shout
			w.Run(2 * time.Second)
			hellos := asked(w, wire.PathHello)
			talks(t, w, c, "meter", "who are you now", 20*time.Second)
			if got := asked(w, wire.PathHello) - hellos; got == 0 || got > 4 {
				t.Errorf("%d handshakes were begun", got)
			}
		}
		return w
	})
}

func TestKeysAreReplacedAfterHoursOfDataAndNeverForKeepAlives(t *testing.T) {
	w := home(99)
	g, c := agreed(t, w)
	hellos := asked(w, wire.PathHello)
	w.Run(7 * 24 * time.Hour)
	if got := asked(w, wire.PathHello) - hellos; got != 0 {
		t.Errorf("%d handshakes in an idle week", got)
	}
	talks(t, w, c, "meter", "after a week", time.Second) // its keys were forgotten
	hellos = asked(w, wire.PathHello)
	began := w.Now
	for asked(w, wire.PathHello) == hellos && w.Now-began < 6*time.Hour {
		c.Ask("meter", 5000, 161, "x")
		w.Run(4 * time.Second)
	}
	if took := w.Now - began; took < 3*time.Hour || took > 5*time.Hour {
		t.Errorf("the keys were replaced after %v of data", took)
	}
	if got := gap(w, c, 5*time.Second, asking(c), func() {}); got > 100*time.Millisecond {
		t.Errorf("nothing arrived for %v while the keys changed", got)
	}
	sessions := g.Node.Sessions()
	w.Run(time.Minute)
	if g.Node.Sessions() > sessions {
		t.Errorf("%d sessions are left of %d", g.Node.Sessions(), sessions)
	}
	sound(t, w)
}

// resume asks for a new path with a proof and returns the label of the answer, or the reason of
// the refusal.
func (s *rawSession) resume(dest *Host, id [8]byte, proof session.Proof, back wire.Label) (
	out wire.Label, no uint8, body []byte,
) {
	p := s.p
	path := wire.Path{
		Dest: dest.ID(), ID: id, Kind: wire.PathResume, Hops: 60, Back: back,
		Size: wire.MinDatagram, Body: wire.Resume(proof).Append(nil),
	}
	before := len(p.heard)
	p.tell(wire.ControlPath, path.Append(nil))
	p.w.Run(time.Second)
	for _, m := range p.heard[before:] {
		switch m.typ {
		case wire.ControlPathOK:
			ok, err := wire.ParsePathOK(m.body)
			must(err)
			return ok.Label, 0, ok.Body
		case wire.ControlPathNo:
			answer, err := wire.ParsePathNo(m.body)
			must(err)
			return 0, answer.Reason, nil
		}
	}
	return 0, 0, nil
}

func TestAReplayedOrForgedResumeMovesNothing(t *testing.T) {
	w, p := attackedBy(t, 100, nil)
	g, other := w.Host("gateway"), w.Host("other")
	s := p.talk(t, g.ID())
	prover := session.NewProver(s.hs.Keys(), true)
	id := [8]byte{1}
	proof, _ := prover.Ask(s.send, id)
	labels := g.gauge(t, "labels")
	refused := func(name string, to *Host, id [8]byte, f session.Proof, no uint8, r drop.Reason) {
		t.Helper()
		before := to.allDrops()
		if out, got, _ := s.resume(to, id, f, 0x555555); out != 0 || got != no {
			t.Errorf("%s: label %v, reason %d", name, out, got)
		}
		counted(t, to, before, r, 1)
		if now := g.gauge(t, "labels"); now != labels {
			t.Errorf("%s: %d labels, there were %d", name, now, labels)
		}
	}
	forged, unknown, later := proof, proof, proof
	forged.MAC[0] ^= 1
	unknown.Tag[0] ^= 1
	later.Counter++
	const none, no = wire.PathNoSession, wire.PathRefused
	refused("forged", g, id, forged, none, drop.OpenFailed)
	refused("unknown tag", g, id, unknown, none, drop.NoSession)
	refused("another counter", g, id, later, none, drop.OpenFailed)
	refused("another set-up", g, [8]byte{2}, proof, none, drop.OpenFailed)
	refused("another node", other, id, proof, none, drop.NoSession)
	if s.message(wire.SessionConfirm, nil); !s.stands(g) {
		t.Error("the old path no longer works")
	}

	out, reason, body := s.resume(g, id, proof, 0x666666)
	if out == 0 {
		t.Fatalf("the genuine ask was refused: %d", reason)
	}
	answer, err := wire.ParseResume(body)
	must(err)
	if err := prover.CheckAnswer(s.recv, id, session.Proof(answer)); err != nil {
		t.Fatalf("the answer does not verify: %v", err)
	}
	w.Run(10 * time.Second) // the old label is gone by then
	s.out, s.back, labels = out, 0x666666, g.gauge(t, "labels")
	refused("replayed", g, id, proof, no, drop.Replay)
	refused("replayed in another set-up", g, [8]byte{3}, proof, no, drop.Replay)
	if !s.stands(g) {
		t.Error("the new path does not work")
	}
	survived(t, w)
}

// stands asks the other end whether the session stands and hears it say so.
func (s *rawSession) stands(g *Host) bool {
	before := len(s.listen())
	s.p.w.Run(time.Second)
	f := wire.PathHandshake{Label: s.out, Stage: wire.StageConfirm}
	s.p.out(f.Append(nil))
	s.p.w.Run(time.Second)
	return g.Node != nil && len(s.listen()) > before
}
