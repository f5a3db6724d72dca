// SPDX-License-Identifier: Apache-2.0

package node

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/bound"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/pool"
	"staex/internal/overlay/revoke"
	"staex/internal/overlay/session"
	"staex/internal/wire"
)

// These tests stand inside the room: they say on a link what no honest neighbour would.

// village is a node with one child, and the key of their network.
type village struct {
	*Node
	network *ident.Secret
	child   *link
	now     clock.Reading
}

func newVillage(t *testing.T) *village {
	t.Helper()
	dice := rand.NewChaCha8([32]byte{2})
	v := &village{network: ident.SecretFromSeed([32]byte{1})}
	secret := ident.SecretFromSeed([32]byte{2})
	cert := &ident.NodeCert{Key: secret.ID()}
	if err := ident.SignNodeCert(cert, v.network); err != nil {
		t.Fatal(err)
	}
	who := &ident.Identity{
		Secret: secret, Cert: cert, Network: &ident.NetworkCert{Key: v.network.NetworkKey()},
	}
	n, err := New(Config{Ranges: pool.Ranges{
		V4: netip.MustParsePrefix("10.83.0.0/16"), V6: netip.MustParsePrefix("200::/7"),
	}}, who, dice)
	if err != nil {
		t.Fatal(err)
	}
	v.Node = n
	v.child = v.link(3)
	return v
}

// link attaches a child with a key of its own.
func (v *village) link(seed byte) *link {
	mine, _ := v.labels.New(0)
	l := v.linkUp(v.now, linkKeys{
		peer: ident.SecretFromSeed([32]byte{seed}).ID(), network: v.who.Cert.Network,
		addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, seed}), 9376), mine: mine,
		theirs: 7, keys: session.Keys{}, size: wire.MinDatagram, period: time.Minute,
	})
	v.childAttached(l)
	return l
}

// hears gives the node one message of a link and returns how often it was dropped, by reason.
func (v *village) hears(l *link, typ uint8, body []byte) (drops [drop.Count]uint64) {
	before := v.Drops()
	var out Effects
	v.messages(v.now, l, wire.AppendMessage(nil, typ, body), &out)
	v.finish(v.now, &out)
	after := v.Drops()
	for i := range drops {
		drops[i] = after[i] - before[i]
	}
	return drops
}

func (v *village) set() *revoke.Set { return v.revs.sets[v.who.Cert.Network] }

// list signs a list of so many keys that nobody has.
func (v *village) list(t *testing.T, keys int) *revoke.List {
	t.Helper()
	add := make([]ident.NodeID, keys)
	for i := range add {
		add[i] = ident.NodeID{byte(i), byte(i >> 8), 1}
	}
	by := revoke.Signer{Secret: v.network, Network: v.network.NetworkKey()}
	l, err := revoke.Next(v.set().Known(), add, by, 1_800_000_000)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func head(l *revoke.List, since uint32, lacking, here int) []byte {
	return wire.Head{
		Since: since, Lacking: uint32(lacking), Head: l.Head.Append(nil),
		Prints: revoke.AppendPrints(nil, l.Prints[:here]),
	}.Append(nil)
}

func TestAForgedHeadChangesNothingAndKeepsNothing(t *testing.T) {
	v := newVillage(t)
	l := v.list(t, 200)
	forged := *l.Head
	forged.Number = 4
	d := v.hears(v.child, wire.ControlHead,
		head(&revoke.List{Head: &forged, Prints: l.Prints}, 0, 200, 64))
	if d[drop.BadSignature] != 1 || v.child.news.in != nil {
		t.Errorf("drops %v, kept %v", d, v.child.news.in)
	}
	foreign := ident.SecretFromSeed([32]byte{9})
	other, err := revoke.Next(revoke.Known{}, []ident.NodeID{v.self},
		revoke.Signer{Secret: foreign, Network: foreign.NetworkKey()}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if d := v.hears(v.child, wire.ControlHead, head(other, 0, 1, 1)); d[drop.NotAdmitted] != 1 {
		t.Errorf("another network's list: %v", d)
	}
	for name, body := range map[string][]byte{
		"more than the head says": head(l, 0, 201, 64),
		"more than announced":     head(l, 0, 10, 64),
		"not a head":              {0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 5},
	} {
		if d := v.hears(v.child, wire.ControlHead, body); d[drop.BadFrame] != 1 {
			t.Errorf("%s: %v", name, d)
		}
	}
	if v.set().Len() != 0 || v.revs.gone {
		t.Error("something was revoked")
	}
}

func TestAListThatDoesNotAgreeWithItsHeadIsAskedForOnceMore(t *testing.T) {
	v := newVillage(t)
	l := v.list(t, 3)
	wrong := &revoke.List{Head: l.Head, Prints: []revoke.Fingerprint{{1}, {2}, {3}}}
	if d := v.hears(v.child, wire.ControlHead, head(wrong, 0, 3, 3)); d[drop.BadFrame] != 1 {
		t.Errorf("a wrong list: %v", d)
	}
	sent := v.child.ctl.sent
	v.hears(v.child, wire.ControlHead, head(l, 7, 3, 3)) // a difference to a list we never had
	if v.child.ctl.sent != sent+1 || v.set().Len() != 0 {
		t.Errorf("asked %d times, %d keys", v.child.ctl.sent-sent, v.set().Len())
	}
	v.hears(v.child, wire.ControlHead, head(l, 0, 3, 3))
	if v.set().Len() != 3 {
		t.Error("the whole list was not taken")
	}
}

func TestTheRestOfAListNobodyAnnouncedIsSkippedAndTooMuchOfItEndsIt(t *testing.T) {
	v := newVillage(t)
	l := v.list(t, 100)
	rest := func(from, to int) []byte {
		return wire.Prints{Prints: revoke.AppendPrints(nil, l.Prints[from:to])}.Append(nil)
	}
	if d := v.hears(v.child, wire.ControlPrints, rest(0, 5)); d != [drop.Count]uint64{} {
		t.Errorf("drops %v", d)
	}
	v.hears(v.child, wire.ControlHead, head(l, 0, 100, 64))
	if d := v.hears(v.child, wire.ControlPrints, rest(40, 100)); d[drop.BadFrame] != 1 ||
		v.child.news.in != nil {
		t.Errorf("too many fingerprints: %v", d)
	}
	v.hears(v.child, wire.ControlHead, head(l, 0, 100, 64))
	v.hears(v.child, wire.ControlPrints, rest(64, 100))
	if v.set().Len() != 100 {
		t.Errorf("%d keys", v.set().Len())
	}
}

func TestHalfListsOfChildrenAreBounded(t *testing.T) {
	v := newVillage(t)
	l := v.list(t, 100)
	full := 0
	for i := range maxIncoming + 4 {
		d := v.hears(v.link(byte(10+i)), wire.ControlHead, head(l, 0, 100, 64))
		full += int(d[drop.QueueFull])
	}
	if full != 4 || v.incoming() != maxIncoming {
		t.Errorf("%d refused, %d kept", full, v.incoming())
	}
}

func TestTheListIsStoredAndTheLinkOfItsKeyEnds(t *testing.T) {
	v := newVillage(t)
	by := revoke.Signer{Secret: v.network, Network: v.network.NetworkKey()}
	l, err := revoke.Next(revoke.Known{}, []ident.NodeID{v.child.peer}, by, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out Effects
	if err := v.Apply(v.now, Revoke{List: l.Append(nil)}, &out); err != nil {
		t.Fatal(err)
	}
	name := revokedPrefix + v.who.Cert.Network.String()
	if !slices.ContainsFunc(out.Store, func(r Record) bool { return r.Name == name }) {
		t.Errorf("stored %v", out.Store)
	}
	v.now.Up += time.Second
	v.Expire(v.now, &out)
	if v.Links() != 0 {
		t.Error("the link is still up")
	}
}

func TestOnlyTimeThatIsSignedForUsIsBelieved(t *testing.T) {
	v := newVillage(t)
	clockSecret := ident.SecretFromSeed([32]byte{4})
	state := func(moment uint32, roles ident.Role, notAfter uint32) []byte {
		c := &ident.NodeCert{Key: clockSecret.ID(), Roles: roles}
		c.NotAfter = notAfter
		if err := ident.SignNodeCert(c, v.network); err != nil {
			t.Fatal(err)
		}
		s := bound.State(v.network.NetworkKey(), moment, c, clockSecret)
		return wire.Time{Statement: s.Append(nil)}.Append(nil)
	}
	at := func() uint32 { return v.boundOf(v.who.Cert.Network).At() }
	if d := v.hears(v.child, wire.ControlTime, state(900, ident.RoleRelay, 0)); at() != 0 ||
		d[drop.BadSignature] != 1 {
		t.Errorf("a node without the role moved the time to %d: %v", at(), d)
	}
	v.hears(v.child, wire.ControlTime, state(900, ident.RoleTime, 0))
	v.hears(v.child, wire.ControlTime, state(800, ident.RoleTime, 0))
	if at() != 900 {
		t.Errorf("the bound is %d", at())
	}
	v.hears(v.child, wire.ControlTime, state(5000, ident.RoleTime, 1000))
	if at() != 1000 {
		t.Errorf("the bound is %d, the signer's certificate ends at 1000", at())
	}
	v.hears(v.child, wire.ControlTime, state(6000, ident.RoleTime, 999))
	if at() != 1000 {
		t.Errorf("an expired signer moved the bound to %d", at())
	}
}
