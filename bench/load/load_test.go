// SPDX-License-Identifier: Apache-2.0

//go:build linux

package load_test

import (
	"net/netip"
	"runtime"
	"testing"
	"time"

	"staex/bench/load"
)

// here is this machine itself.
type here struct{}

func (here) Do(f func() error) error { return f() }

func loopback() load.Path {
	return load.Path{From: here{}, To: here{}, Target: netip.MustParseAddr("127.0.0.1")}
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

func TestStreamsCarryBytes(t *testing.T) {
	s, err := load.OpenStream(t.Context(), loopback(), 2)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	until(t, "a megabyte arrives", func() bool { return s.Received() > 1<<20 })
}

func TestAFloodKeepsToItsRate(t *testing.T) {
	f, err := load.OpenFlood(t.Context(), loopback(), 64, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const rate = 5000
	sent, err := f.Send(rate, 50*time.Millisecond)
	if err != nil || sent == 0 || sent > rate/20+1 {
		t.Errorf("sent %d, %v", sent, err)
	}
	until(t, "all arrive", func() bool { return f.Received() == int64(sent) })
}

func TestEveryDatagramOfABurstIsCounted(t *testing.T) {
	f, err := load.OpenFlood(t.Context(), loopback(), 64, 8)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if sent, err := f.Bursts(10, 0); err != nil || sent != 80 {
		t.Errorf("sent %d, %v", sent, err)
	}
	until(t, "all arrive", func() bool { return f.Received() == 80 })
}

func TestEveryQuestionHasItsAnswer(t *testing.T) {
	e, err := load.OpenEcho(t.Context(), loopback())
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := e.Tell(10); err != nil { // never answered: what follows is not mixed up with it
		t.Fatal(err)
	}
	took, err := e.Ask(20, 0, time.Second)
	if err != nil || len(took) != 20 {
		t.Errorf("%d answers, %v", len(took), err)
	}
}
