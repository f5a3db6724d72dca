// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"runtime"
	"testing"

	"staex/internal/overlay/session"
)

func TestSealAndOpenDoNotAllocate(t *testing.T) {
	for _, suite := range suites {
		s, r := pair(suite)
		buf := make([]byte, 0, 2048)
		plaintext := make([]byte, 1400)
		once := func() {
			ctr := s.Reserve(1)
			sealed := s.Seal(buf, ctr, 1, plaintext)
			if _, _, err := r.Open(sealed[:0], session.Epoch(ctr), uint32(ctr), true, 1,
				sealed); err != nil {
				t.Fatal(err)
			}
		}
		once()
		if n := testing.AllocsPerRun(1000, once); n != 0 {
			t.Errorf("%v: %v allocations per packet", suite, n)
		}
	}
}

func TestASessionIsSmall(t *testing.T) {
	const count = 1000
	for _, tc := range []struct {
		name   string
		suite  session.Suite
		window int
		limit  uint64
		border bool // hold the keys of two epochs
	}{
		{"session AES-GCM", session.AESGCM, session.WindowSession, 4096, false},
		{"session AES-GCM at a border", session.AESGCM, session.WindowSession, 4096, true},
		{"session ChaCha", session.ChaCha, session.WindowSession, 2048, true},
		{"link", session.ChaCha, session.WindowLink, 700, true},
	} {
		type both struct {
			s *session.Sender
			r *session.Receiver
		}
		held := make([]both, count)
		before := heap()
		for i := range held {
			s := session.NewSender(key(byte(i)), tc.suite)
			r := session.NewReceiver(key(byte(i)), tc.suite, tc.window)
			mustOpen(t, r, next(s, "x"), "x")
			if tc.border {
				s.Ratchet()
				mustOpen(t, r, next(s, "x"), "x")
			}
			held[i] = both{s, r}
		}
		each := (heap() - before) / count
		runtime.KeepAlive(held)
		t.Logf("%s: %d B", tc.name, each)
		if each > tc.limit {
			t.Errorf("%s: %d B, want at most %d", tc.name, each, tc.limit)
		}
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
