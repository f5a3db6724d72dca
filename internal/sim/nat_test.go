// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/node"
	"staex/internal/overlay/session"
	"staex/internal/wire"
)

// metered is a root and a leaf behind a NAT, which learns how seldom it may speak.
func metered(seed uint64, timeout time.Duration) (w *World, root, leaf *Host, nat *NAT) {
	w = New(seed)
	root = w.Add(Config{Name: "root", Addr: rootAddr})
	nat = w.NewNAT("203.0.113.10", timeout)
	leaf = w.Add(Config{
		Name: "leaf", Addr: "192.168.1.2:9376", NAT: nat, Parents: []string{rootAddr},
		Node: node.Config{KeepAliveAuto: true},
	})
	return w, root, leaf, nat
}

// pace is how often the leaf speaks over its link, from what it sent in a while.
func pace(w *World, x *tap, d time.Duration) time.Duration {
	x.frames[wire.TypeLink] = nil
	w.Run(d)
	count := 0
	for _, c := range x.frames[wire.TypeLink] {
		if c.host.Name == "leaf" {
			count++
		}
	}
	return d / time.Duration(max(count, 1))
}

func TestAnIdleLeafThatLearnsItsPeriodCostsFiftyKilobytesADay(t *testing.T) {
	run := func() [32]byte {
		w, _, leaf, _ := metered(101, 2*time.Minute)
		w.Run(2 * time.Hour) // it has learned by then
		spent := func() int { return w.Bytes("leaf", "root") + w.Bytes("root", "leaf") }
		before := spent()
		w.Run(24 * time.Hour)
		day := spent() - before
		t.Logf("an idle day behind a NAT of two minutes cost %d bytes", day)
		const budget = 50_000
		if day > budget || day < budget/2 {
			t.Errorf("an idle day cost %d bytes", day)
		}
		if n := parentUps(leaf); n != 1 {
			t.Errorf("the leaf attached %d times", n)
		}
		sound(t, w)
		return w.Trace()
	}
	if first, second := run(), run(); first != second {
		t.Error("two runs from one seed differ")
	}
}

func TestThePeriodIsNineTenthsOfWhatTheNATKeeps(t *testing.T) {
	for _, c := range []struct{ timeout, least, most time.Duration }{
		{20 * time.Second, 16 * time.Second, 19 * time.Second},
		{35 * time.Second, 30 * time.Second, 33 * time.Second},
		{2 * time.Minute, 106 * time.Second, 111 * time.Second},
		{5 * time.Minute, 260 * time.Second, 279 * time.Second},
		{24 * time.Hour, 1100 * time.Second, 1115 * time.Second},
	} {
		w, root, leaf, _ := metered(102, c.timeout)
		w.Run(6 * time.Hour)
		x := listen(w)
		if got := pace(w, x, 4*time.Hour); got < c.least || got > c.most {
			t.Errorf("a NAT of %v: a frame every %v", c.timeout, got)
		}
		if root.Node.Links() != 1 || parentUps(leaf) != 1 {
			t.Errorf("a NAT of %v: the link did not hold", c.timeout)
		}
		// All the time the parent can reach the child.
		x.frames[wire.TypeLink] = nil
		froms := map[string]bool{}
		w.Run(time.Hour)
		for _, f := range x.frames[wire.TypeLink] {
			if f.host == leaf {
				froms[f.from.String()] = true
			}
		}
		if len(froms) != 1 {
			t.Errorf("a NAT of %v: frames came from %d addresses", c.timeout, len(froms))
		}
		sound(t, w)
	}
}

func TestALinuxRouterIsMeasuredByWhatItDoesWithAStream(t *testing.T) {
	for _, c := range []struct{ fresh, timeout, least, most time.Duration }{
		{30 * time.Second, 2 * time.Minute, 104 * time.Second, 111 * time.Second}, // as shipped
		{10 * time.Second, 40 * time.Second, 34 * time.Second, 38 * time.Second},
		{10 * time.Second, 20 * time.Second, 15 * time.Second, 19 * time.Second},
	} {
		w, root, leaf, nat := metered(110, c.timeout)
		nat.Fresh = c.fresh
		w.Run(6 * time.Hour)
		x := listen(w)
		if got := pace(w, x, 4*time.Hour); got < c.least || got > c.most {
			t.Errorf("a router of %v and %v: a frame every %v", c.fresh, c.timeout, got)
		}
		if root.Node.Links() != 1 || parentUps(leaf) != 1 {
			t.Errorf("a router of %v and %v: the link did not hold", c.fresh, c.timeout)
		}
		sound(t, w)
	}
}

func TestTheMappingOfAFixedPeriodOutlivesThePeriodBehindALinuxRouter(t *testing.T) {
	w := New(111)
	w.Add(Config{Name: "root", Addr: rootAddr})
	nat := w.NewNAT("203.0.113.10", 2*time.Minute)
	nat.Fresh = 30*time.Second - 1 // a mapping that was used 30 seconds ago is gone
	leaf := w.Add(Config{
		Name: "leaf", Addr: "192.168.1.2:9376", NAT: nat, Parents: []string{rootAddr},
	})
	hour := func() (addresses int) {
		w.Run(5 * time.Minute)
		x, froms := listen(w), map[string]bool{}
		w.Run(time.Hour)
		for _, f := range x.frames[wire.TypeLink] {
			if f.host == leaf {
				froms[f.from.String()] = true
			}
		}
		return len(froms)
	}
	if n := hour(); n != 1 {
		t.Errorf("in an hour the frames came from %d addresses", n)
	}
	nat.Forget() // the router was restarted
	if n := hour(); n != 1 {
		t.Errorf("in the hour after the router's restart they came from %d addresses", n)
	}
	sound(t, w)
}

func TestANATThatShrinksIsNoticedAtTheNextKeepAlive(t *testing.T) {
	w, root, leaf, nat := metered(103, 10*time.Minute)
	w.Run(4 * time.Hour)
	x := listen(w)
	if got := pace(w, x, 2*time.Hour); got < 9*time.Minute {
		t.Fatalf("a frame every %v", got)
	}
	nat.Timeout = 50 * time.Second
	w.Run(10 * time.Minute) // one period
	if got := pace(w, x, 30*time.Minute); got > 46*time.Second {
		t.Errorf("soon after the change a frame every %v", got)
	}
	w.Run(time.Hour)
	if got := pace(w, x, 2*time.Hour); got > 46*time.Second || got < 40*time.Second {
		t.Errorf("long after the change a frame every %v", got)
	}
	nat.Timeout = 10 * time.Minute // and a week later it has found out that it may be quiet again
	w.Run(8 * 24 * time.Hour)
	if got := pace(w, x, 2*time.Hour); got < 8*time.Minute {
		t.Errorf("a week after the change back a frame every %v", got)
	}
	if root.Node.Links() != 1 || parentUps(leaf) != 1 {
		t.Error("the link did not hold")
	}
	sound(t, w)
}

func TestARestartedLeafTriesFirstWhatItRemembersOfItsNetwork(t *testing.T) {
	w, _, leaf, _ := metered(104, 5*time.Minute)
	w.Run(3 * time.Hour)
	leaf.Kill()
	leaf.Start()
	x := listen(w)
	w.Run(10 * time.Minute)
	var delays []uint16
	for _, c := range x.frames[wire.TypeNATProbe] {
		if p, _ := wire.ParseNATProbe(c.b); c.host == leaf {
			delays = append(delays, p.Delay)
		}
	}
	if len(delays) < 2 || delays[0] != 60 || delays[1] < 280 || delays[1] > 300 {
		t.Errorf("asked for %v", delays)
	}
	if got := pace(w, x, time.Hour); got < 4*time.Minute {
		t.Errorf("a frame every %v", got)
	}
	other := w.NewNAT("203.0.113.77", 40*time.Second) // another network
	leaf.NAT = other
	w.Run(90 * time.Minute)
	if got := pace(w, x, time.Hour); got > 40*time.Second {
		t.Errorf("in the other network a frame every %v", got)
	}
	sound(t, w)
}

func TestLossDoesNotMakeALeafTalkative(t *testing.T) {
	w, root, _, _ := metered(105, 2*time.Minute)
	w.SetLink(Link{Delay: 200 * time.Millisecond, Jitter: 100 * time.Millisecond, Loss: 0.05})
	w.Run(6 * time.Hour)
	x := listen(w)
	if got := pace(w, x, 4*time.Hour); got < 70*time.Second || got > 2*time.Minute {
		t.Errorf("a frame every %v", got)
	}
	if root.Node.Links() != 1 {
		t.Error("the link did not hold")
	}
}

func TestAFixedPeriodAsksNobody(t *testing.T) {
	w := home(106)
	x := listen(w)
	w.Run(2 * time.Hour)
	if n := x.count(wire.TypeNATProbe); n != 0 {
		t.Errorf("%d questions", n)
	}
}

func TestAQuestionAboutTheNATPlayedBackOrForgedBringsNothing(t *testing.T) {
	w, root, leaf, _ := metered(107, 2*time.Minute)
	x := newThief(w)
	w.Run(30 * time.Second)
	question := x.frames[wire.TypeNATProbe][0]
	live := x.last(wire.TypeLink)
	counts(t, root, drop.Replay, 1, func() { x.send(x.addr, x.target, question.b) })
	flipped := bytes.Clone(question.b)
	flipped[9] ^= 1 // the delay
	counts(t, root, drop.BadMac, 1, func() { x.send(x.addr, x.target, flipped) })
	if len(x.heard) != 0 {
		t.Errorf("heard %x", x.heard)
	}
	// Answers: the question itself, an old one, one that was touched.
	var answer []byte
	for _, c := range x.frames[wire.TypeNATProbe] {
		if c.host == root {
			answer = c.b
		}
	}
	probe := second(leaf.Addr)
	counts(t, leaf, drop.Replay, 1, func() { x.send(x.target, probe, answer) })
	counts(t, leaf, drop.Stranger, 2, func() {
		x.send(x.target, probe, question.b)
		x.send(x.addr, probe, answer)
	})
	touched := bytes.Clone(answer)
	touched[9] = 60
	counts(t, leaf, drop.BadMac, 1, func() { x.send(x.target, probe, touched) })
	counts(t, leaf, drop.BadFrame, 1, func() { x.send(x.target, probe, live.b) })
	w.Run(time.Minute)
	undisturbedBehindNAT(t, w, root, leaf)
}

func TestALateAnswerThatTheNATDroppedProvesNothingLater(t *testing.T) {
	w, root, leaf, _ := metered(109, 50*time.Second)
	x := newThief(w)
	var dropped []byte // the late answer that the thief caught before the NAT dropped it
	caught := func() bool {
		for _, c := range x.frames[wire.TypeNATProbe] {
			p, _ := wire.ParseNATProbe(c.b)
			if c.host == root && p.Delay == 60 {
				dropped = c.b
			}
		}
		return dropped != nil
	}
	if !w.Until(5*time.Minute, caught) {
		t.Fatal("there was no late answer")
	}
	old, _ := wire.ParseNATProbe(dropped)
	again := func() bool {
		p, _ := wire.ParseNATProbe(x.last(wire.TypeNATProbe).b)
		return p.Number > old.Number && p.Delay == 0
	}
	if !w.Until(time.Minute, again) {
		t.Fatal("the leaf does not ask again")
	}
	// At every moment of what is asked next, of the same delay too.
	const seconds = 150
	counts(t, leaf, drop.Replay, seconds, func() {
		for range seconds {
			w.Run(time.Second)
			x.send(x.target, second(leaf.Addr), dropped)
		}
	})
	for _, c := range x.frames[wire.TypeNATProbe] {
		if p, _ := wire.ParseNATProbe(c.b); c.host == leaf && p.Delay > 60 {
			t.Errorf("the leaf believed it and asks for %d s", p.Delay)
		}
	}
	undisturbedBehindNAT(t, w, root, leaf)
}

func undisturbedBehindNAT(t *testing.T, w *World, root, leaf *Host) {
	t.Helper()
	if root.Node.Links() != 1 || parentUps(leaf) != 1 {
		t.Errorf("%d links, attached %d times", root.Node.Links(), parentUps(leaf))
	}
	sound(t, w)
}

func TestAChildThatAsksAllTheTimeGetsOneAnswerASecond(t *testing.T) {
	w, p := attackedBy(t, 108, nil)
	root := w.Host("root")
	ear, heard := netip.MustParseAddrPort("198.51.100.80:80"), 0
	w.listen(ear, func(_ netip.AddrPort, b []byte) { heard += len(b) })
	before := drops(root, drop.Quota)
	for i := range 1000 {
		q := wire.NATProbe{To: p.theirs, Number: uint32(i + 1), Delay: 1}
		b := q.Append(nil)
		mac := session.ProbeMac(p.hs.Keys().Chain, false, wire.TicketMACInput(b))
		wire.PutTicketMAC(b, mac)
		w.inject(ear, p.to, b)
		w.Run(10 * time.Millisecond)
	}
	w.Run(time.Minute)
	if n := heard / wire.NATProbeSize; n < 10 || n > 21 {
		t.Errorf("%d answers to questions of ten seconds", n)
	}
	if drops(root, drop.Quota)-before < 900 {
		t.Error("the questions did not count")
	}
}
