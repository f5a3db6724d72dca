// SPDX-License-Identifier: Apache-2.0

package state_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"staex/internal/ident"
	"staex/internal/overlay/state"
)

// key makes a node id for tables, which never look inside one.
func key(n uint64) (id ident.NodeID) {
	if n > 0 {
		id[0] = 0xff
		binary.BigEndian.PutUint64(id[24:], n)
	}
	return id
}

const self = 1 // the number of the node whose table is tested

func record(k, parent, seq uint64) *state.Record {
	return &state.Record{Kind: state.Node, Key: key(k), Parent: key(parent), Seq: seq}
}

func endpoint(k, host, seq uint64) *state.Record {
	r := record(k, host, seq)
	r.Kind = state.ServerEndpoint
	return r
}

// link is what node n says over link number via.
func link(via state.Via, n uint64) state.From {
	return state.From{Via: via, Neighbour: key(n)}
}

// scene is a table and a test, to write stories short.
type scene struct {
	*testing.T
	*state.Table
}

func newScene(t *testing.T, limits state.Limits) scene {
	return scene{t, state.New(key(self), limits)}
}

func (s scene) put(want state.Change, r *state.Record, from state.From) {
	s.Helper()
	if got := s.Put(r, nil, from); got != want {
		s.Errorf("put of %d below %d, sequence %d, by link %d: %v, want %v",
			number(r.Key), number(r.Parent), r.Seq, from.Via, got, want)
	}
	s.consistent()
}

// consistent checks what must hold at any time, each figure computed again from the rows.
func (s scene) consistent() {
	s.Helper()
	byVia := map[state.Via]int{}
	var order []ident.NodeID
	s.Each(func(r state.Row) bool {
		byVia[r.Via]++
		order = append(order, r.Key)
		if via, ok := s.Branch(r.Key); !ok || via != r.Via {
			s.Errorf("row %d: link %d and %d", number(r.Key), r.Via, via)
		}
		return true
	})
	if !slices.IsSortedFunc(order, ident.NodeID.Compare) || len(order) != s.Len() {
		s.Errorf("Each gives %d of %d rows, or not in order", len(order), s.Len())
	}
	for via, n := range byVia {
		if s.LenVia(via) != n {
			s.Errorf("link %d: counted %d rows, kept %d", via, n, s.LenVia(via))
		}
		sum := s.Digest([32]byte{}, func(r state.Row) bool { return r.Via == via })
		if got := s.DigestVia(via); binary.BigEndian.Uint32(got[:]) != sum {
			s.Errorf("link %d: digest %x, computed %x", via, got, sum)
		}
	}
	sum := s.Digest([32]byte{}, func(state.Row) bool { return true })
	if got := s.DigestAll(); binary.BigEndian.Uint32(got[:]) != sum {
		s.Errorf("digest %x, computed %x", got, sum)
	}
	var walked []ident.NodeID
	s.Walk(func(r state.Row) bool {
		if r.Key != key(self) && r.Parent != key(self) && !slices.Contains(walked, r.Parent) {
			s.Errorf("the walk meets %d before its parent", number(r.Key))
		}
		walked = append(walked, r.Key)
		return true
	})
	if len(walked) != s.Len() {
		s.Errorf("the walk meets %d of %d rows", len(walked), s.Len())
	}
}

func number(id ident.NodeID) uint64 { return binary.BigEndian.Uint64(id[24:]) }

func numbers(ids []ident.NodeID) string {
	list := []uint64{}
	for _, id := range ids {
		list = append(list, number(id))
	}
	return fmt.Sprint(list)
}

// family is self with two neighbours: 2 on link 20 with 21 and 22 in a row below it, and 3 on
// link 30 with 31.
func family(t *testing.T, limits state.Limits) scene {
	s := newScene(t, limits)
	s.put(state.Added, record(self, 9, 1), state.From{})
	s.put(state.Added, record(2, self, 5), link(20, 2))
	s.put(state.Added, record(21, 2, 5), link(20, 2))
	s.put(state.Added, record(22, 21, 5), link(20, 2))
	s.put(state.Added, record(3, self, 5), link(30, 3))
	s.put(state.Added, record(31, 3, 5), link(30, 3))
	return s
}

func TestANeighbourSpeaksOnlyOfItselfAndOfWhatIsBelowIt(t *testing.T) {
	for name, c := range map[string]struct {
		rec  *state.Record
		from state.From
		want state.Change
	}{
		"below itself":                 {record(23, 2, 1), link(20, 2), state.Added},
		"deeper":                       {record(23, 22, 2), link(20, 2), state.Updated},
		"an endpoint below a node":     {endpoint(24, 22, 1), link(20, 2), state.Added},
		"below an endpoint":            {record(25, 24, 1), link(20, 2), state.BadParent},
		"a node that nobody knows":     {record(25, 99, 1), link(20, 2), state.BadParent},
		"below another link":           {record(25, 31, 1), link(20, 2), state.BadParent},
		"directly below self":          {record(25, self, 1), link(20, 2), state.BadParent},
		"a root":                       {record(25, 0, 1), link(20, 2), state.BadParent},
		"an endpoint of self":          {endpoint(25, self, 1), link(20, 2), state.BadParent},
		"itself as an endpoint":        {endpoint(2, self, 6), link(20, 2), state.BadParent},
		"itself below somebody else":   {record(2, 31, 6), link(20, 2), state.BadParent},
		"self":                         {record(self, 2, 9), link(20, 2), state.Loop},
		"a new link, before its head":  {record(25, 2, 1), link(21, 2), state.BadParent},
		"our own endpoint":             {endpoint(25, self, 1), state.From{}, state.Added},
		"our endpoint elsewhere":       {endpoint(26, 2, 1), state.From{}, state.BadParent},
		"a node, as if it were linked": {record(26, self, 1), state.From{}, state.BadParent},
	} {
		t.Run(name, func(t *testing.T) {
			fresh := family(t, state.Limits{})
			if name == "deeper" {
				fresh.put(state.Added, record(23, 2, 1), link(20, 2))
			}
			if name == "below an endpoint" {
				fresh.put(state.Added, endpoint(24, 22, 1), link(20, 2))
			}
			before := fresh.DigestAll()
			fresh.put(c.want, c.rec, c.from)
			if changed := before != fresh.DigestAll(); changed != c.want.Changed() {
				t.Errorf("%v changed the table: %v", c.want, changed)
			}
		})
	}
}

func TestTheNewerSequenceNumberWins(t *testing.T) {
	s := family(t, state.Limits{})
	s.put(state.Same, record(21, 2, 5), link(20, 2))
	s.put(state.Stale, record(21, 2, 4), link(20, 2))
	other := record(21, 2, 5)
	other.Tags = [][8]byte{{1}}
	s.put(state.Stale, other, link(20, 2))
	s.put(state.Updated, record(21, 2, state.MaxSeq), link(20, 2))
	s.put(state.Updated, record(self, 8, 2), state.From{})
	s.put(state.Stale, record(self, 9, 1), state.From{})
}

func TestAMovedNodeTakesWhatIsBelowItAlong(t *testing.T) {
	s := family(t, state.Limits{})
	s.put(state.Moved, record(21, 31, 6), link(30, 3))
	if via, _ := s.Branch(key(22)); via != 30 {
		t.Errorf("the row below the moved one is reached by link %d", via)
	}
	s.put(state.Same, record(22, 21, 5), link(30, 3))
	s.put(state.BadParent, record(29, 21, 1), link(20, 2))
	if got := numbers(s.RemoveVia(20)); got != "[2]" {
		t.Errorf("the old link took %s with it", got)
	}
	s.consistent()
}

func TestAMoveInsideOneLinkIsAnUpdate(t *testing.T) {
	s := family(t, state.Limits{})
	s.put(state.Updated, record(22, 2, 6), link(20, 2))
	if got := numbers(s.Children(key(2))); got != "[21 22]" {
		t.Errorf("children %s", got)
	}
}

func TestANeighbourThatBecomesSomebodysChildMovesAndComesBack(t *testing.T) {
	s := family(t, state.Limits{})
	s.put(state.Moved, record(2, 31, 6), link(30, 3))
	s.put(state.BadParent, record(29, 2, 1), link(20, 2))
	s.put(state.Moved, record(2, self, 7), link(20, 2))
	s.put(state.Added, record(29, 2, 1), link(20, 2))
	if via, _ := s.Branch(key(22)); via != 20 {
		t.Errorf("the rows below are reached by link %d", via)
	}
}

func TestTheSameRecordOverANewLinkMovesTheNeighbourThere(t *testing.T) {
	s := family(t, state.Limits{})
	s.put(state.Moved, record(2, self, 5), link(25, 2))
	s.put(state.Same, record(2, self, 5), link(25, 2))
	s.put(state.Same, record(22, 21, 5), link(25, 2))
	if got := s.RemoveVia(20); got != nil {
		t.Errorf("the old link took %s with it", numbers(got))
	}
	// Only the neighbour itself is heard, not who has a copy of its record.
	s.put(state.Same, record(2, self, 5), link(30, 3))
	if via, _ := s.Branch(key(2)); via != 25 {
		t.Errorf("the neighbour is reached by link %d", via)
	}
}

func TestANodeCannotHangBelowItself(t *testing.T) {
	s := family(t, state.Limits{})
	s.put(state.Loop, record(21, 22, 6), link(20, 2))
	s.put(state.Updated, record(22, 2, 6), link(20, 2))
	s.put(state.Updated, record(21, 22, 6), link(20, 2))
}

func TestANodeWithRowsBelowCannotBecomeAnEndpoint(t *testing.T) {
	s := family(t, state.Limits{})
	s.put(state.BadParent, endpoint(21, 2, 6), link(20, 2))
	s.put(state.Updated, endpoint(22, 21, 6), link(20, 2))
}

func TestQuotasOfLinkNetworkAndTableHold(t *testing.T) {
	s := family(t, state.Limits{PerVia: 4})
	s.put(state.Added, record(23, 2, 1), link(20, 2))
	s.put(state.Quota, record(24, 2, 1), link(20, 2))
	s.put(state.Updated, record(23, 2, 2), link(20, 2)) // what is there may change
	s.put(state.Added, record(32, 3, 1), link(30, 3))
	s.put(state.Quota, record(21, 31, 6), link(30, 3)) // 2 rows to 3, at most 4
	s.SetQuota(30, 5)
	s.put(state.Moved, record(21, 31, 6), link(30, 3))
	s.put(state.Added, endpoint(50, self, 1), state.From{})
	s.put(state.Added, endpoint(51, self, 1), state.From{})
	s.put(state.Added, endpoint(52, self, 1), state.From{})
	s.put(state.Added, endpoint(53, self, 1), state.From{}) // our own do not count against PerVia

	s = family(t, state.Limits{Rows: 7})
	s.put(state.Added, record(23, 2, 1), link(20, 2))
	s.put(state.Quota, record(24, 2, 1), link(20, 2))
	s.Remove(key(23))
	s.put(state.Added, record(24, 2, 1), link(20, 2))

	guests := ident.NetworkHash{7}
	s = family(t, state.Limits{PerNetwork: map[ident.NetworkHash]int{guests: 1}})
	guest := func(k, seq uint64) *state.Record {
		r := record(k, 2, seq)
		r.Network = guests
		return r
	}
	s.put(state.Added, guest(40, 1), link(20, 2))
	s.put(state.Quota, guest(41, 1), link(20, 2))
	s.put(state.Quota, guest(21, 6), link(20, 2))
	s.put(state.Updated, guest(40, 2), link(20, 2))
	s.Remove(key(40))
	s.put(state.Updated, guest(21, 6), link(20, 2))
}

func TestNoRowIsDeeperThanThePathsThatFrameCanTake(t *testing.T) {
	s := newScene(t, state.Limits{})
	s.put(state.Added, record(100, self, 1), link(7, 100))
	for k := uint64(101); k < 100+state.MaxDepth; k++ {
		s.put(state.Added, record(k, k-1, 1), link(7, 100))
	}
	last := uint64(100 + state.MaxDepth - 1)
	s.put(state.BadParent, record(last+1, last, 1), link(7, 100))
	s.put(state.Added, record(500, 100, 1), link(7, 100))
	s.put(state.BadParent, record(101, 500, 2), link(7, 100)) // would be one too deep below
	s.put(state.Updated, record(102, 500, 2), link(7, 100))
}

func TestRemoveTakesEverythingBelowAlong(t *testing.T) {
	s := family(t, state.Limits{})
	if got := numbers(s.Remove(key(21))); got != "[21 22]" {
		t.Errorf("removed %s", got)
	}
	s.consistent()
	if s.Remove(key(21)) != nil || s.RemoveVia(99) != nil {
		t.Error("what is not there was removed")
	}
	if got := numbers(s.RemoveVia(30)); got != "[3 31]" {
		t.Errorf("removed %s", got)
	}
	if got := numbers(s.Children(key(self))); got != "[2]" {
		t.Errorf("left %s", got)
	}
	s.put(state.Added, record(21, 2, 1), link(20, 2)) // nothing remembers a higher number
	if got := numbers(s.RemoveVia(state.Self)); got != "[1]" {
		t.Errorf("removed %s", got)
	}
	s.consistent()
}

func TestReadingTellsWhatWasPut(t *testing.T) {
	s := family(t, state.Limits{})
	rec := endpoint(40, 22, 3)
	rec.Tags = [][8]byte{{1}, {2}}
	encoded := rec.Append(nil)
	if s.Put(rec, encoded, link(20, 2)) != state.Added || !s.Knows(rec.Key, rec.Append(nil)) {
		t.Fatal("the row is not there")
	}
	clear(encoded) // the table has a copy
	row, ok := s.Get(key(40))
	if !ok || row.Via != 20 || row.Kind != state.ServerEndpoint || row.Parent != key(22) ||
		row.Seq != 3 || len(row.Tags) != 2 || !s.Knows(rec.Key, row.Encoded) {
		t.Errorf("%+v, %v", row, ok)
	}
	if s.Knows(key(21), row.Encoded) || s.Knows(key(99), row.Encoded) {
		t.Error("bytes of another key are known")
	}
	if _, ok := s.Get(key(99)); ok {
		t.Error("there is a row for a key that was never put")
	}
	if _, ok := s.Branch(key(99)); ok {
		t.Error("there is a link to a key that was never put")
	}
	if parent, ok := s.Parent(key(self)); !ok || parent != key(9) {
		t.Errorf("our parent is %d, %v", number(parent), ok)
	}
	if _, ok := s.Parent(key(99)); ok {
		t.Error("a parent of nobody")
	}
	if got := numbers(s.Children(key(self))); got != "[2 3]" {
		t.Errorf("children %s", got)
	}
	if s.Children(key(99)) != nil || s.Self() != key(self) || s.LenVia(99) != 0 {
		t.Error("an empty answer is not empty")
	}
	if got := fmt.Sprint(s.Table); got != "table of 7 rows" {
		t.Error(got)
	}
}

func TestWalksStopWhenTold(t *testing.T) {
	s := family(t, state.Limits{})
	for _, visit := range []func(func(state.Row) bool){s.Each, s.Walk} {
		for stop := 1; stop <= s.Len(); stop++ {
			seen := 0
			visit(func(state.Row) bool {
				seen++
				return seen < stop
			})
			if seen != stop {
				t.Errorf("%d rows were met after %d", seen, stop)
			}
		}
	}
	for from, want := range map[uint64]string{
		2: "[2 21 22]", 22: "[22]", 99: "[]", self: "[1 2 21 22 3 31]",
	} {
		var met []ident.NodeID
		s.WalkFrom(key(from), func(r state.Row) bool {
			met = append(met, r.Key)
			return true
		})
		if got := numbers(met); got != want {
			t.Errorf("the walk from %d is %s, want %s", from, got, want)
		}
	}
}

func TestEachMeetsNoRowThatTheVisitorRemoved(t *testing.T) {
	s := family(t, state.Limits{})
	var met []ident.NodeID
	s.Each(func(r state.Row) bool {
		met = append(met, r.Key)
		if r.Key == key(2) {
			s.Remove(key(2))
			s.Put(record(2, self, 1), nil, link(20, 2))
		}
		return true
	})
	if got := numbers(met); got != "[1 2 3 31]" {
		t.Errorf("met %s", got)
	}
}

func TestAParentAndItsChildComputeTheSameDigest(t *testing.T) {
	above, below := newScene(t, state.Limits{}), family(t, state.Limits{})
	secret := [32]byte{1, 2, 3}
	below.SetKey(secret)
	above.Table = state.New(key(9), state.Limits{})
	above.SetKeyVia(70, [32]byte{})
	below.Walk(func(r state.Row) bool {
		if c := above.Put(&r.Record, r.Encoded, link(70, self)); c != state.Added {
			t.Errorf("row %d: %v", number(r.Key), c)
		}
		return true
	})
	if above.DigestVia(70) == below.DigestAll() {
		t.Error("digests under different keys are equal")
	}
	above.SetKeyVia(70, secret)
	if above.DigestVia(70) != below.DigestAll() {
		t.Error("digests under one key differ")
	}
	below.Put(record(31, 3, 6), nil, link(30, 3))
	if above.DigestVia(70) == below.DigestAll() {
		t.Error("a new record did not change the digest")
	}
	above.Put(record(31, 3, 6), nil, link(70, self))
	if above.DigestVia(70) != below.DigestAll() || above.DigestVia(71) != [4]byte{} {
		t.Error("the digests do not meet again")
	}
}

func TestARecordThatDoesNotDecodePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a record without a kind was taken")
		}
	}()
	state.New(key(self), state.Limits{}).Put(&state.Record{Key: key(2)}, nil, link(20, 2))
}

func TestEveryKindAndChangeHasAName(t *testing.T) {
	names := map[string]bool{}
	for k := range state.ClientEndpoint + 2 {
		names[k.String()] = true
	}
	for c := range state.Loop + 2 {
		names[c.String()] = true
	}
	if len(names) != int(state.ClientEndpoint+2)+int(state.Loop+2) {
		t.Errorf("%v", names)
	}
}
