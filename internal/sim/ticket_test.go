// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/node"
	"staex/internal/wire"
)

// tap keeps what hosts sent, by type.
type tap struct {
	w      *World
	frames [16][]caught
}

type caught struct {
	host     *Host
	from, to netip.AddrPort
	at       time.Duration
	b        []byte
}

func listen(w *World) *tap {
	x := &tap{w: w}
	w.attack.saw = func(h *Host, from, to netip.AddrPort, b []byte) {
		c := caught{h, from, to, w.Now, bytes.Clone(b)}
		typ := wire.PeekType(b)
		x.frames[typ] = append(x.frames[typ], c)
	}
	return x
}

func (x *tap) count(typ uint8) int { return len(x.frames[typ]) }

func (x *tap) last(typ uint8) caught { return x.frames[typ][len(x.frames[typ])-1] }

// handshakes is how many Diffie-Hellman steps of parents began.
func (x *tap) handshakes() int { return x.count(wire.TypeHello2) }

func drops(h *Host, r drop.Reason) uint64 { return h.Node.Drops()[r] }

// star is a root with leaves right below it.
func starOf(seed uint64, leaves int, cfg node.Config) *World {
	w := New(seed)
	w.SetLink(Link{Delay: 15 * time.Millisecond, Jitter: 5 * time.Millisecond})
	w.Add(Config{Name: "root", Addr: rootAddr, Node: cfg})
	for i := range leaves {
		w.Add(Config{
			Name: fmt.Sprint("leaf", i), Addr: fmt.Sprintf("192.0.%d.%d:9376", 2+i/200, i%200+1),
			Parents: []string{rootAddr}, Node: cfg,
		})
	}
	return w
}

func links(h *Host, count int) func() bool {
	return func() bool { return h.Node.Links() == count }
}

func TestThreeHundredChildrenOfARestartedParentComeBackByTicketsAlone(t *testing.T) {
	const children = 300
	run := func(seed uint64) [32]byte {
		w := starOf(seed, children, node.Config{})
		root := w.Host("root")
		w.Until(10*time.Second, links(root, children))
		w.Run(time.Minute)
		root.Kill()
		x := listen(w)
		root.Start()
		began := w.Now
		if !w.Until(6*time.Second, links(root, children)) {
			t.Errorf("after %v only %d children are back", w.Now-began, root.Node.Links())
		}
		t.Logf("all back after %v", w.Now-began)
		w.Run(2 * time.Minute)
		if known(root, w) != 1+children || root.Node.Links() != children {
			t.Errorf("%d links, %d nodes", root.Node.Links(), known(root, w))
		}
		if n := x.count(wire.TypeHello1) + x.handshakes(); n != 0 {
			t.Errorf("%d frames of handshakes", n)
		}
		if n := x.count(wire.TypeTicketAnswer); n != children {
			t.Errorf("%d tickets were answered", n)
		}
		spread(t, x, children/4)
		sound(t, w)
		return w.Trace()
	}
	if first, second := run(61), run(61); first != second {
		t.Error("two runs from one seed differ")
	}
}

// spread checks that no tenth of a second saw more than most tickets.
func spread(t *testing.T, x *tap, most int) {
	t.Helper()
	tenths := map[time.Duration]int{}
	for _, c := range x.frames[wire.TypeTicket] {
		tenths[c.at/(100*time.Millisecond)]++
	}
	for at, n := range tenths {
		if n > most {
			t.Errorf("%d tickets within the tenth of a second %d", n, at)
		}
	}
}

func TestWithoutASnapshotEveryKeepAliveBringsAChildBack(t *testing.T) {
	const children = 40
	w := starOf(62, children, node.Config{})
	root := w.Host("root")
	w.Until(10*time.Second, links(root, children))
	root.Kill() // before the addresses of the children were written
	x := listen(w)
	root.Start()
	if !w.Until(33*time.Second, links(root, children)) {
		t.Errorf("only %d children are back", root.Node.Links())
	}
	if x.handshakes() != 0 {
		t.Errorf("%d handshakes", x.handshakes())
	}
	for _, c := range x.frames[wire.TypeReset] {
		if len(c.b) > wire.MinDataSize {
			t.Error("a reset is longer than the shortest link frame")
		}
	}
	sound(t, w)
}

func TestATunnelOutlivesTheRestartOfItsRelayWithoutAHandshakeOfLinks(t *testing.T) {
	w := home(63)
	_, c := agreed(t, w)
	x := listen(w)
	for i := range 3 {
		w.Run(15 * time.Second) // in which the root writes down where its children live
		w.Host("root").Kill()
		w.Host("root").Start()
		talks(t, w, c, "meter", fmt.Sprint("again ", i), 4*time.Second)
	}
	if x.handshakes() != 0 || x.count(wire.TypeTicketAnswer) < 6 {
		t.Errorf("%d handshakes, %d tickets", x.handshakes(), x.count(wire.TypeTicketAnswer))
	}
	sound(t, w)
}

func TestARestartedChildComesBackByTicketAndNoNonceIsUsedTwice(t *testing.T) {
	run := func() [32]byte {
		w := starOf(64, 1, node.Config{})
		root, leaf := w.Host("root"), w.Host("leaf0")
		w.Run(2 * time.Second)
		x := listen(w)
		for range 10 {
			leaf.Kill()
			w.Run(time.Second)
			leaf.Start()
			up := func() bool { _, _, ok := leaf.Node.Parent(); return ok }
			if !w.Until(200*time.Millisecond, up) {
				t.Fatal("not back after a few round trips")
			}
			w.Run(time.Second)
		}
		if x.handshakes() != 0 || root.Node.Links() != 1 || known(root, w) != 2 {
			t.Errorf("%d handshakes, %d links", x.handshakes(), root.Node.Links())
		}
		seen := map[[32]byte]bool{}
		for _, typ := range []uint8{wire.TypeTicket, wire.TypeTicketAnswer} {
			for _, c := range x.frames[typ] {
				if nonce := [32]byte(c.b[8:40]); seen[nonce] {
					t.Error("a nonce came twice")
				} else {
					seen[nonce] = true
				}
			}
		}
		if len(seen) != 20 {
			t.Errorf("%d nonces", len(seen))
		}
		sound(t, w)
		return w.Trace()
	}
	if first, second := run(), run(); first != second {
		t.Error("two runs from one seed differ")
	}
}

func TestTicketsSurviveLoss(t *testing.T) {
	const children = 30
	w := starOf(65, children, node.Config{})
	w.SetLink(Link{Delay: 15 * time.Millisecond, Jitter: 9 * time.Millisecond, Loss: .2, Twice: .1})
	root := w.Host("root")
	w.Until(time.Minute, links(root, children))
	w.Run(time.Minute)
	x := listen(w)
	for range 3 {
		root.Kill()
		root.Start()
		if !w.Until(4*time.Minute, func() bool { return known(root, w) == 1+children }) {
			t.Errorf("only %d nodes are known", known(root, w))
		}
	}
	if x.count(wire.TypeTicketAnswer) < 2*children {
		t.Errorf("%d tickets", x.count(wire.TypeTicketAnswer))
	}
	sound(t, w)
}

func TestALostDiskCostsOneHandshakeAndNothingElse(t *testing.T) {
	for _, victim := range []string{"root", "leaf0"} {
		t.Run(victim, func(t *testing.T) {
			w := starOf(66, 1, node.Config{})
			root, h := w.Host("root"), w.Host(victim)
			w.Run(20 * time.Second)
			h.Kill()
			h.LoseDisk()
			x := listen(w)
			h.Start()
			// A root that lost its secrets cannot prove that it forgot: the child finds out by
			// asking in vain.
			w.Run(time.Second)
			if !w.Until(3*time.Minute, func() bool { return known(root, w) == 2 }) {
				t.Fatal("the child did not come back")
			}
			if x.handshakes() != 1 {
				t.Errorf("%d handshakes", x.handshakes())
			}
			if victim == "root" {
				ticket, hello := x.last(wire.TypeTicket).at, x.frames[wire.TypeHello1][0].at
				if wait := hello - ticket; wait <= 0 || wait > 600*time.Millisecond {
					t.Errorf("the handshake began %v after the ticket", wait)
				}
				if x.count(wire.TypeTicketAnswer)+x.count(wire.TypeReset) != 0 {
					t.Error("a ticket of other keys was answered")
				}
			}
			w.Run(time.Minute)
			h.Kill()
			h.Start() // and now there is a ticket again
			w.Run(40 * time.Second)
			if x.handshakes() != 1 || known(root, w) != 2 {
				t.Errorf("%d handshakes, %d nodes known", x.handshakes(), known(root, w))
			}
			sound(t, w)
		})
	}
}

func TestATicketOfANetworkThatIsNoLongerAdmittedIsRefusedInSilence(t *testing.T) {
	w := New(67)
	other := w.NewNetwork("other")
	root := w.Add(Config{
		Name: "root", Addr: rootAddr,
		Node: node.Config{RelayNetworks: append(w.Keys(), other.Cert.Key)},
	})
	leaf := w.Add(Config{
		Name: "leaf", Addr: "192.0.2.2:9376", Network: other,
		Parents: []string{"root@" + rootAddr},
	})
	w.Run(15 * time.Second)
	if root.Node.Links() != 1 {
		t.Fatal("the guest is not admitted")
	}
	root.Kill()
	root.cfg.RelayNetworks = nil
	x := listen(w)
	root.Start()
	w.Run(time.Minute)
	if x.count(wire.TypeTicket) == 0 || x.count(wire.TypeTicketAnswer) != 0 {
		t.Errorf("%d of %d tickets answered", x.count(wire.TypeTicketAnswer),
			x.count(wire.TypeTicket))
	}
	if root.Node.Links() != 0 || drops(root, drop.NotAdmitted) == 0 {
		t.Errorf("%d links", root.Node.Links())
	}
	if _, _, ok := leaf.Node.Parent(); ok {
		t.Error("the guest believes in its parent")
	}
}

func TestATicketOlderThanTwoDaysIsWorthNothing(t *testing.T) {
	for _, days := range []int{1, 3} {
		w := starOf(68, 1, node.Config{KeepAlive: 10 * time.Minute})
		w.Run(time.Minute)
		leaf := w.Host("leaf0")
		leaf.Kill()
		w.Run(time.Duration(days) * 24 * time.Hour)
		x := listen(w)
		leaf.Start()
		w.Run(10 * time.Second)
		if want := days / 3; x.handshakes() != want || known(w.Host("root"), w) != 2 {
			t.Errorf("%d days: %d handshakes, want %d", days, x.handshakes(), want)
		}
	}
}

func TestAHandshakeIsForcedAfterManyResumptions(t *testing.T) {
	w := starOf(69, 1, node.Config{})
	w.Run(2 * time.Second)
	x := listen(w)
	leaf := w.Host("leaf0")
	const restarts = 150
	for range restarts {
		leaf.Kill()
		leaf.Start()
		w.Run(2 * time.Second)
	}
	if n := x.handshakes(); n != 2 || x.count(wire.TypeTicketAnswer) < restarts-n {
		t.Errorf("%d handshakes, %d tickets", n, x.count(wire.TypeTicketAnswer))
	}
	if known(w.Host("root"), w) != 2 {
		t.Error("the child is not back")
	}
	sound(t, w)
}

func TestAHandshakeIsForcedAfterAWeekWithDataAndNeverByKeepAlives(t *testing.T) {
	for _, busy := range []bool{true, false} {
		w := New(70)
		slow := node.Config{KeepAlive: 20 * time.Minute}
		parents := []string{rootAddr}
		w.Add(Config{Name: "root", Addr: rootAddr})
		w.Add(Config{Name: "gateway", Addr: "192.0.2.2:9376", Parents: parents, Node: slow})
		w.Add(Config{Name: "technician", Addr: "192.0.2.3:9376", Parents: parents, Node: slow})
		_, c := agreed(t, w)
		if !busy { // what came before the first grant of the day must not count
			for _, name := range []string{"gateway", "technician"} {
				must(w.Host(name).Apply(node.SetTunnels{}))
				w.Host(name).LoseDisk()
			}
			w.Run(time.Hour)
			for _, name := range []string{"gateway", "technician", "root"} {
				w.Host(name).tunnels = nil
				w.Host(name).Kill()
				w.Host(name).LoseDisk()
				w.Host(name).Start()
			}
			w.Run(time.Hour)
		}
		x := listen(w)
		for range 9 * 4 {
			if busy {
				talks(t, w, c, "meter", "still there", 30*time.Second)
			}
			w.Run(6 * time.Hour)
		}
		want := 0
		if busy {
			want = 2 // each of the two children once
		}
		if x.handshakes() != want {
			t.Errorf("busy %v: %d handshakes in nine days, want %d", busy, x.handshakes(), want)
		}
		sound(t, w)
	}
}
