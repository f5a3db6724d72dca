// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/node"
	"staex/internal/overlay/plane"
	"staex/internal/overlay/pool"
	"staex/internal/wire"
)

// bench is a parent and a child that hand each other their datagrams. The time that the parent
// takes is measured by itself.
type bench struct {
	b      testing.TB
	now    clock.Reading
	parent *node.Node
	child  *node.Node
	cfg    node.Config
	who    *ident.Identity
	dice   *rand.ChaCha8
	disk   map[string][]byte // the child's
	spent  time.Duration
	watch  func(n *node.Node) // sees a node after each datagram
}

var (
	parentAddr = netip.MustParseAddrPort("203.0.113.1:9376")
	childAddr  = netip.MustParseAddrPort("192.0.2.2:9376")
)

func newBench(b testing.TB, pq node.PostQuantum) *bench {
	b.Helper()
	x := &bench{b: b, dice: rand.NewChaCha8([32]byte{7}), disk: map[string][]byte{}}
	network, err := ident.NewSecret(x.dice)
	if err != nil {
		b.Fatal(err)
	}
	cert := &ident.NetworkCert{Key: network.NetworkKey(), Name: "bench"}
	if err := ident.SignNetworkCert(cert, network); err != nil {
		b.Fatal(err)
	}
	member := func() *ident.Identity {
		secret, err := ident.NewSecret(x.dice)
		if err != nil {
			b.Fatal(err)
		}
		c := &ident.NodeCert{Key: secret.ID()}
		if err := ident.SignNodeCert(c, network); err != nil {
			b.Fatal(err)
		}
		return &ident.Identity{Secret: secret, Cert: c, Network: cert}
	}
	x.cfg.PostQuantum = pq
	x.cfg.Ranges = pool.Ranges{
		V4: netip.MustParsePrefix("10.83.0.0/16"), V6: netip.MustParsePrefix("200::/7"),
	}
	x.parent = x.node(member(), x.cfg)
	x.cfg.Parents = []node.ParentAddr{{Entry: "parent", Addrs: []netip.AddrPort{parentAddr}}}
	x.who = member()
	return x
}

func (x *bench) node(who *ident.Identity, cfg node.Config) *node.Node {
	n, err := node.New(cfg, who, x.dice)
	if err != nil {
		x.b.Fatal(err)
	}
	return n
}

// attach starts the child with its disk, or without a ticket, and lets it attach.
func (x *bench) attach(ticket bool) {
	x.start(ticket)
	if _, _, ok := x.child.Parent(); !ok {
		x.b.Fatal("the child did not attach")
	}
}

// later lets a fifth of a second pass.
func (x *bench) later() {
	x.now.Up += 200 * time.Millisecond
	x.elapse(x.parent, parentAddr)
	x.elapse(x.child, childAddr)
}

func (x *bench) start(ticket bool) {
	x.now.Up += 61 * time.Second // labels have left their quarantine
	x.cfg.Stored = x.disk
	if !ticket {
		x.cfg.Stored = nil
	}
	x.child = x.node(x.who, x.cfg)
	x.elapse(x.parent, parentAddr)
	x.elapse(x.child, childAddr)
}

func (x *bench) elapse(n *node.Node, addr netip.AddrPort) {
	var out node.Effects
	n.Expire(x.now, &out)
	x.carry(addr, &out)
}

// carry does what a node wants: the child's disk, and datagrams to the other one.
func (x *bench) carry(from netip.AddrPort, e *node.Effects) {
	for _, r := range e.Store {
		if from == childAddr && r.Data != nil {
			x.disk[r.Name] = r.Data
		}
	}
	for _, d := range e.Send {
		var out node.Effects
		switch d.To {
		case parentAddr:
			began := time.Now()
			deliver(x.parent, x.now, from, d.B, &out)
			x.spent += time.Since(began)
		case childAddr:
			deliver(x.child, x.now, from, d.B, &out)
		}
		if x.watch != nil {
			x.watch(x.parent)
			x.watch(x.child)
		}
		x.carry(d.To, &out)
	}
}

// deliver gives a datagram to a node as its fast path would.
func deliver(n *node.Node, now clock.Reading, from netip.AddrPort, b []byte, out *node.Effects) {
	if label, _ := wire.PeekLabel(b); wire.PeekType(b) == wire.TypeLink {
		if row, ok := n.Tables().Row(label); ok && row.Kind == plane.RowControl {
			n.FromLink(now, row.ID, from, b, out)
		}
		return
	}
	n.FromStranger(now, from, b, out)
}

// BenchmarkAttach is a child that comes to its parent, again and again: its time and allocations
// are those of both ends, with the signature on the child's record and its check; the parent's
// share, from the first datagram to the child's record in its table, is reported as
// parent-handshakes/s.
func BenchmarkAttach(b *testing.B) {
	for _, c := range []struct {
		name   string
		ticket bool
		pq     node.PostQuantum
	}{
		{"handshake", false, node.PQOff},
		{"handshake-post-quantum", false, node.PQRequire},
		{"ticket", true, node.PQOff},
	} {
		b.Run(c.name, func(b *testing.B) {
			x := newBench(b, c.pq)
			x.attach(false)
			if links, _ := x.parent.Hybrid(); (links == 1) != (c.pq == node.PQRequire) {
				b.Fatalf("%d links are hybrid", links)
			}
			x.spent = 0
			b.ReportAllocs()
			for b.Loop() {
				x.attach(c.ticket)
			}
			b.ReportMetric(float64(b.N)/x.spent.Seconds(), "parent-handshakes/s")
		})
	}
}
