// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"staex/internal/overlay/drop"
	"staex/internal/wire"
)

// meter counts the large frames that one host sends to another, and the probes of the size.
type meter struct{ data, large, probes, longest int }

// measure counts from now on.
func (w *World) measure(from, to string) *meter {
	m, before := &meter{}, w.attack.saw
	w.attack.saw = func(h *Host, src, dst netip.AddrPort, b []byte) {
		if before != nil {
			before(h, src, dst, b)
		}
		if h.Name != from || dst != w.Host(to).Addr {
			return
		}
		switch wire.PeekType(b) {
		case wire.TypeData:
			m.data++
			m.longest = max(m.longest, len(b))
			if len(b) > 1000 {
				m.large++
			}
		case wire.TypeSizeProbe:
			if len(b) > wire.SizeAnswerSize {
				m.probes++
			}
		}
	}
	return m
}

// transfer asks questions of so many bytes, five a second, and returns how many were answered and
// the longest time without an answer.
func transfer(w *World, c *Host, bytes int, d time.Duration) (answered int, gap time.Duration) {
	const pace = 200 * time.Millisecond
	last, end := w.Now, w.Now+d
	for i := 0; w.Now < end; i++ {
		c.Forget()
		c.Ask("meter", 5000, 161, strings.Repeat("x", bytes))
		w.Run(pace)
		if len(c.Got) > 0 {
			answered++
			last = w.Now
		}
		gap = max(gap, w.Now-last)
	}
	return answered, gap
}

func TestATransferGoesOnWhenAPathNarrowsAndWidensAgain(t *testing.T) {
	run := func(most int) [32]byte {
		w, g, c := threeHops(t, 310)
		m := w.measure("technician", "relay")
		if n, _ := transfer(w, c, 1400, 20*time.Second); n != 100 {
			t.Errorf("%d of 100 questions were answered on a wide path", n)
		}
		if m.data > 110 || m.longest < 1400 {
			t.Errorf("100 questions took %d frames of at most %d bytes", m.data, m.longest)
		}
		w.SetLinkBetween("relay", "root", Link{Delay: 10 * time.Millisecond, Most: most})
		n, gap := transfer(w, c, 1400, 30*time.Second)
		if gap > 12*time.Second || n < 80 {
			t.Errorf("%d: silent for %v when the path narrowed; %d of 150", most, gap, n)
		}
		m = w.measure("technician", "relay")
		if n, _ := transfer(w, c, 1400, time.Minute); n < 295 {
			t.Errorf("%d: %d of 300 questions were answered on a narrow path", most, n)
		}
		if m.longest > most || m.longest <= 1200 && most > 1240 {
			t.Errorf("%d: frames of at most %d bytes", most, m.longest)
		}
		w.SetLinkBetween("relay", "root", Link{Delay: 10 * time.Millisecond})
		for range 21 { // long enough for both the link and the session to try more
			if n, _ := transfer(w, c, 1400, 10*time.Second); n != 50 {
				t.Errorf("%d: %d of 50 questions were answered", most, n)
			}
			w.Run(50 * time.Second)
		}
		transfer(w, c, 1400, time.Minute)
		m = w.measure("technician", "relay")
		transfer(w, c, 1400, 10*time.Second)
		if m.data > 55 || m.longest < 1400 {
			t.Errorf("%d: 50 questions take %d frames of at most %d bytes when it is wide again",
				most, m.data, m.longest)
		}
		if g.drops(drop.OpenFailed) != 0 {
			t.Error("frames did not open")
		}
		sound(t, w)
		return w.Trace()
	}
	run(1200)
	run(1400)
	if first, second := run(1300), run(1300); first != second {
		t.Error("two runs from one seed differ")
	}
}

func TestAnEndNoticesThatItsOwnLinkNarrows(t *testing.T) {
	for _, pair := range [][2]string{{"technician", "relay"}, {"root", "gateway"}} {
		w, _, c := threeHops(t, 311)
		transfer(w, c, 1400, 10*time.Second)
		w.SetLinkBetween(pair[0], pair[1], Link{Delay: 10 * time.Millisecond, Most: 1350})
		if _, gap := transfer(w, c, 1400, 40*time.Second); gap > 14*time.Second {
			t.Errorf("%v: silent for %v", pair, gap)
		}
		sound(t, w)
	}
}

func TestALinkIsProbedOnlyWhileLargeFramesGoOverIt(t *testing.T) {
	w, _, c := threeHops(t, 312)
	m := w.measure("technician", "relay")
	back := w.measure("relay", "technician")
	for range 120 {
		c.Ask("meter", 5000, 161, strings.Repeat("x", 200))
		w.Run(500 * time.Millisecond)
	}
	w.Run(time.Hour)
	if m.probes+back.probes != 0 {
		t.Errorf("%d probes for small frames and none", m.probes+back.probes)
	}
	transfer(w, c, 1400, time.Minute)
	if m.probes < 10 || m.probes > 16 || m.large < 300 {
		t.Errorf("%d probes beside %d large frames in a minute", m.probes, m.large)
	}
	before := m.probes
	w.Run(time.Hour)
	if n := m.probes - before; n > 4 {
		t.Errorf("%d probes after the transfer", n)
	}
	sound(t, w)
}

func TestALossyLinkIsNotTakenForANarrowOne(t *testing.T) {
	w, _, c := threeHops(t, 313)
	w.SetLink(Link{Delay: 10 * time.Millisecond, Loss: 0.05})
	m := w.measure("technician", "relay")
	transfer(w, c, 1400, 10*time.Minute)
	if m.data > 3200 {
		t.Errorf("3000 questions took %d frames", m.data)
	}
	sound(t, w)
}

func TestALinkThatBeganNarrowIsProbedUpward(t *testing.T) {
	w := New(314)
	w.SetLink(Link{Delay: 10 * time.Millisecond, Most: 1400})
	w.Add(Config{Name: "root", Addr: rootAddr})
	w.Add(Config{Name: "gateway", Addr: gatewayAddr, Parents: []string{rootAddr}})
	w.Add(Config{Name: "technician", Addr: technicianAddr, Parents: []string{rootAddr}})
	_, c := agreed(t, w)
	m := w.measure("technician", "root")
	transfer(w, c, 1360, time.Minute)
	if m.longest < 1380 || m.longest > 1400 {
		t.Errorf("frames of at most %d bytes", m.longest)
	}
	sound(t, w)
}

func TestNobodyMakesALinkNarrowOrWideWithForgedProbes(t *testing.T) {
	w, _, c := threeHops(t, 315)
	relay := w.Host("relay")
	var question, answer []byte
	before := w.attack.saw
	w.attack.saw = func(h *Host, from, to netip.AddrPort, b []byte) {
		if before != nil {
			before(h, from, to, b)
		}
		if wire.PeekType(b) == wire.TypeSizeProbe && h.Name == "technician" && len(b) > 100 {
			question = b
		}
		if wire.PeekType(b) == wire.TypeSizeProbe && h == relay && len(b) < 100 {
			answer = b
		}
	}
	transfer(w, c, 1400, 10*time.Second)
	if question == nil || answer == nil {
		t.Fatal("no probes")
	}
	stranger := netip.MustParseAddrPort("198.51.100.66:9376")
	for i := range question[:wire.SizeAnswerSize] {
		x := append([]byte(nil), question...)
		x[i] ^= 1
		w.inject(stranger, relay.Addr, x)
		y := append([]byte(nil), answer...)
		y[i] ^= 1
		w.inject(stranger, c.Addr, y)
	}
	drops := c.allDrops()
	told := w.Bytes("relay", "technician")
	w.inject(stranger, c.Addr, answer) // an answer that is true and old
	w.Run(time.Second)
	counted(t, c, drops, drop.Stranger, 1)
	counted(t, c, drops, drop.BadMac, 12)
	if n := w.Bytes("relay", "technician") - told; n != 0 {
		t.Errorf("forged probes were answered with %d bytes", n)
	}
	if n, _ := transfer(w, c, 1400, 10*time.Second); n != 50 {
		t.Errorf("%d of 50 answered", n)
	}
	w.SetLinkBetween("technician", "relay", Link{Delay: 10 * time.Millisecond, Most: 1300})
	old := append([]byte(nil), answer...)
	for range 60 { // answers of yesterday do not hide that the link has narrowed
		w.inject(relay.Addr, c.Addr, old)
		transfer(w, c, 1400, 200*time.Millisecond)
	}
	if n, _ := transfer(w, c, 1400, 10*time.Second); n < 45 {
		t.Errorf("%d of 50 answered on a narrow link", n)
	}
	sound(t, w)
}

func TestFalseWordsAboutSizesCostASenderLittle(t *testing.T) {
	w, p := attackedBy(t, 316, nil)
	root, g := w.Host("root"), w.Host("gateway")
	s := p.talk(t, g.ID())
	before, spent := root.allDrops(), w.Bytes("root", "gateway")
	var lies [][]byte
	for i := range 1000 {
		x := wire.TooBig{Label: s.back, Size: wire.MinDatagram}
		if i%2 == 0 {
			x.Label = wire.Label(i) // of others
		}
		lies = append(lies, x.Append(nil))
	}
	p.flood(wire.ControlTooBig, lies)
	w.Run(time.Second)
	if n := w.Bytes("root", "gateway") - spent; n > 1000 {
		t.Errorf("a thousand lies cost the next link %d bytes", n)
	}
	if n := root.drops(drop.QueueFull) - before[drop.QueueFull]; n > 0 {
		t.Errorf("%d messages found a queue full", n)
	}
	survived(t, w)
}

func TestWhoUsedALinkThatNarrowsIsToldWithoutSendingAgain(t *testing.T) {
	w, _, c := threeHops(t, 317)
	transfer(w, c, 1400, 10*time.Second)
	w.SetLinkBetween("relay", "root", Link{Delay: 10 * time.Millisecond, Most: 1300})
	c.Ask("meter", 5000, 161, strings.Repeat("x", 1400)) // the last one before a long wait
	w.Run(9 * time.Second)
	before := w.Host("relay").drops(drop.TooBig)
	c.Forget()
	c.Ask("meter", 5000, 161, strings.Repeat("x", 1400))
	w.Run(time.Second)
	answered := c.Answered(strings.Repeat("X", 1400))
	if n := w.Host("relay").drops(drop.TooBig) - before; n != 0 || !answered {
		t.Errorf("%d frames were too big; answered: %v", n, answered)
	}
	sound(t, w)
}
