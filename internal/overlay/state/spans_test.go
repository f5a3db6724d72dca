// SPDX-License-Identifier: Apache-2.0

package state_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"staex/internal/ident"
	"staex/internal/overlay/state"
	"staex/internal/wire"
)

// bushy is a table with three branches of a few hundred rows, some of them with keys that begin
// alike, and own endpoints.
func bushy(t *testing.T, dice *rand.Rand) *state.Table {
	t.Helper()
	table := state.New(key(self), state.Limits{PerVia: 1000})
	table.Put(record(self, 9, 1), nil, state.From{})
	table.Put(endpoint(50, self, 1), nil, state.From{})
	for via := state.Via(2); via <= 4; via++ {
		from := link(via, uint64(via))
		keys := []ident.NodeID{key(uint64(via))}
		table.Put(record(uint64(via), self, 1), nil, from)
		for range dice.IntN(400) {
			r := state.Record{
				Kind: state.Node, Key: scattered(dice.Uint64()), Seq: dice.Uint64N(1 << 40),
				Parent: keys[dice.IntN(min(len(keys), 30))],
			}
			if dice.IntN(3) == 0 {
				r.Key[0], r.Key[1] = 0xff, byte(dice.IntN(3))
			}
			if table.Put(&r, nil, from) == state.Added {
				keys = append(keys, r.Key)
			}
		}
	}
	return table
}

func TestPartsOfASpanAreTheRowsThatLieInThem(t *testing.T) {
	dice := rand.New(rand.NewPCG(2, 2))
	for range 10 {
		table := bushy(t, dice)
		for range 60 {
			via := []state.Via{2, 3, 4, 5, state.Self, state.All}[dice.IntN(6)]
			var s wire.Span
			some := scattered(dice.Uint64())
			some[0] |= byte(dice.IntN(2)) * 0xff
			for range dice.IntN(6) {
				s = s.Part(s.PartOf(&some))
			}
			var rows [wire.SpanParts]int
			var count int
			table.EachEntry(func(e state.Entry) bool {
				if (via == state.All || e.Via == via) && s.Holds(&e.Key) {
					rows[s.PartOf(&e.Key)]++
					count++
				}
				return true
			})
			parts := table.PartsOf(via, s)
			if parts.Rows != rows || table.Cost(via, s) < count {
				t.Fatalf("span %+v of link %d: rows %v, want %v, cost %d",
					s, via, parts.Rows, rows, table.Cost(via, s))
			}
			for i, sum := range parts.Sums {
				if (sum == [wire.SumSize]byte{}) != (rows[i] == 0) {
					t.Fatalf("part %d with %d rows: %x", i, rows[i], sum)
				}
				listed := table.EntriesIn(via, s.Part(i))
				for j, e := range listed {
					part := s.Part(i)
					if !part.Holds(&e.Key) || j > 0 && listed[j-1].Key.Compare(e.Key) >= 0 {
						t.Fatalf("part %d lists %v", i, listed)
					}
				}
				if len(listed) != rows[i] {
					t.Fatalf("part %d lists %d rows of %d", i, len(listed), rows[i])
				}
			}
		}
	}
}

func TestAChildAndItsParentAgreeInEveryPart(t *testing.T) {
	below := bushy(t, rand.New(rand.NewPCG(3, 3)))
	above := state.New(key(9), state.Limits{PerVia: 2000})
	secret := [32]byte{7}
	below.SetKey(secret)
	above.SetKeyVia(70, secret)
	below.Walk(func(r state.Row) bool {
		above.Put(&r.Record, r.Encoded, link(70, self))
		return true
	})
	if above.Len() != below.Len() {
		t.Fatalf("%d rows of %d", above.Len(), below.Len())
	}
	if above.PartsOf(70, wire.Span{}) != below.PartsOf(state.All, wire.Span{}) {
		t.Error("equal rows, other digests")
	}
	one := scattered(1)
	below.Put(&state.Record{Kind: state.Node, Key: one, Parent: key(2), Seq: 1}, nil, link(2, 2))
	var s wire.Span
	for range 3 {
		a, b := above.PartsOf(70, s), below.PartsOf(state.All, s)
		for i := range a.Sums {
			if differ := a.Sums[i] != b.Sums[i]; differ != (i == s.PartOf(&one)) {
				t.Errorf("part %d of %+v differs: %v", i, s, differ)
			}
		}
		s = s.Part(s.PartOf(&one))
	}
	above.SetKeyVia(70, [32]byte{8})
	if above.PartsOf(70, wire.Span{}) == below.PartsOf(state.All, wire.Span{}) {
		t.Error("other keys, equal digests")
	}
}

func TestTheDigestOfAPartHasAFixedForm(t *testing.T) {
	s := newScene(t, state.Limits{})
	s.put(state.Added, record(2, self, 5), link(20, 2))
	s.SetKeyVia(20, [32]byte{1})
	parts := s.PartsOf(20, wire.Span{})
	short := s.DigestVia(20)
	if binary.BigEndian.Uint32(parts.Sums[15][:]) != binary.BigEndian.Uint32(short[:]) {
		t.Errorf("of one row %x and %x", parts.Sums[15], short)
	}
	if got := s.Depth(key(2)) + s.Depth(key(99)); got != 1 {
		t.Errorf("depths %d", got)
	}
}

func BenchmarkPartsOfAMillionRows(b *testing.B) {
	t := grown(b, 1_000_000)
	for b.Loop() {
		t.PartsOf(20, wire.Span{})
	}
}
