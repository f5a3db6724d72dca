// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"testing"
	"time"

	"staex/internal/ident"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/node"
	"staex/internal/overlay/revoke"
	"staex/internal/wire"
)

// withheld is a network of two below a parent that passes no list on: it carries them one by one
// and does not know their network. One of them has a list of keys that the other one lacks.
func withheld(t *testing.T, seed uint64, loss float64, keys int) (w *World, g, c *Host) {
	t.Helper()
	w = New(seed)
	public := w.NewNetwork("public")
	g = w.Add(Config{Name: "gateway", Addr: "192.0.2.2:9376"})
	c = w.Add(Config{Name: "technician", Addr: "192.0.2.3:9376"})
	w.Add(Config{
		Name: "root", Addr: "203.0.113.1:9376", Network: public,
		Node: node.Config{TrustNodes: []ident.NodeID{g.ID(), c.ID()}},
	})
	for _, h := range []*Host{g, c} {
		parent := w.parent("root@203.0.113.1:9376")
		h.cfg.Parents = []node.ParentAddr{parent}
		must(h.Apply(node.SetParents{Parents: h.cfg.Parents}))
	}
	w.Run(3 * time.Second)
	var list []ident.NodeID
	for i := range keys {
		list = append(list, ident.NodeID{1, byte(i), byte(i >> 8)})
	}
	g.Revoke(list...)
	w.Run(time.Minute)
	w.SetLink(Link{Delay: 10 * time.Millisecond, Loss: loss})
	g.Tunnel("meter", c, snmp) // an offer needs a session, which says how new the list is
	if !w.Until(3*keepAlive, func() bool { return happened(c, node.EventWithheld, "list") }) {
		t.Fatal("nobody noticed")
	}
	return w, g, c
}

// listOf is the number of the newest list of the world's own network, and how many keys it has.
func listOf(h *Host) (number uint32, keys int) {
	known, _ := h.Node.Revocations(h.w.network.Cert.Key)
	return known.Number, len(known.Prints)
}

func TestAWithheldListIsFetchedFromThePeerThatRevealedIt(t *testing.T) {
	for keys, loss := range map[int]float64{1: 0, 64: 0, 65: 0, 500: 0.1} {
		twice(t, func(t *testing.T) *World {
			w, _, c := withheld(t, 361, loss, keys)
			has := func() bool { number, n := listOf(c); return number == 1 && n == keys }
			if !w.Until(3*time.Minute, has) {
				number, n := listOf(c)
				t.Fatalf("of %d keys: list %d, %d keys", keys, number, n)
			}
			w.Run(time.Minute)
			if problem(c, "revocation list") {
				t.Errorf("still reported: %q", c.Node.Problems())
			}
			return w
		})
	}
}

func TestWhatWasFetchedGoesOnOverLinksAndTheNextListAsADifference(t *testing.T) {
	w, g, c := withheld(t, 362, 0, 200)
	below := w.Add(Config{
		Name: "below", Addr: "192.0.2.9:9376", Parents: []string{"192.0.2.3:9376"},
	})
	w.Run(30 * time.Second)
	if number, n := listOf(below); number != 1 || n != 200 {
		t.Errorf("below: list %d, %d keys", number, n)
	}
	g.Revoke(ident.NodeID{9})
	w.Run(time.Second)
	before := w.Bytes("root", "technician")
	c.Kill()
	c.Start()
	w.Run(10 * time.Second)
	g.Tunnel("counter", c, snmp) // the new session tells the new number
	if !w.Until(10*time.Minute, func() bool { number, _ := listOf(c); return number == 2 }) {
		t.Fatal("the next list did not come")
	}
	if n := w.Bytes("root", "technician") - before; n > 20_000 {
		t.Errorf("%d bytes for one more key", n)
	}
	sound(t, w)
}

// A member says that he has a newer list and answers the question for it as he likes.
func TestAForgedListIsNotTakenFromASession(t *testing.T) {
	w := home(363)
	agreed(t, w)
	g := w.Host("gateway")
	p := w.newRaw(evilAddr, "203.0.113.10:9376", nil)
	p.to = w.Host("root").Addr
	p.attach(t)
	s, hello := p.hello(g.ID(), p.who.Secret, nil)
	s.call(hello)
	claim := wire.XKPayload{
		Network: p.who.Cert.Network, Head: 7, NodeCert: p.who.Cert.Append(nil),
	}
	s.finish(claim.Append(nil))
	if !w.Until(time.Minute, func() bool { return happened(g, node.EventWithheld, "list 7") }) {
		t.Fatal("the claim was not heard")
	}
	w.Run(time.Second)
	if !s.answered(wire.SessionWantList) {
		t.Fatal("the member was not asked")
	}
	mine := w.NewNetwork("mine")
	prints := []revoke.Fingerprint{{1}}
	list, err := revoke.Next(revoke.Known{Number: 6}, []ident.NodeID{{5}},
		revoke.Signer{Secret: mine.Secret, Network: mine.Cert.Key}, 0)
	must(err)
	head := *list.Head
	head.Network = w.network.Cert.Key // in the name of the network, with another key's signature
	for _, x := range []wire.ListPart{
		{Head: wire.Head{
			Lacking: 1, Head: head.Append(nil), Prints: revoke.AppendPrints(nil, prints),
		}},
		{Head: wire.Head{Lacking: 1, Head: list.Head.Append(nil)}},
	} {
		s.message(wire.SessionListPart, x.Append(nil))
		w.Run(time.Second)
	}
	if number, n := listOf(g); number != 0 || n != 0 || g.drops(drop.BadSignature) == 0 {
		t.Errorf("list %d, %d keys; signature counted %d", number, n, g.drops(drop.BadSignature))
	}
	survived(t, w)
}

func TestAMemberThatAsksForListsAllTheTimeIsAnsweredNowAndThen(t *testing.T) {
	w := home(364)
	agreed(t, w)
	g := w.Host("gateway")
	p := w.newRaw(evilAddr, "203.0.113.1:9376", nil)
	p.attach(t)
	g.Revoke(ident.NodeID{1})
	w.Run(time.Second)
	s := p.talk(t, g.ID())
	before := g.allDrops()
	ask := wire.WantList{Network: w.network.Cert.Key.Hash()}
	for _, x := range []wire.WantList{
		{Network: ident.NetworkHash{1}}, {Network: ask.Network, Offset: 99},
	} {
		s.message(wire.SessionWantList, x.Append(nil))
	}
	w.Run(time.Second)
	if s.answered(wire.SessionListPart) {
		t.Error("a question for nothing was answered")
	}
	for range 500 {
		s.message(wire.SessionWantList, ask.Append(nil))
	}
	w.Run(time.Second)
	if !s.answered(wire.SessionListPart) {
		t.Error("nothing was answered")
	}
	counted(t, g, before, drop.Quota, 400)
	survived(t, w)
}
