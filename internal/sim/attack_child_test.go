// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"

	"staex/internal/ident"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/node"
	"staex/internal/overlay/state"
	"staex/internal/wire"
)

const (
	rootAddr = "203.0.113.1:9376"
	evilAddr = "198.51.100.66:9376"
)

// attackedBy is a network with a tunnel at work and an attacker that is a child of the root.
func attackedBy(t *testing.T, seed uint64, network *Network) (*World, *rawPeer) {
	t.Helper()
	w := open(seed)
	agreed(t, w)
	p := w.newRaw(evilAddr, rootAddr, network)
	p.attach(t)
	return w, p
}

// record is an encoded record message; cert may be nil.
func record(r state.Record, by *ident.Secret, cert []byte) []byte {
	r.Sign(by)
	return wire.Record{Record: r.Append(nil), NodeCert: cert}.Append(nil)
}

// endpoint makes a client endpoint below a node, with the certificate that the node signs.
func (p *rawPeer) endpoint(host ident.NodeID) (*ident.Secret, []byte) {
	secret, err := ident.NewSecret(p.rand)
	must(err)
	cert := &ident.EndpointCert{
		Kind: ident.ClientEndpoint, Network: p.who.Cert.Network, Key: secret.ID(), Peer: host,
	}
	must(ident.SignEndpointCert(cert, p.who.Secret))
	return secret, cert.Append(nil)
}

// rows is what a host says about its table, to see that nothing changed.
func rows(h *Host) map[ident.NodeID]ident.NodeID {
	m := map[ident.NodeID]ident.NodeID{}
	for _, x := range h.Node.Nodes(h.w.reading()) {
		m[x.ID] = x.Parent
	}
	return m
}

func TestForgedRecordsChangeNothing(t *testing.T) {
	w, p := attackedBy(t, 101, nil)
	root, g, me := w.Host("root"), w.Host("gateway"), p.who.Secret
	other := w.NewNetwork("other")
	foreign := w.identity(p.rand, other)
	ours := w.identity(p.rand, w.network)
	home := p.who.Cert.Network
	end, endCert := p.endpoint(me.ID())
	stranger, strangerCert := p.endpoint(g.ID())
	unsigned, cert := p.serverCert(other, g.ID())
	cert.Network = home
	unsignedCert := cert.Append(nil)
	claimed := *foreign.Cert
	claimed.Network = home
	own := state.Record{Kind: state.Node, Key: me.ID(), Parent: root.ID(), Network: home, Seq: 9}
	p.tell(wire.ControlRecord, record(own, me, nil))
	w.Run(time.Second)
	edit := func(f func(*state.Record)) state.Record {
		r := own
		f(&r)
		return r
	}
	for _, c := range []struct {
		name string
		body []byte
		why  drop.Reason
	}{
		{"a sibling's record signed by us", record(edit(func(r *state.Record) {
			r.Key, r.Parent, r.Seq = g.ID(), me.ID(), 1000
		}), me, g.Who.Cert.Append(nil)), drop.BadSignature},
		{"a record of the victim itself", record(edit(func(r *state.Record) {
			r.Key, r.Parent, r.Seq = root.ID(), me.ID(), 1000
		}), me, root.Who.Cert.Append(nil)), drop.BadSignature},
		{"a record below a sibling", record(edit(func(r *state.Record) {
			r.Parent, r.Seq = g.ID(), 10
		}), me, nil), drop.NotAdmitted},
		{"a record of another network than the certificate's", record(edit(func(r *state.Record) {
			r.Network, r.Seq = other.Cert.Key.Hash(), 10
		}), me, nil), drop.NotAdmitted},
		{
			"an old record", record(edit(func(r *state.Record) { r.Seq = 3 }), me, nil),
			drop.StaleRecord,
		},
		{"another record with the same number", record(edit(func(r *state.Record) {
			r.Tags = [][8]byte{{1}}
		}), me, nil), drop.StaleRecord},
		{"a node of a foreign network", record(edit(func(r *state.Record) {
			r.Key, r.Parent, r.Network = foreign.Secret.ID(), me.ID(), other.Cert.Key.Hash()
		}), foreign.Secret, foreign.Cert.Append(nil)), drop.NotAdmitted},
		{"a node of a foreign network that says it is of ours", record(edit(func(r *state.Record) {
			r.Key, r.Parent = foreign.Secret.ID(), me.ID()
		}), foreign.Secret, foreign.Cert.Append(nil)), drop.NotAdmitted},
		{"a node without a certificate", record(edit(func(r *state.Record) {
			r.Key, r.Parent = ours.Secret.ID(), me.ID()
		}), ours.Secret, nil), drop.NotAdmitted},
		{"a node with our certificate", record(edit(func(r *state.Record) {
			r.Key, r.Parent = ours.Secret.ID(), me.ID()
		}), ours.Secret, p.who.Cert.Append(nil)), drop.NotAdmitted},
		{"a node below somebody who is not here", record(edit(func(r *state.Record) {
			r.Key, r.Parent = ours.Secret.ID(), foreign.Secret.ID()
		}), ours.Secret, ours.Cert.Append(nil)), drop.NotAdmitted},
		{"an endpoint below a sibling", record(edit(func(r *state.Record) {
			r.Kind, r.Key, r.Parent = state.ClientEndpoint, stranger.ID(), g.ID()
		}), stranger, strangerCert), drop.BadSignature},
		{"an endpoint of another network than its host", record(edit(func(r *state.Record) {
			r.Kind, r.Key, r.Parent = state.ClientEndpoint, end.ID(), me.ID()
			r.Network = other.Cert.Key.Hash()
		}), end, endCert), drop.NotAdmitted},
		{"a server endpoint that its network did not sign", record(edit(func(r *state.Record) {
			r.Kind, r.Key, r.Parent = state.ServerEndpoint, unsigned.ID(), me.ID()
		}), unsigned, unsignedCert), drop.BadSignature},
		{"a node that its network did not sign", record(edit(func(r *state.Record) {
			r.Key, r.Parent = foreign.Secret.ID(), me.ID()
		}), foreign.Secret, claimed.Append(nil)), drop.BadSignature},
		{"a client endpoint as a server endpoint", record(edit(func(r *state.Record) {
			r.Kind, r.Key, r.Parent = state.ServerEndpoint, end.ID(), me.ID()
		}), end, endCert), drop.NotAdmitted},
	} {
		before, table := root.allDrops(), rows(root)
		p.tell(wire.ControlRecord, c.body)
		w.Run(time.Second)
		counted(t, root, before, c.why, 1)
		after := rows(root)
		if len(after) != len(table) {
			t.Errorf("%s: %d rows became %d", c.name, len(table), len(after))
		}
		for k, parent := range table {
			if after[k] != parent {
				t.Errorf("%s: %v moved below %v", c.name, k, after[k])
			}
		}
	}
	survived(t, w)
}

func TestAChildMayLeapfrogWithItsOwnKeyOnly(t *testing.T) {
	w, p := attackedBy(t, 102, nil)
	root := w.Host("root")
	r := state.Record{
		Kind: state.Node, Key: p.who.Secret.ID(), Parent: root.ID(), Network: p.who.Cert.Network,
	}
	for _, seq := range []uint64{1, 1 << 40, state.MaxSeq, 2} {
		r.Seq = seq
		p.tell(wire.ControlRecord, record(r, p.who.Secret, nil))
	}
	before := root.allDrops()
	w.Run(time.Second)
	counted(t, root, before, drop.StaleRecord, 1)
	survived(t, w)
}

func TestAFloodOfRecordsStopsAtTheQuota(t *testing.T) {
	const flood, made = 100_000, 400
	for _, member := range []bool{false, true} {
		w := open(103)
		public := w.NewNetwork("public")
		root := w.Host("root")
		root.cfg.HostRows = 300
		root.cfg.RelayNetworks = append(root.cfg.RelayNetworks, public.Cert.Key)
		root.Kill()
		root.Start()
		agreed(t, w)
		network := w.network
		if !member {
			network = public
		}
		p := w.newRaw(evilAddr, rootAddr, network)
		p.attach(t)
		before, others := root.allDrops(), root.gauge(t, "records")
		me := state.Record{
			Kind: state.Node, Key: p.who.Secret.ID(), Parent: root.ID(),
			Network: p.who.Cert.Network, Seq: 1,
		}
		p.tell(wire.ControlRecord, record(me, p.who.Secret, nil))
		bodies := make([][]byte, made)
		for i := range bodies {
			end, cert := p.endpoint(p.who.Secret.ID())
			r := me
			r.Kind, r.Key, r.Parent = state.ClientEndpoint, end.ID(), p.who.Secret.ID()
			bodies[i] = record(r, end, cert)
		}
		for len(bodies) < flood { // what is beyond the quota costs no signature, so forge it
			b := append([]byte(nil), bodies[len(bodies)%made]...)
			binary.BigEndian.PutUint32(b[8:], uint32(len(bodies)))
			bodies = append(bodies, b)
		}
		for i := 0; i < flood; i += 1000 {
			p.flood(wire.ControlRecord, bodies[i:i+1000])
			w.Run(100 * time.Millisecond)
		}
		if n := root.gauge(t, "records") - others; n > 301 || n < 100 {
			t.Errorf("member %v: %d rows after the flood", member, n)
		}
		counted(t, root, before, drop.Quota, flood-made)
		survived(t, w)
	}
}

func TestAFloodOfPathsUsesUpTheAttackersQuotaOnly(t *testing.T) {
	w := New(104)
	w.Add(Config{Name: "root", Addr: rootAddr})
	w.Add(Config{Name: "relay", Addr: "203.0.113.2:9376", Parents: []string{rootAddr}})
	w.Add(Config{Name: "gateway", Addr: "192.0.2.2:9376", Parents: []string{"203.0.113.2:9376"}})
	w.Add(Config{Name: "technician", Addr: "192.0.2.3:9376", Parents: []string{rootAddr}})
	agreed(t, w)
	relay := w.Host("relay")
	p := w.newRaw(evilAddr, "203.0.113.2:9376", nil)
	p.attach(t)
	below := w.newRaw("198.51.100.67:9376", "203.0.113.2:9376", nil) // accomplices who never answer
	above := w.newRaw("198.51.100.68:9376", rootAddr, nil)
	for _, x := range []*rawPeer{below, above} {
		x.attach(t)
	}
	below.announce(relay.ID())
	above.announce(w.Host("root").ID())
	for _, dest := range []ident.NodeID{below.who.Secret.ID(), above.who.Secret.ID()} {
		before, labels := relay.allDrops(), relay.gauge(t, "labels")
		var bodies [][]byte
		for i := range 5000 {
			path := wire.Path{Dest: dest, Kind: wire.PathHello, Hops: 60, Back: 7, Size: 1200}
			binary.BigEndian.PutUint64(path.ID[:], uint64(i+1))
			path.Body = make([]byte, 56)
			bodies = append(bodies, path.Append(nil))
		}
		p.flood(wire.ControlPath, bodies)
		w.Run(30 * time.Millisecond)
		if n := relay.gauge(t, "labels") - labels; n > 256+8 || n < 100 {
			t.Errorf("the flood took %d labels", n)
		}
		if n := relay.gauge(t, "path set-ups"); n > 256+8 {
			t.Errorf("the flood took %d set-ups", n)
		}
		counted(t, relay, before, drop.Quota, 4000)
		w.Host("technician").Kill() // so that it needs a new path right now
		w.Host("technician").Start()
		talks(t, w, w.Host("technician"), "meter", "during the flood", 4*time.Second)
		w.Run(10 * time.Second)
	}
	survived(t, w)
}

func TestLabelsOfOthersAreOfNoUse(t *testing.T) {
	w := open(105)
	_, c := agreed(t, w)
	root, g := w.Host("root"), w.Host("gateway")
	var theirs [][]byte
	w.attack.saw = func(h *Host, _, _ netip.AddrPort, b []byte) {
		if h == c && wire.PeekType(b) == wire.TypeData {
			theirs = append(theirs, append([]byte(nil), b...))
		}
	}
	talks(t, w, c, "meter", "seen", 5*time.Second)
	w.attack.saw = nil
	p := w.newRaw(evilAddr, rootAddr, nil)
	p.attach(t)
	g.Forget()
	before, at := root.allDrops(), g.allDrops()
	for _, b := range theirs {
		p.out(b)                       // somebody else's label from our address
		w.inject(c.Addr, root.Addr, b) // and with the owner's address
		h, n, err := wire.ParseDataHeader(b)
		must(err)
		h.Counter++
		b = append(h.Append(nil), b[n:]...)
		w.inject(c.Addr, root.Addr, b) // and made up, with a good label
	}
	for l := range wire.Label(5000) {
		p.out(wire.DataHeader{Type: wire.TypeData, Label: l, Counter: 1}.Append(nil))
		h := wire.DataHeader{Type: wire.TypeData, Label: l | 0x555000, Counter: 1}
		p.out(append(h.Append(nil), make([]byte, 20)...))
		p.out(wire.PathHandshake{Label: l, Stage: wire.StageConfirm}.Append(nil))
	}
	w.Run(time.Second)
	counted(t, root, before, drop.WrongSource, uint64(len(theirs)))
	counted(t, root, before, drop.UnknownLabel, 10_000)
	counted(t, g, at, drop.Replay, uint64(len(theirs)))
	counted(t, g, at, drop.OpenFailed, uint64(len(theirs)))
	if len(g.Got) != 0 {
		t.Errorf("the gateway received %v", g.Got)
	}
	survived(t, w)
}

func TestASpoofedAddressCannotTalkItsOwnerOutOfATunnel(t *testing.T) {
	w := open(106)
	_, c := agreed(t, w)
	root := w.Host("root")
	before := root.allDrops()
	for round := range 20 {
		for i := range 500 {
			h := wire.DataHeader{Type: wire.TypeData, Label: wire.Label(0x800000 + 500*round + i)}
			w.inject(c.Addr, root.Addr, append(h.Append(nil), make([]byte, 16)...))
		}
		w.Run(20 * time.Millisecond)
	}
	counted(t, root, before, drop.UnknownLabel, 10_000)
	if n := root.gauge(t, "messages for a neighbour"); n > 256 {
		t.Errorf("a stranger made %d messages wait for a child", n)
	}
	survived(t, w)
}

// lost is how many sessions of a host ended before their time.
func lost(h *Host) (n int) {
	for _, e := range h.Events {
		if e.Kind == node.EventSessionDown {
			n++
		}
	}
	return n
}

func TestWordsAboutOthersThingsAreNotBelieved(t *testing.T) {
	w, p := attackedBy(t, 107, nil)
	root, g, c := w.Host("root"), w.Host("gateway"), w.Host("technician")
	table, sessions := rows(root), c.Node.Sessions()
	before, spent := root.allDrops(), w.Bytes("root", "other")
	for _, h := range w.Hosts() {
		p.tell(wire.ControlGone, wire.Gone{Key: h.ID(), Seq: state.MaxSeq}.Append(nil))
	}
	var unknown [][]byte
	for l := range wire.Label(4096) {
		for _, check := range []wire.Label{0, 0x10000, 0xabc000} {
			unknown = append(unknown, wire.Unknown{Label: l | check}.Append(nil))
		}
	}
	p.flood(wire.ControlUnknown, unknown)
	below := w.newRaw("198.51.100.67:9376", "192.0.2.2:9376", nil) // whose parent has sessions
	below.attach(t)
	held, way := lost(g), g.Node.SessionPath(meterOf(t, g).ID)
	w.attack.saw = func(h *Host, _, _ netip.AddrPort, b []byte) { // with the true labels, too
		if l, ok := wire.PeekLabel(b); ok && h == g && wire.PeekType(b) == wire.TypeData {
			below.tell(wire.ControlUnknown, wire.Unknown{Label: l}.Append(nil))
		}
	}
	talks(t, w, c, "meter", "while somebody denies it", 5*time.Second)
	w.attack.saw = nil
	below.flood(wire.ControlUnknown, unknown)
	w.Run(time.Second)
	if n := lost(g) - held; n != 0 || g.Node.SessionPath(meterOf(t, g).ID) != way {
		t.Errorf("a child of the gateway ended %d sessions, or sent one another way", n)
	}
	var ups, wants [][]byte
	for range 2000 {
		key := ident.NodeID{}
		_, _ = p.rand.Read(key[:])
		ups = append(ups, wire.Up{Keys: []ident.NodeID{key, g.ID()}}.Append(nil))
		wants = append(wants, nil)
	}
	p.flood(wire.ControlUp, ups)
	p.flood(wire.ControlWant, wants)
	w.Run(time.Second)
	counted(t, root, before, drop.BadType, 4000)
	if n := w.Bytes("root", "other") - spent; n > 1000 {
		t.Errorf("a child's false words cost its sibling %d bytes", n)
	}
	if after := rows(root); len(after) != len(table) {
		t.Errorf("%d rows became %d", len(table), len(after))
	}
	if c.Node.Sessions() != sessions {
		t.Error("a session ended")
	}
	for _, x := range w.Host("other").Node.Nodes(w.reading()) {
		if x.Above > 1 {
			t.Errorf("a child made its sibling believe in %v above", x.ID)
		}
	}
	survived(t, w)
}

// asked is the last path set-up that an attacker was asked for.
func (p *rawPeer) asked(t *testing.T) wire.Path {
	t.Helper()
	for _, m := range slices.Backward(p.heard) {
		if m.typ == wire.ControlPath {
			path, err := wire.ParsePath(m.body)
			must(err)
			return path
		}
	}
	t.Fatal("nobody asked")
	return wire.Path{}
}

// knock begins a path to a key.
func (p *rawPeer) knock(dest ident.NodeID, id byte) {
	path := wire.Path{
		Dest: dest, ID: [8]byte{id, 1}, Kind: wire.PathHello, Hops: 9, Back: 7, Size: 1200,
		Body: make([]byte, 56),
	}
	p.tell(wire.ControlPath, path.Append(nil))
}

// announce puts the attacker's own row into its parent's table.
func (p *rawPeer) announce(parent ident.NodeID) {
	r := state.Record{
		Kind: state.Node, Key: p.who.Secret.ID(), Parent: parent, Network: p.who.Cert.Network,
		Seq: uint64(p.w.Now) + 1,
	}
	p.tell(wire.ControlRecord, record(r, p.who.Secret, nil))
	p.w.Run(100 * time.Millisecond)
}

func TestASetUpIsAnsweredOnlyByWhoWasAsked(t *testing.T) {
	w, asker := attackedBy(t, 108, nil)
	root := w.Host("root")
	called := w.newRaw("198.51.100.67:9376", rootAddr, nil)
	liar := w.newRaw("198.51.100.68:9376", rootAddr, nil)
	for _, p := range []*rawPeer{called, liar} {
		p.attach(t)
		p.announce(root.ID())
	}
	asker.knock(called.who.Secret.ID(), 1)
	w.Run(time.Second)
	path := called.asked(t)
	before := root.allDrops()
	ok := wire.PathOK{ID: path.ID, Label: 0x424242, Size: 1200, Body: make([]byte, 48)}
	liar.tell(wire.ControlPathOK, ok.Append(nil))
	no := wire.PathNo{ID: path.ID, Reason: wire.PathNoRoute}
	liar.tell(wire.ControlPathNo, no.Append(nil))
	asker.tell(wire.ControlPathOK, ok.Append(nil)) // nor by who asks
	asker.tell(wire.ControlPathNo, no.Append(nil))
	w.Run(time.Second)
	counted(t, root, before, drop.Stranger, 4)
	if asker.told(wire.ControlPathOK)+asker.told(wire.ControlPathNo) != 0 {
		t.Error("the asker was given the liar's answer")
	}
	called.tell(wire.ControlPathOK, ok.Append(nil))
	w.Run(time.Second)
	if asker.told(wire.ControlPathOK) != 1 {
		t.Error("the asker was not given the true answer")
	}
	called.tell(wire.ControlPathOK, ok.Append(nil)) // once is enough
	w.Run(time.Second)
	counted(t, root, before, drop.Stranger, 5)
	survived(t, w)
}

func TestAChildThatClaimsOthersAddressesTurnsNoFloodOnThem(t *testing.T) {
	w, asker := attackedBy(t, 109, nil)
	p := w.newRaw("198.51.100.67:9376", rootAddr, nil)
	p.attach(t)
	p.announce(w.Host("root").ID())
	p.deaf = true // and so it acknowledges nothing
	for i := range 200 {
		asker.knock(p.who.Secret.ID(), byte(i))
	}
	w.Run(100 * time.Millisecond)
	heard, sent, root := 0, 0, w.Host("root")
	before := root.allDrops()
	for i := range 250 {
		from := at(i)
		w.listen(from, func(_ netip.AddrPort, b []byte) { heard += len(b) })
		say := func(plain []byte) {
			h := wire.DataHeader{Type: wire.TypeLink, Label: p.theirs}
			b := sealFrame(p.send, h, plain)
			sent += len(b)
			w.inject(from, p.to, b)
		}
		say(nil)
		for guess := range uint64(12) { // the question went elsewhere: it can only be guessed
			k := wire.KeepAlive{HasEcho: true, Echo: uint64(i) + guess}
			say(k.Append(nil))
		}
		w.Run(4 * time.Millisecond)
	}
	w.Run(time.Second)
	counted(t, root, before, drop.Unproven, 10)
	if heard > 3*sent || heard == 0 {
		t.Errorf("%d bytes with false addresses sent %d to them", sent, heard)
	}
	c := w.Host("technician") // nor does it take over what is said to the owner of an address
	b := sealFrame(p.send, wire.DataHeader{Type: wire.TypeLink, Label: p.theirs}, nil)
	w.inject(c.Addr, p.to, b)
	w.Run(time.Second)
	survived(t, w)
}
