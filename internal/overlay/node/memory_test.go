// SPDX-License-Identifier: Apache-2.0

package node

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/plane"
	"staex/internal/overlay/pool"
	"staex/internal/overlay/session"
	"staex/internal/overlay/state"
	"staex/internal/wire"
)

// These tests stand inside the room: a hundred thousand handshakes through its door would take
// minutes, and what they measure is what a handshake leaves behind.

// elsewhere is a log that keeps nothing: on a disk, as the heap sees it.
type elsewhere struct{ next uint64 }

func (e *elsewhere) Append(entry []byte) (uint64, error) {
	e.next += uint64(len(entry))
	return e.next, nil
}

func (e *elsewhere) Read(uint64) ([]byte, error) { return nil, state.ErrNoEntry }

func (e *elsewhere) Drop(uint64) {}

func bigRoot(t *testing.T) *Node {
	t.Helper()
	dice := rand.NewChaCha8([32]byte{1})
	network, err := ident.NewSecret(dice)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := ident.NewSecret(dice)
	if err != nil {
		t.Fatal(err)
	}
	cert := &ident.NodeCert{Key: secret.ID()}
	if err := ident.SignNodeCert(cert, network); err != nil {
		t.Fatal(err)
	}
	who := &ident.Identity{
		Secret: secret, Cert: cert, Network: &ident.NetworkCert{Key: network.NetworkKey()},
	}
	n, err := New(Config{
		LabelBits: 20, AES: true, Log: &elsewhere{},
		Ranges: pool.Ranges{
			V4: netip.MustParsePrefix("10.83.0.0/16"),
			V6: netip.MustParsePrefix("200::/7"), MAC: [6]byte{0xae},
		},
	}, who, dice)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func numbered(i int) (id ident.NodeID) {
	dice := rand.New(rand.NewPCG(uint64(i), 1))
	for o := 0; o < len(id); o += 8 {
		binary.BigEndian.PutUint64(id[o:], dice.Uint64())
	}
	return id
}

// attach is what a child's last handshake message, its first record and its acknowledgement do.
func attach(t *testing.T, n *Node, i int, out *Effects) *link {
	t.Helper()
	now := clock.Reading{Up: time.Duration(i) * time.Millisecond}
	mine, ok := n.labels.New(now.Up)
	if !ok {
		t.Fatal("no label is left")
	}
	addr := [4]byte{100, byte(i >> 16), byte(i >> 8), byte(i)}
	l := n.linkUp(now, linkKeys{
		peer: numbered(i), network: n.who.Cert.Network, mine: mine, theirs: 1,
		addr: netip.AddrPortFrom(netip.AddrFrom4(addr), 9376), size: 1400, period: 30 * time.Second,
		keys: session.Keys{Send: [32]byte{byte(i)}, Chain: [32]byte{byte(i), 1}},
	})
	n.links.certs[l.id] = make([]byte, ident.NodeCertSize)
	n.childAttached(l)
	n.tell(l, wire.ControlUp, wire.Up{}.Append(nil))
	r := &state.Record{
		Kind: state.Node, Key: l.peer, Parent: n.self, Network: l.network, Seq: 1,
	}
	n.putRecord(now, l, r, wire.Record{Record: r.Append(nil)})
	n.digestFor(now, l)
	out.Reset()
	n.finish(now, out)
	n.acknowledged(now, l, l.ctl.sent)
	if d := n.digestFor(now, l); d == nil {
		t.Fatal("something is still under way")
	}
	return l
}

func TestAChildCostsAtMostAKilobyte(t *testing.T) {
	const children = 100_000
	const limit = 1000 + ident.KeySize + 64 // the state of a link, and the row of its child
	n := bigRoot(t)
	var out Effects
	before := inHeap()
	for i := range children {
		attach(t, n, i, &out)
	}
	out = Effects{}
	each := (inHeap() - before) / children
	if n.Links() != children || n.records.Len() != children+1 {
		t.Fatalf("%d links, %d rows", n.Links(), n.records.Len())
	}
	t.Logf("a child costs %d B, its row included", each)
	if each > limit {
		t.Errorf("a child costs %d B, at most %d", each, limit)
	}
	runtime.KeepAlive(n)
}

func TestAMillionKnownNodesCostSixtyFourBytesBesideTheirKeys(t *testing.T) {
	const rows, limit = 1_000_000, 64 + ident.KeySize
	n := bigRoot(t)
	var out Effects
	relay := attach(t, n, 0, &out)
	before := inHeap()
	for i := 1; i < rows; i++ {
		r := &state.Record{
			Kind: state.Node, Key: numbered(i), Parent: relay.peer, Network: relay.network, Seq: 1,
		}
		n.putRecord(clock.Reading{}, relay, r, wire.Record{Record: r.Append(nil)})
	}
	each := float64(inHeap()-before) / rows
	if n.records.Len() != rows+1 {
		t.Fatalf("%d rows", n.records.Len())
	}
	t.Logf("a known node costs %.1f B, its key included", each)
	if each > limit {
		t.Errorf("a known node costs %.1f B, at most %d", each, limit)
	}
	runtime.KeepAlive(n)
}

func TestASessionCostsAtMostFourKilobytes(t *testing.T) {
	const sessions, limit = 2000, 4096
	n := bigRoot(t)
	var out Effects
	l := attach(t, n, 0, &out)
	now := clock.Reading{Up: time.Second}
	before := inHeap()
	for i := 1; i <= sessions; i++ {
		c := n.conversationWith(now, n.who.Secret, numbered(i), nil)
		mine, ok := n.newRow(now, plane.Row{Kind: plane.RowSession}, l, l)
		if !ok {
			t.Fatal("no row is left")
		}
		l.rows = 0 // the quota of a link is not what is measured
		keys := session.Keys{Send: [32]byte{byte(i)}, Chain: [32]byte{byte(i), byte(i >> 8)}}
		live := n.newLive(keys, false, flagAES, way{l, mine, 1, 1400})
		n.establish(now, c, live, &out)
		ctr := live.fast.Send.Reserve(1)
		sealed := live.fast.Send.Seal(nil, ctr, 0, []byte("x"))
		back := session.NewReceiver([32]byte{byte(i)}, session.AESGCM, session.WindowSession)
		if _, _, err := back.Open(nil, 0, uint32(ctr), true, 0, sealed); err != nil {
			t.Fatal(err)
		}
		live.fast.Recv = back // with the window that the first frame brings
		out.Reset()
		n.finish(now, &out)
	}
	out = Effects{}
	each := (inHeap() - before) / sessions
	t.Logf("a session costs %d B", each)
	if each > limit {
		t.Errorf("a session costs %d B, at most %d", each, limit)
	}
	runtime.KeepAlive(n)
}

func inHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
