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

// thief is an observer who hears everything and can send from anywhere.
type thief struct {
	*tap
	addr   netip.AddrPort
	heard  [][]byte // what came to its own address
	target netip.AddrPort
}

func newThief(w *World) *thief {
	x := &thief{tap: listen(w), addr: netip.MustParseAddrPort("198.51.100.66:666")}
	x.target = netip.MustParseAddrPort(rootAddr)
	w.attack.ears = map[netip.AddrPort]func(netip.AddrPort, []byte){
		x.addr: func(_ netip.AddrPort, b []byte) { x.heard = append(x.heard, bytes.Clone(b)) },
	}
	return x
}

// send puts a datagram on the wire, from the thief's own address or under a false one.
func (x *thief) send(from, to netip.AddrPort, b []byte) {
	x.w.arrive(x.w.Hosts()[0], from, to, bytes.Clone(b))
	x.w.Run(100 * time.Millisecond)
}

// calm is a root with one leaf whose ticket was seen on the wire.
func calm(t *testing.T, seed uint64) (x *thief, root, leaf *Host) {
	t.Helper()
	w := starOf(seed, 1, node.Config{})
	root, leaf = w.Host("root"), w.Host("leaf0")
	w.Run(2 * time.Second)
	x = newThief(w)
	leaf.Kill()
	leaf.Start()
	w.Run(20 * time.Second)
	if x.count(wire.TypeTicket) != 1 || x.handshakes() != 0 {
		t.Fatal("the leaf did not come back by its ticket")
	}
	return x, root, leaf
}

// undisturbed checks that the link lives where it lived, under the keys it had.
func undisturbed(t *testing.T, x *thief, root, leaf *Host, ups int) {
	t.Helper()
	addr, ok := netip.AddrPort{}, false
	for _, i := range root.Node.Nodes(root.reading()) {
		if i.ID == leaf.ID() {
			addr, ok = i.Addr, true
		}
	}
	if !ok || addr != leaf.Addr || root.Node.Links() != 1 {
		t.Errorf("the root has %d links, the leaf lives at %v", root.Node.Links(), addr)
	}
	if n := parentUps(leaf); n != ups {
		t.Errorf("the leaf attached %d times, not %d", n, ups)
	}
	sound(t, x.w)
}

func parentUps(h *Host) (n int) {
	for _, e := range h.Events {
		if e.Kind == node.EventParentUp {
			n++
		}
	}
	return n
}

// counts checks that a drop reason grew by the number of attempts.
func counts(t *testing.T, h *Host, r drop.Reason, want uint64, f func()) {
	t.Helper()
	before := drops(h, r)
	f()
	if got := drops(h, r) - before; got != want {
		t.Errorf("%v counted %d, want %d", r, got, want)
	}
}

func TestATicketPlayedBackChangesNothing(t *testing.T) {
	x, root, leaf := calm(t, 81)
	ups := parentUps(leaf)
	ticket := x.last(wire.TypeTicket)
	var first caught // the frame that made the link live
	for _, c := range x.frames[wire.TypeLink] {
		if c.host == leaf && c.at > ticket.at {
			first = c
			break
		}
	}
	x.send(x.addr, x.target, ticket.b)
	if len(x.heard) != 1 || len(x.heard[0]) != wire.TicketAnswerSize {
		t.Fatalf("heard %x", x.heard)
	}
	// The answer names a label, under which only keys of a nonce that is new to it are good.
	a, err := wire.ParseTicketAnswer(x.heard[0])
	must(err)
	forged := bytes.Clone(first.b)
	wire.SetLabel(forged, a.Label)
	counts(t, root, drop.OpenFailed, 1, func() { x.send(x.addr, x.target, forged) })
	counts(t, root, drop.Replay, 1, func() { x.send(x.addr, x.target, first.b) })
	// The same nonce from elsewhere, while it is known.
	counts(t, root, drop.Replay, 1, func() { x.send(leaf.Addr, x.target, ticket.b) })
	// The answer means nothing to the leaf, however often it comes.
	counts(t, leaf, drop.Stranger, 2, func() {
		x.send(x.target, leaf.Addr, x.heard[0])
		x.send(x.target, leaf.Addr, x.last(wire.TypeTicketAnswer).b)
	})
	x.w.Run(3 * time.Minute)
	undisturbed(t, x, root, leaf, ups)
	if x.handshakes() != 0 {
		t.Error("somebody had to shake hands")
	}
}

func TestATicketPlayedBackToARestartedParentBringsNobodyBack(t *testing.T) {
	x, root, leaf := calm(t, 82)
	leaf.Kill()
	root.Kill()
	root.Start()
	for _, typ := range []int{wire.TypeTicket, wire.TypeLink, wire.TypeTicket, wire.TypeLink} {
		for _, c := range x.frames[typ] {
			if c.host == leaf {
				x.send(leaf.Addr, x.target, c.b)
				x.send(x.addr, x.target, c.b)
			}
		}
	}
	x.w.Run(time.Minute)
	if root.Node.Links() != 0 || known(root, x.w) != 1 {
		t.Errorf("%d links", root.Node.Links())
	}
	sound(t, x.w)
}

func TestAForgedAnswerToATicketIsNotBelieved(t *testing.T) {
	x, root, leaf := calm(t, 92)
	old := x.last(wire.TypeTicketAnswer).b
	x.w.attack.held = func(h *Host, _, _ netip.AddrPort, b []byte) bool {
		return h == root && wire.PeekType(b) == wire.TypeTicketAnswer // the thief is faster
	}
	leaf.Kill()
	leaf.Start()
	x.w.Run(100 * time.Millisecond)
	ticket, err := wire.ParseTicket(x.last(wire.TypeTicket).b)
	must(err)
	played, err := wire.ParseTicketAnswer(old)
	must(err)
	played.To = ticket.Label // an answer to an earlier ticket, made to fit this one
	forged := wire.TicketAnswer{To: ticket.Label, Label: 9, Size: 1200}
	counts(t, leaf, drop.BadMac, 2, func() {
		x.send(x.target, leaf.Addr, played.Append(nil))
		x.send(x.target, leaf.Addr, forged.Append(nil))
	})
	if leaf.Node.Links() != 0 {
		t.Error("the leaf took up a link with the thief")
	}
	x.w.Run(2 * time.Second) // the handshake follows, which the thief let pass
	if _, _, ok := leaf.Node.Parent(); !ok || x.handshakes() != 1 {
		t.Errorf("attached %v, %d handshakes", ok, x.handshakes())
	}
	sound(t, x.w)
}

func TestResetsInARowMakeAChildAskSeldomWhenNobodyAnswers(t *testing.T) {
	x, root, leaf := calm(t, 93)
	r := wire.Reset{}
	for _, f := range x.frames[wire.TypeLink] {
		if f.host == leaf {
			r.Label, _ = wire.PeekLabel(f.b)
		}
	}
	jar, err := session.OpenTicketJar(root.Disk["ticket-keys"], 0, nil)
	must(err)
	r.Token = jar.Token(uint32(r.Label)) // it leaked
	x.w.attack.held = func(h *Host, _, _ netip.AddrPort, b []byte) bool {
		typ := wire.PeekType(b)
		return h == leaf && (typ == wire.TypeTicket || typ == wire.TypeHello1)
	}
	before := x.count(wire.TypeTicket)
	for range 600 {
		x.send(x.target, leaf.Addr, r.Append(nil))
	}
	if n := x.count(wire.TypeTicket) - before; n < 4 || n > 7 {
		t.Errorf("%d tickets in a minute", n)
	}
	x.w.attack.held = nil
	x.w.Run(time.Minute)
	undisturbed(t, x, root, leaf, parentUps(leaf))
	if n := parentUps(leaf); n > 2 {
		t.Errorf("the link went down: attached %d times", n)
	}
}

func TestATicketWithoutItsSecretIsWorthNothing(t *testing.T) {
	x, root, leaf := calm(t, 83)
	ups := parentUps(leaf)
	stolen, err := wire.ParseTicket(x.last(wire.TypeTicket).b)
	must(err)
	stolen.Nonce, stolen.Label = [32]byte{1}, 77
	counts(t, root, drop.BadMac, 1, func() { x.send(x.addr, x.target, stolen.Append(nil)) })
	other := stolen
	other.Ticket = bytes.Repeat([]byte{9}, len(stolen.Ticket))
	counts(t, root, drop.OpenFailed, 1, func() { x.send(x.addr, x.target, other.Append(nil)) })
	if len(x.heard) != 0 {
		t.Errorf("heard %x", x.heard)
	}
	undisturbed(t, x, root, leaf, ups)
}

func TestATicketWithAFlippedBitOrCutIsDroppedByName(t *testing.T) {
	x, root, leaf := calm(t, 84)
	ups := parentUps(leaf)
	ticket := x.last(wire.TypeTicket).b
	before := root.Node.Drops()
	tries := uint64(0)
	attack := func(b []byte) {
		tries++
		x.w.arrive(leaf, x.addr, x.target, b)
	}
	for bit := range 8 * len(ticket) {
		b := bytes.Clone(ticket)
		if b[bit/8] ^= 1 << (bit % 8); wire.PeekType(b) == wire.TypeTicket {
			attack(b)
		}
	}
	for n := 1; n < len(ticket); n++ {
		attack(bytes.Clone(ticket[:n]))
	}
	attack(append(bytes.Clone(ticket), 0))
	x.w.Run(time.Second)
	sum := uint64(0)
	for _, r := range []drop.Reason{drop.BadFrame, drop.OpenFailed, drop.BadMac} {
		if drops(root, r) == before[r] {
			t.Errorf("%v did not count", r)
		}
		sum += drops(root, r) - before[r]
	}
	if sum != tries || len(x.heard) != 0 {
		t.Errorf("%d of %d were dropped, heard %x", sum, tries, x.heard)
	}
	x.w.Run(time.Minute)
	undisturbed(t, x, root, leaf, ups)
}

func TestATicketOfAnotherParentOpensNothing(t *testing.T) {
	x, root, leaf := calm(t, 85)
	ups := parentUps(leaf)
	second := x.w.Add(Config{Name: "second", Addr: "203.0.113.2:9376"})
	x.w.Add(Config{Name: "leaf1", Addr: "192.0.2.99:9376", Parents: []string{"203.0.113.2:9376"}})
	x.w.Run(3 * time.Second)
	ticket := x.last(wire.TypeTicket)
	counts(t, second, drop.OpenFailed, 1, func() { x.send(leaf.Addr, second.Addr, ticket.b) })
	// Nor does a leaf without children of its own know what to do with one.
	counts(t, leaf, drop.Stranger, 1, func() { x.send(x.addr, leaf.Addr, ticket.b) })
	if second.Node.Links() != 1 {
		t.Errorf("%d links", second.Node.Links())
	}
	undisturbed(t, x, root, leaf, ups)
}

func TestAFloodOfOldTicketsTakesNoMemoryAndStopsNobody(t *testing.T) {
	x, root, leaf := calm(t, 86)
	for range 5 {
		leaf.Kill()
		leaf.Start()
		x.w.Run(15 * time.Second)
	}
	flood := func() {
		for range 400 {
			for _, c := range x.frames[wire.TypeTicket] {
				x.w.arrive(leaf, x.addr, x.target, bytes.Clone(c.b))
			}
			x.w.Run(10 * time.Millisecond)
		}
	}
	answers := x.count(wire.TypeTicketAnswer)
	flood()
	if n := root.Node.Resumptions(); n > 2 {
		t.Errorf("%d resumptions are waited for", n)
	}
	if x.count(wire.TypeTicketAnswer) == answers {
		t.Error("the flood did not reach the root")
	}
	leaf.Kill()
	leaf.Start()
	flood()
	x.w.Run(5 * time.Second)
	undisturbed(t, x, root, leaf, parentUps(leaf))
	if _, _, ok := leaf.Node.Parent(); !ok {
		t.Error("the leaf found no way back")
	}
	x.w.Run(time.Minute)
	if n := root.Node.Resumptions(); n != 0 {
		t.Errorf("%d resumptions are still waited for", n)
	}
}

func TestAResetDropsNothingAndIsHeededSeldom(t *testing.T) {
	w := home(87)
	_, c := agreed(t, w)
	x := newThief(w)
	w.Run(12 * time.Second)
	root := w.Host("root")
	root.Kill()
	root.Start()
	w.Run(10 * time.Second)
	if x.count(wire.TypeReset) == 0 {
		t.Fatal("the root called nobody")
	}
	technician := netip.AddrPort{} // as the root sees it
	for _, f := range x.frames[wire.TypeTicketAnswer] {
		technician = f.to
	}
	old := x.last(wire.TypeReset)
	counts(t, c, drop.Stranger, 1, func() { x.send(x.addr, c.Addr, old.b) })
	// The token of the present label: the root gives it away to nobody while the link lives.
	forged, err := wire.ParseReset(old.b)
	must(err)
	for _, f := range x.frames[wire.TypeLink] {
		if f.host == c {
			forged.Label, _ = wire.PeekLabel(f.b)
		}
	}
	counts(t, c, drop.BadMac, 1, func() { x.send(x.target, c.Addr, forged.Append(nil)) })
	x.send(technician, x.target, link(forged.Label+1<<12))
	leaked, err := wire.ParseReset(x.last(wire.TypeReset).b)
	must(err)
	if leaked.Label == forged.Label {
		t.Error("a reset for a label that lives")
	}
	talks(t, w, c, "meter", "still", 3*time.Second)
	ups := parentUps(c)
	tickets := x.count(wire.TypeTicket)
	// A token that leaked all the same makes the child ask, at most every ten seconds.
	jar, err := session.OpenTicketJar(root.Disk["ticket-keys"], 0, nil)
	must(err)
	forged.Token = jar.Token(uint32(forged.Label))
	for range 100 {
		x.send(x.target, c.Addr, forged.Append(nil))
	}
	if n := x.count(wire.TypeTicket) - tickets; n != 1 {
		t.Errorf("%d tickets in ten seconds", n)
	}
	if n := parentUps(c) - ups; n != 1 {
		t.Errorf("the child came back %d times", n)
	}
	talks(t, w, c, "meter", "and still", 5*time.Second)
	if x.handshakes() != 0 {
		t.Errorf("%d handshakes", x.handshakes())
	}
	sound(t, w)
}

// link is a link frame that nobody sealed.
func link(l wire.Label) []byte {
	h := wire.DataHeader{Type: wire.TypeLink, Label: l & wire.MaxLabel}
	return append(h.Append(nil), make([]byte, wire.TagSize)...)
}

func TestAChildThatWasTakenForDeadIsToldWhenItSpeaks(t *testing.T) {
	w := starOf(90, 1, node.Config{})
	root, leaf := w.Host("root"), w.Host("leaf0")
	w.Run(2 * time.Second)
	x := newThief(w)
	w.Cut("root", "leaf0")
	if !w.Until(time.Hour, links(root, 0)) {
		t.Fatal("the root does not give up")
	}
	w.attack.saw = nil
	leaf.Kill() // suspended: it knows nothing of all this
	w.Heal("root", "leaf0")
	label, spoke := wire.Label(0), caught{}
	for _, f := range x.frames[wire.TypeLink] {
		if f.host == leaf {
			label, _ = wire.PeekLabel(f.b)
			spoke = f
		}
	}
	y := listen(w)
	x.w.arrive(root, leaf.Addr, x.target, bytes.Clone(spoke.b))
	if n := y.count(wire.TypeReset); n != 1 {
		t.Fatalf("%d answers", n)
	}
	if r, _ := wire.ParseReset(y.last(wire.TypeReset).b); r.Label != label {
		t.Errorf("a reset of label %v", r.Label)
	}
}

func TestUnknownLinkFramesAreAnsweredAtABoundedRate(t *testing.T) {
	x, root, _ := calm(t, 88)
	x.send(x.addr, x.target, link(5))
	if len(x.heard) != 0 {
		t.Error("a node that was not restarted answers whoever asks")
	}
	root.Kill()
	root.Start()
	x.w.Run(5 * time.Second)
	x.frames[wire.TypeReset] = nil
	for i := range 4000 {
		x.w.arrive(root, netip.AddrPortFrom(x.addr.Addr(), uint16(1000+i)), x.target,
			link(wire.Label(0x800000+i)))
		if i%4 == 0 {
			x.w.Run(time.Millisecond)
		}
	}
	if n := x.count(wire.TypeReset); n < 256 || n > 2*256 {
		t.Errorf("%d answers within a second", n)
	}
	x.w.Run(2 * time.Minute)
	x.send(x.addr, x.target, link(5))
	if len(x.heard) != 0 {
		t.Error("strangers are answered long after the restart")
	}
	fresh := starOf(89, 0, node.Config{}).Host("root") // never had a child
	y := newThief(fresh.w)
	y.send(y.addr, y.target, link(5))
	if len(y.heard) != 0 {
		t.Error("a node without children answers")
	}
}
