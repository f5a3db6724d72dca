// SPDX-License-Identifier: Apache-2.0

package state_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"staex/internal/host/hosttest"
	"staex/internal/ident"
	"staex/internal/overlay/state"
)

// scattered is a node id as random as real ones are.
func scattered(n uint64) (id ident.NodeID) {
	dice := rand.New(rand.NewPCG(n, 7))
	for i := 0; i < len(id); i += 8 {
		binary.BigEndian.PutUint64(id[i:], dice.Uint64())
	}
	return id
}

// counted is a log that keeps nothing, as one on disk looks to the heap.
type counted struct{ appended, dropped int }

func (c *counted) Append(entry []byte) (uint64, error) {
	c.appended += len(entry)
	return uint64(c.appended), nil
}

func (c *counted) Read(uint64) ([]byte, error) { return nil, state.ErrNoEntry }

func (c *counted) Drop(uint64) { c.dropped++ }

// grown puts rows below one neighbour, ten in each row of a tree, into a table with a log on disk.
func grown(tb testing.TB, rows int) *state.Table {
	t := state.New(key(self), state.Limits{PerVia: rows})
	t.KeepIn(&counted{})
	from := link(20, 2)
	t.SetKeyVia(20, [32]byte{1})
	keys := make([]ident.NodeID, 0, rows)
	for i := range rows {
		r := state.Record{Kind: state.Node, Key: key(2), Parent: key(self), Seq: 1}
		if i > 0 {
			r.Key, r.Parent = scattered(uint64(i)), keys[(i-1)/10]
		}
		keys = append(keys, r.Key)
		if c := t.Put(&r, nil, from); c != state.Added {
			tb.Fatalf("row %d: %v", i, c)
		}
	}
	return t
}

// The test of a million rows is that of a whole node, in staex/internal/overlay/node.
func TestRowsCostLittleMoreThanTheirKeys(t *testing.T) {
	const rows = 200_000
	before := heap()
	table := grown(t, rows)
	table.DigestVia(20)
	each := float64(heap()-before) / float64(rows)
	t.Logf("%d rows: %.1f B each, %.1f B beside the key", rows, each, each-ident.KeySize)
	if each > ident.KeySize+64 {
		t.Errorf("a row costs %.1f B", each)
	}
	runtime.KeepAlive(table)
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestAThousandKeysAreFoundInOrderWhateverComesAndGoes(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 9))
	table := state.New(key(self), state.Limits{PerVia: 5000})
	table.Put(record(2, self, 1), nil, link(20, 2))
	twin := map[ident.NodeID]bool{key(2): true}
	for step := range 30_000 {
		k := scattered(dice.Uint64N(3000))
		if step < 9000 == (dice.IntN(4) == 0) && twin[k] {
			if len(table.Remove(k)) != 1 {
				t.Fatalf("step %d: %v was not removed alone", step, k)
			}
			delete(twin, k)
		} else if !twin[k] && step < 20_000 {
			r := state.Record{Kind: state.Node, Key: k, Parent: key(2), Seq: 1}
			if c := table.Put(&r, nil, link(20, 2)); c != state.Added {
				t.Fatalf("step %d: %v", step, c)
			}
			twin[k] = true
		}
		if _, known := table.Find(k); known != twin[k] {
			t.Fatalf("step %d: known %v", step, known)
		}
		if step%1000 != 0 {
			continue
		}
		var met []ident.NodeID
		table.EachEntry(func(e state.Entry) bool {
			met = append(met, e.Key)
			return true
		})
		if len(met) != len(twin) || !slices.IsSortedFunc(met, ident.NodeID.Compare) {
			t.Fatalf("step %d: %d of %d keys, or out of order", step, len(met), len(twin))
		}
	}
}

func TestEntriesSayWhatRowsSay(t *testing.T) {
	s := family(t, state.Limits{})
	s.put(state.Added, endpoint(50, self, 1), state.From{})
	var walked []ident.NodeID
	s.WalkEntries(func(e state.Entry) bool {
		row, ok := s.Get(e.Key)
		if !ok || row.Kind != e.Kind || row.Parent != e.Parent || row.Network != e.Network ||
			row.Seq != e.Seq || row.Via != e.Via {
			t.Errorf("%+v of %+v", e, row)
		}
		walked = append(walked, e.Key)
		return true
	})
	if got := numbers(walked); got != "[1 2 21 22 3 31 50]" {
		t.Errorf("walked %s", got)
	}
	if _, ok := s.Find(key(99)); ok {
		t.Error("found a key that was never put")
	}
}

func TestBeyondItsLogATableKeepsRowsWithoutTheirBytes(t *testing.T) {
	s := newScene(t, state.Limits{})
	s.KeepIn(state.NewMemory(2))
	s.put(state.Added, record(2, self, 1), link(20, 2))
	s.put(state.Added, record(21, 2, 1), link(20, 2))
	s.put(state.Added, record(22, 21, 1), link(20, 2))
	row, ok := s.Get(key(22))
	if !ok || row.Encoded != nil || row.Parent != key(21) || row.Seq != 1 || row.Via != 20 {
		t.Errorf("%+v, %v", row, ok)
	}
	if s.Knows(key(22), record(22, 21, 1).Append(nil)) {
		t.Error("bytes that were not kept are known")
	}
	s.put(state.Same, record(22, 21, 1), link(20, 2))
	s.Remove(key(22))
	s.put(state.Added, record(23, 21, 1), link(20, 2))
	s.put(state.Updated, record(21, 2, 2), link(20, 2)) // gives its own place back first
	if row, _ := s.Get(key(21)); row.Encoded == nil {
		t.Error("the newer record found no room")
	}
	s.Remove(key(21))
	s.put(state.Added, record(24, 2, 1), link(20, 2))
	if row, _ := s.Get(key(24)); row.Encoded == nil {
		t.Error("what was removed did not make room")
	}
}

func TestOurOwnRowsAlwaysFindRoom(t *testing.T) {
	s := newScene(t, state.Limits{})
	s.KeepIn(state.NewMemory(3))
	s.put(state.Added, record(self, 9, 1), state.From{})
	s.put(state.Added, record(2, self, 1), link(20, 2))
	s.put(state.Added, record(21, 2, 1), link(20, 2))
	s.put(state.Added, endpoint(50, self, 1), state.From{})
	s.put(state.Updated, record(self, 8, 2), state.From{})
	for _, k := range []uint64{self, 50} {
		if !s.Keeps(key(k)) {
			t.Errorf("the bytes of our own row %d were not kept", k)
		}
	}
	if s.Keeps(key(2)) == s.Keeps(key(21)) || s.Keeps(key(99)) {
		t.Error("one row below makes room, the other need not")
	}
}

func TestTheSameRecordAgainFindsRoomLater(t *testing.T) {
	s := newScene(t, state.Limits{})
	s.KeepIn(state.NewMemory(2))
	s.put(state.Added, record(2, self, 1), link(20, 2))
	s.put(state.Added, record(21, 2, 1), link(20, 2))
	s.put(state.Added, record(22, 2, 1), link(20, 2))
	s.Remove(key(21))
	s.put(state.Same, record(22, 2, 1), link(20, 2))
	if row, _ := s.Get(key(22)); row.Encoded == nil {
		t.Error("there is room and the bytes came, but they were not kept")
	}
}

func TestACertificateStaysWithTheRecordsOfItsKey(t *testing.T) {
	s := newScene(t, state.Limits{})
	put := func(seq uint64, cert string) {
		if c := s.Admit(record(2, self, seq), nil, []byte(cert), link(20, 2)); !c.Changed() {
			t.Errorf("%v", c)
		}
	}
	steps := []struct{ cert, want string }{{"one", "one"}, {"", "one"}, {"two", "two"}}
	for i, step := range steps {
		put(uint64(i+1), step.cert)
		if row, _ := s.Get(key(2)); string(row.Cert) != step.want || row.Seq != uint64(i+1) {
			t.Errorf("step %d: certificate %q, sequence %d", i, row.Cert, row.Seq)
		}
	}
}

// bad is a log that gives back what nobody wrote.
type bad struct {
	state.Memory
	spoil func([]byte) []byte
}

func (b *bad) Read(offset uint64) ([]byte, error) {
	entry, err := b.Memory.Read(offset)
	return b.spoil(entry), err
}

func TestADamagedLogIsNoticed(t *testing.T) {
	other := record(3, self, 1).Append([]byte{0, 0})
	binary.BigEndian.PutUint16(other, uint16(len(other)-2))
	for name, spoil := range map[string]func([]byte) []byte{
		"empty":         func([]byte) []byte { return nil },
		"cut":           func(b []byte) []byte { return b[:len(b)-1] },
		"longer":        func(b []byte) []byte { return append(b, 0) },
		"one bit":       func(b []byte) []byte { b[100] ^= 1; return b },
		"its length":    func(b []byte) []byte { b[0] = 0xff; return b },
		"not a record":  func(b []byte) []byte { b[2] = 9; return b },
		"another entry": func([]byte) []byte { return bytes.Clone(other) },
	} {
		s := newScene(t, state.Limits{})
		log := &bad{Memory: *state.NewMemory(9), spoil: bytes.Clone}
		s.KeepIn(log)
		s.put(state.Added, record(2, self, 1), link(20, 2))
		if row, _ := s.Get(key(2)); row.Encoded == nil {
			t.Fatal("a sound log does not give the bytes")
		}
		log.spoil = spoil
		if row, ok := s.Get(key(2)); !ok || row.Encoded != nil || row.Key != key(2) {
			t.Errorf("%s: %+v, %v", name, row, ok)
		}
	}
}

// strict is a log on a disk of its own: regions are given back as a whole, and an entry that is
// read after it was dropped is a mistake.
type strict struct {
	*testing.T
	entries map[uint64][]byte
	next    uint64
	full    bool
}

func (l *strict) Append(entry []byte) (uint64, error) {
	if l.full {
		return 0, errors.New("disk full")
	}
	l.next += uint64(len(entry))
	l.entries[l.next] = bytes.Clone(entry)
	return l.next, nil
}

func (l *strict) Read(offset uint64) ([]byte, error) {
	if l.entries[offset] == nil {
		l.Errorf("entry %d is not there", offset)
	}
	return bytes.Clone(l.entries[offset]), nil
}

func (l *strict) Drop(offset uint64) {
	if l.entries[offset] == nil {
		l.Errorf("entry %d was dropped and is not there", offset)
	}
	delete(l.entries, offset)
}

func TestOldEntriesAreCopiedForwardSoThatALogCanShrink(t *testing.T) {
	s := newScene(t, state.Limits{PerVia: 400})
	log := &strict{T: t, entries: map[uint64][]byte{}}
	s.KeepIn(log)
	s.Put(record(2, self, 1), nil, link(20, 2))
	for k := uint64(100); k < 400; k++ {
		s.Put(record(k, 2, 1), nil, link(20, 2))
	}
	for seq := uint64(2); seq < 20_000; seq++ {
		s.Put(record(100, 2, seq), nil, link(20, 2))
	}
	oldest := log.next
	for offset := range log.entries {
		oldest = min(oldest, offset)
	}
	if len(log.entries) != 301 {
		t.Errorf("%d entries for 301 rows", len(log.entries))
	}
	if span := log.next - oldest; span > 3<<20 {
		t.Errorf("the log spans %d B", span)
	}
	for k := uint64(101); k < 400; k++ {
		if !s.Knows(key(k), record(k, 2, 1).Append(nil)) {
			t.Fatalf("row %d lost its bytes", k)
		}
	}
	log.full = true
	s.put(state.Updated, record(101, 2, 2), link(20, 2))
	if row, _ := s.Get(key(101)); row.Encoded != nil || row.Seq != 2 {
		t.Errorf("%+v", row)
	}
}

func TestTheLogOfATableInUseCannotBeChanged(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("it was changed")
		}
	}()
	family(t, state.Limits{}).KeepIn(state.NewMemory(1))
}

func TestMemoryPassesTheSuiteOfLogs(t *testing.T) {
	hosttest.TestLog(t, func(*testing.T) hosttest.LogDevice { return state.NewMemory(1000) })
}

func TestMemoryIsBoundedAndKeepsCopies(t *testing.T) {
	m := state.NewMemory(1)
	entry := []byte("entry")
	at, err := m.Append(entry)
	if err != nil {
		t.Fatal(err)
	}
	clear(entry)
	if _, err := m.Append(entry); !errors.Is(err, state.ErrFull) {
		t.Errorf("a second entry: %v", err)
	}
	got, err := m.Read(at)
	if err != nil || string(got) != "entry" {
		t.Errorf("%q, %v", got, err)
	}
	clear(got)
	if got, _ := m.Read(at); string(got) != "entry" {
		t.Error("a caller changed the entry")
	}
	m.Drop(at)
	m.Drop(at)
	m.Drop(99)
	for _, offset := range []uint64{at, 99} {
		if _, err := m.Read(offset); !errors.Is(err, state.ErrNoEntry) {
			t.Errorf("offset %d: %v", offset, err)
		}
	}
}

func BenchmarkAMillionRows(b *testing.B) {
	for b.Loop() {
		runtime.KeepAlive(grown(b, 1_000_000))
	}
}

func BenchmarkFindInAMillionRows(b *testing.B) {
	t := grown(b, 1_000_000)
	for i := uint64(0); b.Loop(); i++ {
		if _, ok := t.Find(scattered(1 + i*7919%999_999)); !ok {
			b.Fatal("not found")
		}
	}
}
