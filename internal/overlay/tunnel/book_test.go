// SPDX-License-Identifier: Apache-2.0

package tunnel_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"staex/internal/ident"
	"staex/internal/overlay/tunnel"
)

// id makes a key for books, which never look inside one.
func id(n uint64) (key ident.NodeID) {
	binary.BigEndian.PutUint64(key[24:], n)
	return key
}

const offerer = 1_000_000

// automatic is tunnel n of the offerer, accepted without a person.
func automatic(n uint64) *tunnel.Tunnel {
	return &tunnel.Tunnel{ID: id(n), RemoteNode: id(offerer), State: tunnel.State{Auto: true}}
}

func mustAdd(t *testing.T, b *tunnel.Book, x *tunnel.Tunnel) {
	t.Helper()
	if err := b.Add(x); err != nil {
		t.Fatal(err)
	}
}

func TestABookFindsATunnelByEveryNameItHas(t *testing.T) {
	b := tunnel.NewBook()
	x := sample()
	mustAdd(t, b, x)
	for name, find := range map[string]func() (*tunnel.Tunnel, bool){
		"id":         func() (*tunnel.Tunnel, bool) { return b.ByID(x.ID) },
		"name":       func() (*tunnel.Tunnel, bool) { return b.ByName("camera1") },
		"file":       func() (*tunnel.Tunnel, bool) { return b.ByName("front door") },
		"remote key": func() (*tunnel.Tunnel, bool) { return b.ByRemoteKey(x.RemoteKey) },
		"local key":  func() (*tunnel.Tunnel, bool) { return b.ByLocalKey(x.Local.ID()) },
	} {
		if got, ok := find(); !ok || got != x {
			t.Errorf("by %s: %v, %v", name, got, ok)
		}
	}
	for name, find := range map[string]func() (*tunnel.Tunnel, bool){
		"id":         func() (*tunnel.Tunnel, bool) { return b.ByID(id(5)) },
		"name":       func() (*tunnel.Tunnel, bool) { return b.ByName("camera2") },
		"no name":    func() (*tunnel.Tunnel, bool) { return b.ByName("") },
		"remote key": func() (*tunnel.Tunnel, bool) { return b.ByRemoteKey(id(5)) },
		"no key":     func() (*tunnel.Tunnel, bool) { return b.ByRemoteKey(ident.NodeID{}) },
		"local key":  func() (*tunnel.Tunnel, bool) { return b.ByLocalKey(id(5)) },
	} {
		if got, ok := find(); ok {
			t.Errorf("by another %s: %v", name, got)
		}
	}
	// The owner may change a tunnel in place.
	x.RemoteKey, x.Names = keyOf(9), []string{"gate"}
	if _, ok := b.ByRemoteKey(keyOf(9)); !ok {
		t.Error("the new remote key is not found")
	}
	if _, ok := b.ByName("gate"); !ok {
		t.Error("the new name is not found")
	}
}

func TestABookIsInOrderOfIDs(t *testing.T) {
	b := tunnel.NewBook()
	for _, n := range []uint64{5, 1, 9, 3, 7} {
		mustAdd(t, b, &tunnel.Tunnel{ID: id(n), Names: []string{"same"}})
	}
	b.Remove(id(1))
	var order []ident.NodeID
	for _, x := range b.List() {
		order = append(order, x.ID)
	}
	if !slices.Equal(order, []ident.NodeID{id(3), id(5), id(7), id(9)}) || b.Len() != 4 {
		t.Errorf("%v", order)
	}
	if x, _ := b.ByName("same"); x.ID != id(3) {
		t.Errorf("the name leads to %v", x.ID)
	}
	if b.Remove(id(1)) {
		t.Error("a tunnel was removed twice")
	}
}

func TestABookHoldsATunnelOnce(t *testing.T) {
	b := tunnel.NewBook()
	mustAdd(t, b, &tunnel.Tunnel{ID: id(1), RemoteKey: id(2)})
	if err := b.Add(&tunnel.Tunnel{ID: id(1)}); !errors.Is(err, tunnel.ErrExists) {
		t.Errorf("the same id: %v", err)
	}
	err := b.Add(&tunnel.Tunnel{ID: id(3), RemoteKey: id(2)})
	if !errors.Is(err, tunnel.ErrExists) || b.Len() != 1 {
		t.Errorf("the same remote key: %v", err)
	}
	mustAdd(t, b, &tunnel.Tunnel{ID: id(4)}) // two without a remote key are not the same
	mustAdd(t, b, &tunnel.Tunnel{ID: id(5)})
}

func TestABookIsBounded(t *testing.T) {
	b := tunnel.NewBook()
	for n := range uint64(tunnel.MaxTunnels) {
		mustAdd(t, b, &tunnel.Tunnel{ID: id(n + 1)})
	}
	if err := b.Add(&tunnel.Tunnel{ID: id(9999)}); !errors.Is(err, tunnel.ErrFull) {
		t.Errorf("one too many: %v", err)
	}
}

func TestAnOffererGetsOnlySoManyTunnelsWithoutAPerson(t *testing.T) {
	b := tunnel.NewBook()
	for n := range uint64(tunnel.MaxAuto) {
		mustAdd(t, b, automatic(n+1))
	}
	if err := b.Add(automatic(100)); !errors.Is(err, tunnel.ErrOfferer) {
		t.Errorf("one too many: %v", err)
	}
	byHand := automatic(101)
	byHand.Auto = false
	mustAdd(t, b, byHand)
	other := automatic(102)
	other.RemoteNode = id(offerer + 1)
	mustAdd(t, b, other)
	if _, ok := b.Bury(id(1)); !ok {
		t.Fatal("the tunnel was not deleted")
	}
	mustAdd(t, b, automatic(100))
}

func TestOnlySoManyTunnelsOfOneOffererWaitForAPerson(t *testing.T) {
	b := tunnel.NewBook()
	waiting := func(n uint64) *tunnel.Tunnel {
		x := automatic(n)
		x.Auto, x.Pending = false, true
		return x
	}
	for n := range uint64(tunnel.MaxOffered) {
		mustAdd(t, b, waiting(n+1))
	}
	if err := b.Add(waiting(1000)); !errors.Is(err, tunnel.ErrOfferer) {
		t.Errorf("one too many: %v", err)
	}
	mustAdd(t, b, automatic(1001))
}

func TestADeletedTunnelLeavesAStoneWithoutSecrets(t *testing.T) {
	b := tunnel.NewBook()
	x := sample()
	mustAdd(t, b, x)
	if forgotten, ok := b.Bury(x.ID); !ok || !forgotten.IsZero() {
		t.Errorf("%v, %v", forgotten, ok)
	}
	got, ok := b.ByID(x.ID)
	if !ok || !got.Deleted || got.Local != nil || got.LocalCert != nil || got.Active(0) {
		t.Errorf("%+v, %v", got, ok)
	}
	if _, ok := b.ByName("camera1"); ok {
		t.Error("a deleted tunnel has a name")
	}
	if _, ok := b.ByRemoteKey(x.RemoteKey); ok {
		t.Error("a deleted tunnel has a remote key")
	}
	if _, ok := b.Bury(x.ID); ok {
		t.Error("a tunnel was deleted twice")
	}
	if _, ok := b.Bury(id(77)); ok {
		t.Error("a tunnel that is not there was deleted")
	}
	if err := b.Add(sample()); !errors.Is(err, tunnel.ErrExists) {
		t.Errorf("a deleted tunnel came back: %v", err)
	}
}

func TestTheOldestStonesOfANodeAreForgotten(t *testing.T) {
	b := tunnel.NewBook()
	other := automatic(500)
	other.RemoteNode = id(offerer + 1)
	other.Deleted = true // as after a restart
	mustAdd(t, b, other)
	for n := range uint64(2 * tunnel.MaxTombstones) {
		k := 400 - n // so that the oldest is not the lowest
		mustAdd(t, b, automatic(k))
		forgotten, ok := b.Bury(id(k))
		if !ok || forgotten.IsZero() != (n < tunnel.MaxTombstones) {
			t.Fatalf("after %d: %v, %v", n+1, forgotten, ok)
		}
		if n >= tunnel.MaxTombstones && forgotten != id(k+tunnel.MaxTombstones) {
			t.Errorf("%v was forgotten before its time", forgotten)
		}
	}
	if b.Len() != tunnel.MaxTombstones+1 {
		t.Errorf("%d stones", b.Len())
	}
}
