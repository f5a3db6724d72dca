// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"staex/internal/overlay/node"
	"staex/internal/wire"
)

const itself = "this node itself"

func TestAParentThatIsTheNodeItselfIsRefusedAndTheNextOneIsTried(t *testing.T) {
	w := New(2001)
	w.Add(Config{Name: "root", Addr: "203.0.113.1:9376"})
	lone := w.Add(Config{
		Name: "lone", Addr: "192.0.2.1:9376", Parents: []string{"192.0.2.1:9376"},
	})
	both := w.Add(Config{
		Name: "both", Addr: "192.0.2.2:9376",
		Parents: []string{"192.0.2.2:9376", "203.0.113.1:9376"},
	})
	w.Run(5 * time.Second)
	if !problem(lone, itself) || attachedTo(lone) {
		t.Errorf("with no other parent: %q", lone.Node.Problems())
	}
	if !attachedTo(both) || !warned(both, itself) {
		t.Errorf("with another parent: attached %v, %q", attachedTo(both), both.Node.Warnings())
	}
	w.Run(10 * time.Minute)
	if !attachedTo(both) || !warned(both, itself) {
		t.Errorf("later: attached %v, %q", attachedTo(both), both.Node.Warnings())
	}
	sound(t, w)
}

func TestAChildWithACopyOfItsParentsKeyIsToldSo(t *testing.T) {
	for _, pin := range []string{"", "root@"} {
		w := New(2002)
		root := w.Add(Config{Name: "root", Addr: "203.0.113.1:9376"})
		copied := w.twin(root, "192.0.2.1:9376", pin+"203.0.113.1:9376", true)
		w.Run(5 * time.Second)
		if !problem(copied, "or has its key") || root.Node.Links() != 0 {
			t.Errorf("%s: %q, %d links", pin, copied.Node.Problems(), root.Node.Links())
		}
		sound(t, w)
	}
}

func TestAParentThatIsTheNodeItselfAfterAReloadIsRefused(t *testing.T) {
	w := home(2003)
	w.Run(3 * time.Second)
	root := w.Host("root")
	own := []node.ParentAddr{w.parent(root.Addr.String())}
	must(root.Apply(node.SetParents{Parents: own}))
	w.Run(5 * time.Second)
	if !problem(root, itself) {
		t.Errorf("%q", root.Node.Problems())
	}
	sound(t, w)
}

func TestAStaticAddressInDisguiseInAnOfferIsTakenForWhatItIs(t *testing.T) {
	w, p := attackedBy(t, 2004, nil)
	c := w.Host("technician")
	key, cert := p.serverCert(w.network, c.ID(), "hall")
	o := p.offer(key, cert, c.ID())
	as16 := netip.MustParseAddr("10.115.0.9").As16()
	o.Static = as16[:]
	s := p.talk(t, c.ID())
	s.message(wire.SessionOffer, o.Append(nil))
	w.Run(time.Second)
	if !s.answered(wire.SessionAccept) {
		t.Error("the offer was refused")
	}
	survived(t, w)
}

func TestATunnelFileWithAZoneThatNoInterfaceHasIsRefused(t *testing.T) {
	w := home(2005)
	g, _ := agreed(t, w)
	for _, made := range []bool{true, false} {
		list := slices.Clone(g.tunnels)
		if !made {
			g.Tunnel("hall", w.Host("technician"), snmp)
			list = slices.Clone(g.tunnels)
		}
		list[len(list)-1].External = netip.MustParseAddr("fe80::1%" + strings.Repeat("x", 99))
		if err := g.Apply(node.SetTunnels{Tunnels: list}); err == nil {
			t.Error("it was taken")
		}
	}
	w.Run(time.Minute)
	sound(t, w)
}

func TestADamagedSequenceNumberOnTheDiskStopsNobody(t *testing.T) {
	most := strings.Repeat("\xff", 6)
	for _, b := range []string{"\xff\xff" + most, "\x00\x00" + most} {
		w := home(2006)
		g, c := agreed(t, w)
		g.Kill()
		g.Disk["seq-"+g.ID().String()] = []byte(b)
		g.Start()
		talks(t, w, c, "meter", "again", 40*time.Second)
		sound(t, w)
	}
}
