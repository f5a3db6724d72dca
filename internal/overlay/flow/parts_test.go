// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"bytes"
	"testing"
	"time"

	"staex/internal/overlay/flow"
)

// step is one call of Add and what it must return: "" for nothing yet.
type step struct {
	at    time.Duration
	id    uint8
	index uint8
	last  bool
	chunk string
	want  string
}

func TestPartsBecomeAWholeOrNothing(t *testing.T) {
	const ms = time.Millisecond
	cases := map[string][]step{
		"one part": {{0, 1, 0, true, "a", "a"}},
		"in order": {
			{0, 1, 0, false, "a", ""}, {0, 1, 1, false, "b", ""}, {0, 1, 2, true, "c", "abc"},
		},
		"backwards": {
			{0, 1, 2, true, "c", ""}, {0, 1, 1, false, "bb", ""}, {0, 1, 0, false, "a", "abbc"},
		},
		"two at once": {
			{0, 1, 0, false, "a", ""},
			{0, 2, 1, true, "d", ""},
			{0, 2, 0, false, "c", "cd"},
			{0, 1, 1, true, "b", "ab"},
		},
		"just in time": {{0, 1, 0, false, "a", ""}, {time.Second, 1, 1, true, "b", "ab"}},
		"too late": {
			{0, 1, 0, false, "a", ""},
			{time.Second + ms, 1, 1, true, "b", ""},
			{time.Second + ms, 1, 0, false, "a", "ab"},
		},
		"repeated part begins anew": {
			{0, 1, 0, false, "a", ""}, {0, 1, 0, false, "x", ""}, {0, 1, 1, true, "y", "xy"},
		},
		"second last part": {
			{0, 1, 1, true, "b", ""},
			{0, 1, 2, true, "c", ""},
			{0, 1, 0, false, "a", ""},
			{0, 1, 1, false, "b", "abc"},
		},
		"part behind the last": {
			{0, 1, 1, true, "b", ""}, {0, 1, 3, false, "d", ""}, {0, 1, 0, false, "a", ""},
		},
		"last before a known part": {
			{0, 1, 3, false, "d", ""}, {0, 1, 1, true, "b", ""}, {0, 1, 0, false, "a", "ab"},
		},
		"empty part": {{0, 1, 0, true, "", ""}},
		"index 64":   {{0, 1, 64, true, "a", ""}},
		"id far behind": {
			{0, 1, 0, false, "old", ""}, {0, 40, 0, false, "x", ""}, {0, 1, 1, true, "new", ""},
		},
		"ids that wrap": {
			{0, 255, 0, false, "a", ""}, {0, 2, 0, true, "x", "x"}, {0, 255, 1, true, "b", "ab"},
		},
	}
	for name, steps := range cases {
		var r flow.Reassembly
		for i, s := range steps {
			whole, ok := r.Add(s.at, s.id, s.index, s.last, []byte(s.chunk))
			if string(whole) != s.want || ok != (s.want != "") {
				t.Errorf("%s, step %d: %q, %v, want %q", name, i, whole, ok, s.want)
			}
		}
	}
}

func TestTheNinthIncompletePlaintextCostsTheFirst(t *testing.T) {
	var r flow.Reassembly
	for id := range uint8(flow.MaxOpen + 1) {
		r.Add(0, id, 0, false, []byte("a"))
	}
	if _, ok := r.Add(0, 0, 1, true, []byte("b")); ok {
		t.Error("the first is still there")
	}
	if _, ok := r.Add(0, 8, 1, true, []byte("b")); !ok {
		t.Error("the ninth is not there")
	}
}

func TestIncompletePlaintextsTogetherAreBounded(t *testing.T) {
	var r flow.Reassembly
	half := make([]byte, 32767)
	r.Add(0, 1, 0, false, half)
	r.Add(0, 2, 0, false, half)
	if whole, ok := r.Add(0, 2, 1, true, half); !ok || len(whole) != 2*len(half) {
		t.Error("the newer one was lost")
	}
	if _, ok := r.Add(0, 1, 1, true, half); ok {
		t.Error("the older one was kept")
	}
	var alone flow.Reassembly
	alone.Add(0, 1, 0, false, half)
	alone.Add(0, 1, 1, false, half)
	if _, ok := alone.Add(0, 1, 2, true, []byte("xyz")); ok {
		t.Error("a plaintext is longer than 64 kB")
	}
	if _, ok := alone.Add(0, 2, 0, true, make([]byte, 65536)); ok {
		t.Error("a part is longer than 64 kB")
	}
}

// wholes is the naive twin: every set a map, no reuse of anything.
type wholes struct{ open []*wholeSet }

type wholeSet struct {
	id    uint8
	since time.Duration
	last  int
	parts map[uint8][]byte
}

func (s *wholeSet) size() (n int) {
	for _, p := range s.parts {
		n += len(p)
	}
	return n
}

func (w *wholes) add(now time.Duration, id, index uint8, last bool, chunk []byte) []byte {
	if index >= flow.MaxParts || len(chunk) == 0 {
		return nil
	}
	var keep []*wholeSet
	var s *wholeSet
	for _, o := range w.open {
		if d := int(int8(id - o.id)); now-o.since > flow.MaxPartAge || d >= 16 || d <= -16 {
			continue
		}
		if o.id == id {
			bad := o.parts[index] != nil || (o.last >= 0 && (last || int(index) > o.last))
			for i := range o.parts {
				bad = bad || (last && i > index)
			}
			if bad {
				continue
			}
			s = o
		}
		keep = append(keep, o)
	}
	if s == nil {
		s = &wholeSet{id: id, since: now, last: -1, parts: map[uint8][]byte{}}
		keep = append(keep, s)
		keep = keep[max(0, len(keep)-flow.MaxOpen):]
	}
	s.parts[index] = bytes.Clone(chunk)
	if last {
		s.last = int(index)
	}
	for total := 0; ; total = 0 {
		for _, o := range keep {
			total += o.size()
		}
		if total <= flow.MaxPartBytes {
			break
		}
		keep = keep[1:]
	}
	w.open = nil
	var whole []byte
	for _, o := range keep {
		if len(o.parts) != o.last+1 {
			w.open = append(w.open, o)
			continue
		}
		for i := range len(o.parts) {
			whole = append(whole, o.parts[uint8(i)]...)
		}
	}
	return whole
}

func TestReassemblyDoesWhatItsTwinDoes(t *testing.T) {
	for seed := range uint64(12) {
		dice := dice(100 + seed)
		var r flow.Reassembly
		var twin wholes
		now, next := time.Duration(0), uint8(seed*31)
		for i := range 800 {
			now += time.Duration(dice.IntN(60)) * time.Millisecond
			if dice.IntN(3) == 0 {
				next++
			}
			id, index := next-uint8(dice.IntN(4)), uint8(dice.IntN(4))
			if dice.IntN(50) == 0 {
				id = uint8(dice.Uint32())
			}
			size := 1 + dice.IntN(20)
			if seed%4 == 0 {
				size = 1 + dice.IntN(20000)
			}
			chunk := randomBytes(dice, size)
			last := index == 3 || dice.IntN(8) == 0
			whole, ok := r.Add(now, id, index, last, chunk)
			want := twin.add(now, id, index, last, chunk)
			if !bytes.Equal(whole, want) || ok != (want != nil) {
				t.Fatalf("seed %d, step %d: %d bytes, twin %d", seed, i, len(whole), len(want))
			}
		}
	}
}

func TestCommonPartsAreNotAllocated(t *testing.T) {
	var r flow.Reassembly
	chunk := make([]byte, 700)
	id := uint8(0)
	send := func() {
		id++
		r.Add(0, id, 1, true, chunk)
		r.Add(0, id, 0, false, chunk)
		r.Add(0, id+1, 0, false, chunk)
		r.Add(0, id+1, 1, true, chunk)
	}
	send()
	if n := testing.AllocsPerRun(100, send); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
