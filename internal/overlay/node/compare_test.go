// SPDX-License-Identifier: Apache-2.0

package node

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/pool"
	"staex/internal/overlay/session"
	"staex/internal/overlay/state"
	"staex/internal/wire"
)

// These tests stand inside the room because they spoil a table, which no neighbour can.

// duo is a child and its parent on a wire without loss, and what crossed it.
type duo struct {
	*testing.T
	network *ident.Secret
	dice    *rand.ChaCha8
	now     clock.Reading
	child   *Node
	parent  *Node
	up      *link         // the child's
	down    *link         // the parent's
	below   *link         // of the child, through which it knows its rows
	far     *session.Pair // the other end of that
	said    map[ident.NodeID]wire.Record
	keys    []*ident.Secret
	bytes   int
	told    map[uint8]int // messages by type, both ways
}

var (
	parentAddr = netip.MustParseAddrPort("192.0.2.1:9376")
	childAddr  = netip.MustParseAddrPort("192.0.2.2:9376")
	belowAddr  = netip.MustParseAddrPort("192.0.2.3:9376")
)

func (d *duo) secret() *ident.Secret {
	s, err := ident.NewSecret(d.dice)
	if err != nil {
		d.Fatal(err)
	}
	return s
}

func (d *duo) certOf(key ident.NodeID) *ident.NodeCert {
	cert := &ident.NodeCert{Key: key}
	if err := ident.SignNodeCert(cert, d.network); err != nil {
		d.Fatal(err)
	}
	return cert
}

func (d *duo) node(log state.Log) *Node {
	s := d.secret()
	n, err := New(Config{Log: log, Ranges: pool.Ranges{
		V4: netip.MustParsePrefix("10.83.0.0/16"), V6: netip.MustParsePrefix("200::/7"),
	}}, &ident.Identity{
		Secret: s, Cert: d.certOf(s.ID()), Network: &ident.NetworkCert{Key: d.network.NetworkKey()},
	}, d.dice)
	if err != nil {
		d.Fatal(err)
	}
	return n
}

func (d *duo) link(n *Node, peer ident.NodeID, addr netip.AddrPort, keys session.Keys,
	toward bool,
) *link {
	mine, _ := n.labels.New(d.now.Up)
	return n.linkUp(d.now, linkKeys{
		peer: peer, network: n.who.Cert.Network, addr: addr, mine: mine, size: 1400,
		period: time.Hour, toward: toward, keys: keys,
	})
}

// newDuo has a child with a tree of so many rows below it. Its table keeps whole of them.
func newDuo(t *testing.T, rows, whole int) *duo {
	t.Helper()
	d := &duo{T: t, dice: rand.NewChaCha8([32]byte{9}), now: clock.Reading{Up: time.Second}}
	d.said, d.told = map[ident.NodeID]wire.Record{}, map[uint8]int{}
	d.network = d.secret()
	d.child, d.parent = d.node(state.NewMemory(whole)), d.node(nil)
	head := d.secret()
	one, two := [32]byte{1}, [32]byte{2}
	d.below = d.link(d.child, head.ID(), belowAddr, session.Keys{Send: one, Recv: two}, false)
	d.far = session.NewPair(session.Keys{Send: two, Recv: one})
	d.child.childAttached(d.below)
	d.child.links.certs[d.below.id] = d.certOf(head.ID()).Append(nil)
	for i := range rows {
		s, above := head, d.child.self
		if i > 0 {
			s, above = d.secret(), d.keys[(i-1)/4].ID()
		}
		d.keys = append(d.keys, s)
		d.record(s, above, 1)
	}
	d.up = d.link(d.child, d.parent.self, parentAddr,
		session.Keys{Send: one, Recv: two, Chain: one}, true)
	d.down = d.link(d.parent, d.child.self, childAddr,
		session.Keys{Send: two, Recv: one, Chain: one}, false)
	d.parent.childAttached(d.down)
	d.parent.links.certs[d.down.id] = d.child.who.Cert.Append(nil)
	d.child.parents.list = []ParentAddr{{Entry: "parent"}}
	d.child.parents.active = d.up
	return d
}

// record lets the child know a record of a key below it.
func (d *duo) record(s *ident.Secret, above ident.NodeID, seq uint64) wire.Record {
	d.Helper()
	r := &state.Record{
		Kind: state.Node, Key: s.ID(), Parent: above, Network: d.child.who.Cert.Network, Seq: seq,
	}
	r.Sign(s)
	m := wire.Record{Record: r.Append(nil), NodeCert: d.certOf(s.ID()).Append(nil)}
	d.child.putRecord(d.now, d.below, r, m)
	if row, ok := d.child.records.Find(s.ID()); !ok || row.Seq != seq {
		d.Fatalf("the child did not take a record: %+v, %v", row, ok)
	}
	d.said[s.ID()] = m
	return m
}

// talk lets the two exchange datagrams until they have nothing more to say.
func (d *duo) talk() {
	d.Helper()
	var out Effects
	for range 5000 {
		d.child.finish(d.now, &out)
		d.parent.finish(d.now, &out)
		if len(out.Send) == 0 {
			return
		}
		d.deliver(&out)
	}
	d.Fatal("they never stop")
}

// deliver takes datagrams where they go, and what answers them.
func (d *duo) deliver(out *Effects) {
	for len(out.Send) > 0 {
		d.now.Up += time.Millisecond
		x := out.Send[0]
		out.Send = out.Send[1:]
		switch x.To {
		case parentAddr:
			d.bytes += len(x.B) + 28
			d.parent.FromLink(d.now, d.down.id, childAddr, x.B, out)
		case childAddr:
			d.bytes += len(x.B) + 28
			d.child.FromLink(d.now, d.up.id, parentAddr, x.B, out)
		case belowAddr:
			d.fromBelow(x.B)
		}
	}
}

// fromBelow is the branch below the child, which has all records.
func (d *duo) fromBelow(b []byte) {
	h, n, err := wire.ParseDataHeader(b)
	if err != nil {
		d.Fatal(err)
	}
	plain, _, err := d.far.Open(nil, h.Epoch, h.Counter, h.Long, b[0], b[n:])
	if err != nil || len(plain) < wire.ControlHeaderSize {
		return
	}
	r, err := wire.ReadControl(plain)
	if err != nil {
		d.Fatal(err)
	}
	for typ, body, ok := r.Next(); ok; typ, body, ok = r.Next() {
		if f, err := wire.ParseFetch(body); typ == wire.ControlFetch && err == nil {
			d.told[typ]++
			m := d.said[f.Key]
			if err := d.child.fromRecord(d.now, d.below, m.Append(nil)); err != nil {
				d.Error(err)
			}
		}
	}
	d.child.acknowledged(d.now, d.below, r.Header.Number)
}

// beat is a keep-alive of the child that asks, and all that follows.
func (d *duo) beat() {
	d.Helper()
	var out Effects
	d.child.question(d.now, d.up, &out)
	d.deliver(&out)
	d.talk()
}

func (d *duo) agree() bool {
	d.child.records.SetKey(d.up.digest)
	return d.child.records.PartsOf(state.All, wire.Span{}) ==
		d.parent.records.PartsOf(state.Via(d.down.id), wire.Span{})
}

func TestAChildThatAttachesTellsWhatItsParentLacks(t *testing.T) {
	for _, rows := range []int{1, 3, 100} {
		d := newDuo(t, rows, 5000)
		d.child.attached(d.now, d.up)
		d.talk()
		if !d.agree() || d.parent.records.LenVia(state.Via(d.down.id)) != rows+1 {
			t.Errorf("%d rows: the parent has %d", rows, d.parent.records.Len()-1)
		}
		first := d.bytes
		if most := rows*400 + 1500; first > most {
			t.Errorf("%d rows cost %d B, at most %d", rows, first, most)
		}
		d.bytes = 0
		d.child.attached(d.now, d.up) // the link came up again; the parent has the rows still
		d.talk()
		if !d.agree() || d.bytes > 1500 {
			t.Errorf("%d rows cost %d B the second time", rows, d.bytes)
		}
	}
}

func TestWhatDiffersIsFoundWithoutTellingTheRest(t *testing.T) {
	const rows = 250
	d := newDuo(t, rows, 5000)
	d.child.attached(d.now, d.up)
	d.talk()
	for _, c := range []struct {
		name  string
		spoil func()
		most  int // bytes, all things included
	}{
		{"nothing", func() {}, 150},
		{"the parent lost one", func() { d.parent.records.Remove(d.keys[249].ID()) }, 2500},
		{"the parent has old ones", func() {
			for _, s := range d.keys[200:205] {
				row, _ := d.child.records.Get(s.ID())
				d.record(s, row.Parent, 2)
			}
			d.up.ctl.backlog = nil // the child forgot to tell
		}, 7000},
		{"the child lost one", func() { d.child.records.Remove(d.keys[248].ID()) }, 2500},
		{"the parent lost some", func() { d.parent.records.Remove(d.keys[20].ID()) }, 15_000},
		{"the child lost some", func() { d.child.records.Remove(d.keys[21].ID()) }, 15_000},
		{"the parent lost all", func() { d.parent.records.Remove(d.child.self) }, rows * 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			d.T = t
			if !d.agree() {
				t.Fatal("they differ from the start")
			}
			c.spoil()
			d.bytes = 0
			d.beat()
			if !d.agree() {
				t.Errorf("they differ: %d and %d rows", d.child.records.Len(),
					d.parent.records.LenVia(state.Via(d.down.id)))
			}
			if d.bytes > c.most {
				t.Errorf("%d B, at most %d", d.bytes, c.most)
			}
			t.Logf("%d B", d.bytes)
			if d.up.sync != nil && d.up.sync.now != nil {
				t.Error("the comparison did not end")
			}
			d.now.Up += time.Hour // whatever is damped is so no longer
		})
	}
}

func TestRowsThatAreRefusedAreNotToldAgainAndAgain(t *testing.T) {
	d := newDuo(t, 60, 5000)
	d.parent.records.SetQuota(state.Via(d.down.id), 30)
	d.child.attached(d.now, d.up)
	d.talk()
	if n := d.parent.records.LenVia(state.Via(d.down.id)); n != 30 {
		t.Fatalf("the parent has %d rows", n)
	}
	d.bytes = 0
	for range 12 * 30 { // a question every two minutes for half a day
		d.now.Up += 2 * time.Minute
		d.beat()
	}
	if d.bytes > 12*30*120+7*20_000 {
		t.Errorf("half a day cost %d B", d.bytes)
	}
	d.parent.records.SetQuota(state.Via(d.down.id), 100)
	d.now.Up += wantLast
	d.beat()
	if !d.agree() {
		t.Error("there is room now, and they still differ")
	}
}

func TestAChildWithoutADiskFetchesWhatItsParentLacks(t *testing.T) {
	const rows = 150
	d := newDuo(t, rows, 20)
	d.child.attached(d.now, d.up)
	d.talk()
	if has := d.parent.records.LenVia(state.Via(d.down.id)); !d.agree() {
		t.Errorf("the parent has %d rows of %d", has, rows+1)
	}
	if n := d.told[wire.ControlFetch]; n < rows-20 || n > rows {
		t.Errorf("%d records were fetched", n)
	}
	if len(d.child.fetching) != 0 {
		t.Errorf("%d are still waited for", len(d.child.fetching))
	}
}

func TestAFetchThatNobodyAnswersIsForgotten(t *testing.T) {
	d := newDuo(t, 150, 20)
	clear(d.said) // the branch below is silent
	for _, s := range d.keys[:maxFetching+40] {
		d.child.mark(s.ID())
	}
	d.child.linkDown(d.now, d.below, "gone")
	d.talk()
	if n := len(d.child.fetching); n > maxFetching {
		t.Errorf("%d records are waited for", n)
	}
	d.now.Up += fetchLife
	if !d.child.fetch(d.now, d.keys[0].ID()) {
		t.Error("a key that nobody has blocks the others")
	}
}

func TestAParentThatSeesDifferencesEverywhereIsLeftAlone(t *testing.T) {
	d := newDuo(t, 30, 5000)
	d.child.wanted(d.now, d.up)
	c := d.up.sync.now
	var out Effects
	d.child.finish(d.now, &out)
	d.child.acknowledged(d.now, d.up, d.up.ctl.sent)
	all := wire.Differ{}
	for i := range wire.SpanParts {
		all.Parts = append(all.Parts, wire.PartDiff{Part: uint8(i), Many: true})
	}
	answers := 0
	for ; d.up.sync.now == c; answers++ {
		if answers > 10_000 {
			t.Fatal("the child never gives up")
		}
		if c.asked == 0 {
			t.Fatal("the child waits for nothing")
		}
		if err := d.child.fromDiffer(d.now, d.up, all.Append(nil)); err != nil {
			t.Fatal(err)
		}
		out.Reset()
		d.child.finish(d.now, &out)
		d.child.acknowledged(d.now, d.up, d.up.ctl.sent)
	}
	if most := d.child.records.Len() + spareDigests; answers > most {
		t.Errorf("%d answers were listened to, at most %d", answers, most)
	}
	before := d.child.Drops()[drop.Stranger]
	if err := d.child.fromDiffer(d.now, d.up, all.Append(nil)); err != nil {
		t.Fatal(err)
	}
	if d.child.Drops()[drop.Stranger] != before+1 {
		t.Error("an answer to no question was taken")
	}
}

func TestAChildCannotKeepItsParentCounting(t *testing.T) {
	d := newDuo(t, 30, 5000)
	d.child.attached(d.now, d.up)
	d.talk()
	before := d.parent.Drops()[drop.Quota]
	digest := wire.Digest{}.Append(nil)
	var out Effects
	for range 100_000 {
		if err := d.parent.fromDigest(d.now, d.down, digest); err != nil {
			t.Fatal(err)
		}
		out.Reset()
		d.parent.finish(d.now, &out)
		d.parent.acknowledged(d.now, d.down, d.down.ctl.sent)
	}
	if n := d.parent.Drops()[drop.Quota] - before; n < 90_000 {
		t.Errorf("only %d of 100,000 were refused", n)
	}
	for range 100_000 {
		if err := d.child.fromFetch(d.now, d.up, d.child.self[:]); err != nil {
			t.Fatal(err)
		}
	}
	if n := d.child.Drops()[drop.Quota]; n < 90_000 {
		t.Errorf("only %d of 100,000 fetches were refused", n)
	}
}

func TestRowsOfAComparisonReachOurOwnParentAfterwards(t *testing.T) {
	d := newDuo(t, 50, 5000)
	nobody := netip.MustParseAddrPort("192.0.2.9:9376")
	top := d.link(d.parent, d.secret().ID(), nobody, session.Keys{Send: [32]byte{3}}, true)
	d.parent.parents.list = []ParentAddr{{Entry: "top"}}
	d.parent.parents.active = top
	d.child.attached(d.now, d.up)
	d.talk()
	if !d.agree() {
		t.Fatal("the two differ")
	}
	if top.sync == nil || top.sync.now == nil {
		t.Fatal("the rows that came are not compared with the parent above")
	}
	if top.ctl.sent > 3 {
		t.Errorf("%d packets went up before", top.ctl.sent)
	}
}

func TestAComparisonThatGetsNoAnswerEnds(t *testing.T) {
	d := newDuo(t, 5, 5000)
	d.child.wanted(d.now, d.up)
	var out Effects
	d.child.finish(d.now, &out)
	d.child.acknowledged(d.now, d.up, d.up.ctl.sent)
	if d.child.digestFor(d.now, d.up) != nil {
		t.Error("a digest was told in the middle of a comparison")
	}
	d.now.Up += compareLife
	if d.child.digestFor(d.now, d.up) == nil {
		t.Error("no digest is told any more")
	}
	d.child.parents.active = nil
	if d.child.digestFor(d.now, d.up) != nil {
		t.Error("a parent that stands by was told a digest")
	}
}
