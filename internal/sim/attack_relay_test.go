// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"staex/internal/ident"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/state"
	"staex/internal/wire"
)

// underEvil is a network with a tunnel at work whose gateway then goes to a parent, a member of the
// network, that is the attacker. The host "leaf" hangs below the gateway.
func underEvil(t *testing.T, seed uint64) (*World, *rawPeer) {
	t.Helper()
	w := New(seed)
	w.Watch([]byte("confidential"))
	w.Add(Config{Name: "root", Addr: rootAddr})
	both := []string{evilAddr, rootAddr}
	g := w.Add(Config{Name: "gateway", Addr: "192.0.2.2:9376", Parents: both})
	w.Add(Config{Name: "technician", Addr: "192.0.2.3:9376", Parents: []string{rootAddr}})
	w.Add(Config{Name: "leaf", Addr: "192.0.2.4:9376", Parents: []string{"192.0.2.2:9376"}})
	w.Run(5 * time.Second)
	agreed(t, w)
	p := w.newRaw(evilAddr, "192.0.2.2:9376", nil)
	evil := func() bool { id, _, _ := g.Node.Parent(); return id == p.who.Secret.ID() }
	if !w.Until(30*time.Minute, evil) {
		t.Fatal("the gateway did not go to its first parent")
	}
	w.Run(time.Second)
	return w, p
}

// leave ends the attacker's reign; the gateway goes back to the root.
func (p *rawPeer) leave() {
	p.tell(wire.ControlBye, nil)
	p.w.Run(100 * time.Millisecond)
	p.w.listen(p.addr, func(netip.AddrPort, []byte) {})
	p.w.Run(5 * time.Second)
}

// written is the sequence number that a host keeps on disk for its own key.
func written(h *Host) uint64 {
	if b := h.Disk["seq-"+h.ID().String()]; len(b) == 8 {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func TestAParentCannotPutWordsIntoItsChildsMouth(t *testing.T) {
	w, p := underEvil(t, 140)
	g := w.Host("gateway")
	var own wire.Record
	for _, m := range p.heard {
		if m.typ == wire.ControlRecord {
			x, err := wire.ParseRecord(m.body)
			must(err)
			if r, err := state.DecodeRecord(x.Record); err == nil && r.Key == g.ID() {
				own = x
			}
		}
	}
	r, err := state.DecodeRecord(own.Record)
	must(err)
	before, seq, rows := g.allDrops(), written(g), g.gauge(t, "records")
	echo := make([][]byte, 1000)
	for i := range echo {
		echo[i] = own.Append(nil)
	}
	p.flood(wire.ControlRecord, echo)
	w.Run(time.Second)
	counted(t, g, before, drop.StaleRecord, 1000)
	for i := range uint64(100) {
		forged := *r
		forged.Seq = r.Seq + i + 1
		p.tell(wire.ControlRecord, record(forged, p.who.Secret, nil))
		forged.Key = w.Host("leaf").ID()
		forged.Seq = state.MaxSeq
		p.tell(wire.ControlRecord, record(forged, p.who.Secret, nil))
		p.tell(wire.ControlGone, wire.Gone{Key: forged.Key, Seq: state.MaxSeq}.Append(nil))
		p.tell(wire.ControlGone, wire.Gone{Key: g.ID(), Seq: state.MaxSeq}.Append(nil))
	}
	w.Run(time.Second)
	counted(t, g, before, drop.BadSignature, 200)
	if now := written(g); now != seq {
		t.Errorf("the child signed and wrote %d records because of its parent", now-seq)
	}
	if n := g.gauge(t, "records"); n != rows {
		t.Errorf("%d rows became %d", rows, n)
	}
	p.leave()
	survived(t, w)
}

func TestAParentsChatterCostsItsChildLittle(t *testing.T) {
	w, p := underEvil(t, 141)
	g := w.Host("gateway")
	before, down := g.allDrops(), w.Bytes("gateway", "leaf")
	told := len(p.heard)
	var ups [][]byte
	for range 2000 {
		u := wire.Up{Keys: make([]ident.NodeID, wire.MaxParents)}
		for i := range u.Keys {
			_, _ = p.rand.Read(u.Keys[i][:])
		}
		ups = append(ups, u.Append(nil))
	}
	p.flood(wire.ControlUp, ups)
	p.flood(wire.ControlWant, make([][]byte, 2000))
	w.Run(5 * time.Second)
	if n := w.Bytes("gateway", "leaf") - down; n > 50_000 {
		t.Errorf("false chains of parents cost a child of the child %d bytes", n)
	}
	counted(t, g, before, drop.Quota, 1999)
	if n := len(p.heard) - told; n > 20 {
		t.Errorf("2000 questions brought %d messages", n)
	}
	if n := len(g.Node.Nodes(w.reading())); n > 64 {
		t.Errorf("the gateway believes in %d nodes", n)
	}
	p.leave()
	survived(t, w)
}

func TestAParentsGarbageDoesNotStopItsChild(t *testing.T) {
	w, p := underEvil(t, 142)
	g := w.Host("gateway")
	before := g.allDrops()
	kind := 0
	p.react = func(m rawMessage) { // answers every path in another wrong way
		if m.typ != wire.ControlPath {
			return
		}
		path, err := wire.ParsePath(m.body)
		must(err)
		ok := wire.PathOK{ID: path.ID, Label: path.Back, Size: 65535, Body: make([]byte, kind*8)}
		if kind++; kind > 60 {
			kind = 0
		}
		_, _ = p.rand.Read(ok.Body)
		switch kind % 4 {
		case 0:
			p.tell(wire.ControlPathNo, wire.PathNo{ID: path.ID, Reason: uint8(kind)}.Append(nil))
		case 1:
			ok.ID[0]++
			fallthrough
		default:
			p.tell(wire.ControlPathOK, ok.Append(nil))
			p.tell(wire.ControlPathOK, ok.Append(nil))
		}
	}
	for range 20 {
		g.Tunnel("more", w.Host("leaf"), snmp) // its offers are carried by the leaf's own link
		g.Tunnel("away", w.Host("root"), snmp) // and these go up
		w.Run(20 * time.Second)
	}
	counted(t, g, before, drop.OpenFailed, 3)
	counted(t, g, before, drop.Stranger, 5)
	for i := range 300 {
		path := wire.Path{Dest: g.ID(), Kind: wire.PathHello, Hops: 9, Back: 3, Size: 1}
		path.ID = [8]byte{5, byte(i), byte(i >> 8)}
		path.Body = make([]byte, i)
		if i%3 == 1 {
			path.Dest = w.Host("technician").ID()
		}
		if i%3 == 2 {
			path.Dest, path.Hops = w.Host("leaf").ID(), 0
		}
		p.tell(wire.ControlPath, path.Append(nil))
	}
	w.Run(time.Second)
	counted(t, g, before, drop.BadMac, 90)
	counted(t, g, before, drop.NoRoute, 90)
	counted(t, g, before, drop.HopLimit, 90)
	p.leave()
	survived(t, w)
}

// evilRelay is a real relay between gateway and technician whose owner handles what it sends.
func evilRelay(t *testing.T, seed uint64) (*World, *Host) {
	t.Helper()
	w := New(seed)
	w.Watch([]byte("confidential"))
	w.Add(Config{Name: "root", Addr: rootAddr})
	r := w.Add(Config{Name: "relay", Addr: "203.0.113.2:9376", Parents: []string{rootAddr}})
	w.Add(Config{Name: "gateway", Addr: "192.0.2.2:9376", Parents: []string{"203.0.113.2:9376"}})
	w.Add(Config{Name: "technician", Addr: "192.0.2.3:9376", Parents: []string{rootAddr}})
	agreed(t, w)
	talks(t, w, w.Host("technician"), "meter", "confidential", 5*time.Second)
	return w, r
}

func TestARelayThatDropsDelaysCopiesOrRewritesDeliversNothingOfItsOwn(t *testing.T) {
	w, r := evilRelay(t, 143)
	g, c := w.Host("gateway"), w.Host("technician")
	before := [2][drop.Count]uint64{g.allDrops(), c.allDrops()}
	var n int
	carried := func(b []byte) bool {
		return wire.PeekType(b) == wire.TypeData || wire.PeekType(b) == wire.TypePathHandshake
	}
	w.attack.held = func(h *Host, from, to netip.AddrPort, b []byte) bool {
		if h != r || !carried(b) {
			return false
		}
		n++
		again := append([]byte(nil), b...)
		switch n % 6 {
		case 0: // drops
			return true
		case 1: // delays
			w.At(w.Now+time.Duration(n%7)*time.Second, func() { w.strike(from, to, again) })
			return true
		case 2: // copies
			for range 3 {
				w.inject(from, to, again)
			}
		case 3: // rewrites the end
			again[len(again)-1-n%len(again)/2] ^= byte(1 + n%255)
			w.inject(from, to, again)
			return true
		case 4: // rewrites the label
			again[1+n%3] ^= byte(1 + n%255)
			w.inject(from, to, again)
		}
		return false
	}
	g.Forget()
	c.Forget()
	for i := range 600 {
		c.Ask("meter", uint16(6000+i%200), 161, fmt.Sprint("confidential ", i))
		w.Run(50 * time.Millisecond)
	}
	w.attack.held = nil
	w.Run(10 * time.Second)
	if n < 500 || len(g.Got) < 50 || len(c.Got) < 20 {
		t.Errorf("%d frames, %d and %d delivered", n, len(g.Got), len(c.Got))
	}
	for i, h := range []*Host{g, c} {
		once(t, h)
		counted(t, h, before[i], drop.Replay, 10)
		counted(t, h, before[i], drop.OpenFailed, 8)
	}
	survived(t, w)
}

func TestAParentThatTakesAndDropsItsChildDoesNotWearOutItsDisk(t *testing.T) {
	w := open(161)
	agreed(t, w)
	p := w.newRaw(evilAddr, "192.0.2.9:9376", nil)
	leaf := w.Add(Config{Name: "leaf", Addr: "192.0.2.9:9376", Parents: []string{evilAddr}})
	times := 0
	p.react = func(m rawMessage) {
		if m.typ == wire.ControlRecord {
			times++
			p.tell(wire.ControlBye, nil)
		}
	}
	first := written(leaf)
	w.Run(10 * time.Minute)
	if n := written(leaf) - first; n > 60 || times < 5 {
		t.Errorf("the leaf wrote %d records, and was dropped %d times", n, times)
	}
	survived(t, w)
}

func TestAParentOfAForeignNetworkIsNotTaken(t *testing.T) {
	w := New(164)
	w.Add(Config{Name: "root", Addr: rootAddr})
	both := []string{evilAddr, rootAddr}
	g := w.Add(Config{Name: "gateway", Addr: "192.0.2.2:9376", Parents: both})
	w.Add(Config{Name: "technician", Addr: "192.0.2.3:9376", Parents: []string{rootAddr}})
	p := w.newRaw(evilAddr, "192.0.2.2:9376", w.NewNetwork("other"))
	w.Run(time.Minute)
	counted(t, g, [drop.Count]uint64{}, drop.NotAdmitted, 1)
	if id, _, _ := g.Node.Parent(); id == p.who.Secret.ID() || p.send != nil {
		t.Error("the gateway took a parent of a foreign network")
	}
	agreed(t, w)
	survived(t, w)
}
