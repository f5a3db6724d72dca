// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"staex/internal/overlay/session"
	"staex/internal/wire"
)

// holds plays a story and returns its trace.
func holds(t *testing.T, s Scenario, seed uint64) [32]byte {
	t.Helper()
	w, r := s.Play(seed, nil)
	var told strings.Builder
	if !s.Tell(&told, w, r) {
		t.Errorf("seed %d: %s", seed, told.String())
	}
	return r.Trace
}

func TestEveryScenarioHoldsAndRepeatsBitForBit(t *testing.T) {
	for _, s := range Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			if s.Large && testing.Short() {
				t.Skip("skipped: it takes seconds")
			}
			t.Parallel()
			first := holds(t, s, 1)
			if again := holds(t, s, 1); again != first {
				t.Error("equal seeds gave different traces")
			}
			if s.Least.Frames == 0 || s.Least.Changes == 0 || s.Least.Answers == 0 {
				t.Error("the scenario does not say what it must reach")
			}
			if other := holds(t, s, 2); other == first {
				t.Error("different seeds gave the same trace")
			}
		})
	}
}

func TestEveryScenarioIsFoundByItsNameAndTellsItsStory(t *testing.T) {
	names := map[string]bool{}
	for _, s := range Scenarios() {
		found, ok := Find(s.Name)
		if !ok || found.Story != s.Story || names[s.Name] || !strings.HasSuffix(s.Story, ".") {
			t.Errorf("%s: %q", s.Name, s.Story)
		}
		names[s.Name] = true
	}
	if _, ok := Find("no such story"); ok {
		t.Error("found a story that is not there")
	}
	s, _ := Find("star")
	var told strings.Builder
	w, r := s.Play(3, &told)
	s.Tell(&told, w, r)
	for _, want := range []string{
		"child up", "leaf1 > root > leaf0", "sealed bytes", "Bytes per link", Invariants()[0],
		"All is well",
	} {
		if !strings.Contains(told.String(), want) {
			t.Errorf("the story does not say %q", want)
		}
	}
}

func TestARunThatReachesTooLittleIsNotWell(t *testing.T) {
	s := Scenario{Name: "nothing", Least: Counts{1, 1, 1}, plot: func(*play) {}}
	if w, r := s.Play(1, nil); s.Tell(io.Discard, w, r) {
		t.Error("a run without frames, changes and answers is well")
	}
}

func TestAnEarlierParentThatComesAndGoesIsNotTakenBack(t *testing.T) {
	p := &play{w: New(1), res: &Result{}}
	first, second, g, c := p.pair()
	cut := func(on bool) {
		for _, h := range []*Host{g, c} {
			if p.w.Heal(first.Name, h.Name); on {
				p.w.Cut(first.Name, h.Name)
			}
		}
	}
	first.Kill()
	p.run(3 * time.Minute)
	first.Start()
	for i := range 24 {
		if !hangsOn(second, g, c)() {
			t.Fatalf("%v: somebody went back to a parent that comes and goes", p.w.Now)
		}
		cut(i%2 == 1)
		p.run(20 * time.Second)
	}
	cut(false)
	p.await("both are back at the first parent", 15*time.Minute, hangsOn(first, g, c))
	for _, text := range append(p.res.Failed, p.w.Wrong()...) {
		t.Error(text)
	}
}

// frame is a data frame with a label, a counter and an end.
func frame(typ uint8, label wire.Label, counter uint32, end byte) []byte {
	h := wire.DataHeader{Type: typ, Epoch: session.Epoch(1), Label: label, Counter: counter}
	b := h.Append(nil)
	return append(b, append(make([]byte, wire.TagSize), end)...)
}

func TestTheInvariantsOfFramesBite(t *testing.T) {
	const data, link = wire.TypeData, wire.TypeLink
	relabelled := frame(data, 8, 1, 1)
	for _, c := range []struct {
		name   string
		frames [][]byte // what one host sends
		want   string   // empty: nothing is wrong
	}{
		{"two frames", [][]byte{frame(data, 7, 1, 1), frame(data, 7, 2, 2)}, ""},
		{"two labels", [][]byte{frame(data, 7, 1, 1), frame(data, 8, 1, 2)}, ""},
		{"two types", [][]byte{frame(data, 7, 1, 1), frame(link, 7, 1, 2)}, ""},
		{"loop", [][]byte{frame(data, 7, 1, 1), relabelled}, "loop of labels"},
		{"counter twice", [][]byte{frame(data, 7, 1, 1), frame(data, 7, 1, 2)}, "counter 1 twice"},
		{"on a link", [][]byte{frame(link, 7, 3, 1), frame(link, 7, 3, 2)}, "counter 3 twice"},
		{"too large", [][]byte{make([]byte, wire.MaxDatagram+1)}, "1453 bytes"},
	} {
		w := New(1)
		h := w.Add(Config{Name: "sender", Addr: "192.0.2.1:9376"})
		for _, b := range c.frames {
			w.send(h, netip.MustParseAddrPort("192.0.2.2:9376"), b)
		}
		got := strings.Join(w.Wrong(), "\n")
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: want %q, got %q", c.name, c.want, got)
		}
	}
}

func TestAFrameThatCrossesMoreLinksThanAPathHasIsWrong(t *testing.T) {
	w := New(1)
	b := frame(wire.TypeData, 7, 1, 1)
	for i := range linksMost + 1 {
		if len(w.Wrong()) != 0 {
			t.Fatalf("wrong after %d links: %v", i, w.Wrong())
		}
		h := &Host{Name: "relay", Addr: netip.MustParseAddrPort("192.0.2.1:1"), w: w}
		w.send(h, netip.MustParseAddrPort("192.0.2.2:9376"), b)
	}
	if len(w.Wrong()) != 1 {
		t.Errorf("wrong: %v", w.Wrong())
	}
}

func TestEveryKindOfNATMapsAndFiltersAsItsNameSays(t *testing.T) {
	in := netip.MustParseAddrPort("10.0.0.2:9376")
	peer := netip.MustParseAddrPort("198.51.100.1:9376")
	other := netip.MustParseAddrPort("198.51.100.2:9376")
	port := netip.AddrPortFrom(peer.Addr(), 1)
	for _, c := range []struct {
		filter                         Filter
		symmetric                      bool
		fromPort, fromOther, onePublic bool
	}{
		{FilterNothing, false, true, true, true},
		{FilterAddress, false, true, false, true},
		{FilterAddressAndPort, false, false, false, true},
		{FilterAddressAndPort, true, false, false, false},
	} {
		nat := New(1).NewNAT("203.0.113.1", time.Minute)
		nat.Filter, nat.Symmetric = c.filter, c.symmetric
		out := nat.outward(0, in, peer)
		for _, x := range []struct {
			from netip.AddrPort
			want bool
		}{{peer, true}, {port, c.fromPort}, {other, c.fromOther}} {
			to, ok := nat.inward(time.Second, x.from, out.Port())
			if ok != x.want || ok && to != in {
				t.Errorf("%v: from %v to %v, %v", c.filter, x.from, to, ok)
			}
		}
		if one := nat.outward(time.Second, in, other) == out; one != c.onePublic {
			t.Errorf("symmetric %v: one public port: %v", c.symmetric, one)
		}
		if _, ok := nat.inward(10*time.Minute, peer, out.Port()); ok {
			t.Error("a mapping outlived its timeout")
		}
	}
}

func TestALinkBetweenTwoHostsMayDifferFromTheOthers(t *testing.T) {
	w := home(31)
	w.SetLinkBetween("gateway", "root", Link{Delay: time.Millisecond, Loss: 1})
	w.Run(5 * time.Second)
	if w.Bytes("gateway", "root") != 0 || w.Bytes("technician", "root") == 0 {
		t.Errorf("gateway %d bytes, technician %d", w.Bytes("gateway", "root"),
			w.Bytes("technician", "root"))
	}
}
