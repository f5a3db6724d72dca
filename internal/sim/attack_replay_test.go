// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"staex/internal/overlay/drop"
	"staex/internal/wire"
)

// datagram is one that was seen on the wire.
type datagram struct {
	host     *Host // who sent it
	from, to netip.AddrPort
	b        []byte
	frame    string // its name in the registry
}

// unspoken are the datagrams of the registry that no node sends yet.
var unspoken = map[string]string{}

// variant tells the frames of one type apart, as the registry does.
func variant(b []byte) string {
	typ := wire.PeekType(b)
	switch typ {
	case wire.TypeData:
		h, _, err := wire.ParseDataHeader(b)
		return fmt.Sprint(typ, err == nil && h.Long)
	case wire.TypePathHandshake:
		f, err := wire.ParsePathHandshake(b)
		return fmt.Sprint(typ, f.Stage, err)
	}
	return fmt.Sprint(typ)
}

// datagramFrames are the names of all datagrams in the registry by their variant.
func datagramFrames() map[string]string {
	names := map[string]string{}
	for _, f := range wire.Frames() {
		if f.Layer == wire.LayerDatagram {
			names[variant(f.Sample())] = f.Name
		}
	}
	return names
}

// eavesdrop tells play about every datagram that a host sends.
func eavesdrop(w *World, play func(d datagram)) {
	names := datagramFrames()
	w.attack.saw = func(h *Host, from, to netip.AddrPort, b []byte) {
		play(datagram{h, from, to, append([]byte(nil), b...), names[variant(b)]})
	}
}

// restarted is the story of a root that forgot its children and tells them.
func restarted(w *World) {
	w.Run(15 * time.Second)
	w.Host("root").Kill()
	w.Host("root").Start()
	w.Run(3 * time.Second)
}

// everything is a story in which all other datagrams of the registry are sent.
func everything(t *testing.T, w *World) {
	t.Helper()
	w.Host("technician").Kill()
	w.Host("technician").LoseDisk() // and with it the ticket, so that it has to shake hands
	g := w.Host("gateway")
	g.Serve = Shout
	w.Run(time.Second)
	c := w.newCrowd(w.network.Cert.Key) // so that the root asks for cookies
	for i := range 120 {
		c.knock(at(i))
	}
	w.Run(w.link.Delay)
	w.Host("technician").cfg.KeepAliveAuto = true // so that it asks about its translator
	w.Host("technician").Start()
	w.Run(3 * time.Second)
	agreed(t, w)
	for i := range 40 { // past the frames of a young epoch, which carry long counters
		w.Host("technician").Ask("meter", 5000, 161, fmt.Sprint("question ", i))
		w.Run(20 * time.Millisecond)
	}
	w.Run(12 * time.Second)
	g.Serve = nil // so that the technician asks whether the session still stands
	for i := range 7 {
		w.Host("technician").Ask("meter", 5000, 161, fmt.Sprint("no answer ", i))
		w.Run(time.Second)
	}
	g.Serve = Shout
	talks(t, w, w.Host("technician"), "meter", "answered again", 40*time.Second)
	for i := range 7 { // large, so that the neighbours ask each other what their link carries
		w.Host("technician").Ask("meter", 5000, 161, fmt.Sprintf("%01100d", i))
		w.Run(time.Second)
	}
	for _, addr := range []string{"192.0.2.33:9376", "192.0.2.3:9376"} {
		w.Host("technician").MoveTo(addr) // so that the root asks where it lives
		talks(t, w, w.Host("technician"), "meter", "from "+addr, 40*time.Second)
	}
}

// record plays the story and keeps the first datagrams of each kind in each direction.
func recordAll(t *testing.T, w *World) []datagram {
	t.Helper()
	const each = 6
	var list []datagram
	count := map[string]int{}
	take := func(d datagram) {
		key := d.frame + d.host.Name + d.to.String()
		if count[key]++; count[key] <= each {
			list = append(list, d)
		}
		count[d.frame]++
	}
	eavesdrop(w, func(d datagram) {
		switch d.frame { // all others belong to links that the restart ends
		case "reset", "ticket", "ticket-answer":
			take(d)
		}
	})
	restarted(w)
	eavesdrop(w, take)
	everything(t, w)
	w.attack.saw = nil
	complete(t, count)
	return list
}

// complete checks that every datagram of the registry was seen, but those that are unspoken.
func complete(t *testing.T, count map[string]int) {
	t.Helper()
	for _, name := range datagramFrames() {
		if why, silent := unspoken[name]; silent == (count[name] > 0) {
			t.Errorf("%d frames %q were seen; unspoken: %q", count[name], name, why)
		}
	}
	if count[""] > 0 {
		t.Errorf("%d frames are of no kind that the registry knows", count[""])
	}
}

// once checks that no payload was delivered to a host twice.
func once(t *testing.T, h *Host) {
	t.Helper()
	seen := map[string]bool{}
	for _, p := range h.Got {
		key := fmt.Sprint(p)
		if seen[key] {
			t.Errorf("%s was given %v twice", h.Name, p)
		}
		seen[key] = true
	}
}

func TestEveryDatagramReplayedAtOnceChangesNothing(t *testing.T) {
	w := open(130)
	other := netip.MustParseAddrPort("198.51.100.99:9376")
	count := map[string]int{}
	eavesdrop(w, func(d datagram) {
		count[d.frame]++
		w.inject(d.from, d.to, d.b)
		w.inject(other, d.to, d.b)
		for _, h := range w.hosts {
			if h.Addr != d.to {
				w.inject(d.from, h.Addr, d.b)
				w.inject(other, h.Addr, d.b)
			}
		}
	})
	g, c := w.Host("gateway"), w.Host("technician")
	restarted(w)
	everything(t, w)
	g.Forget()
	c.Forget()
	for i := range 50 {
		c.Ask("meter", uint16(7000+i), 161, fmt.Sprint("question ", i))
		w.Run(20 * time.Millisecond)
	}
	w.Run(time.Second)
	w.attack.saw = nil
	complete(t, count)
	for _, h := range []*Host{g, c} {
		if len(h.Got) != 50 {
			t.Errorf("%s was given %d packets", h.Name, len(h.Got))
		}
		once(t, h)
	}
	counted(t, g, [drop.Count]uint64{}, drop.Replay, 50)
	counted(t, w.Host("root"), [drop.Count]uint64{}, drop.Replay, 50)
	counted(t, w.Host("root"), [drop.Count]uint64{}, drop.WrongSource, 50)
	survived(t, w)
}

// replayReason is what counts when a host gets a datagram of a kind again, later.
var replayReason = map[string]drop.Reason{
	"data": drop.Replay, "data-long": drop.Replay, "link": drop.Replay,
	"hello2": drop.Stranger, "hello3": drop.Replay, "cookie": drop.Stranger,
	"reset": drop.Stranger, "ticket-answer": drop.Stranger,
	"nudge": drop.Replay,
}

func TestEveryDatagramReplayedLaterChangesNothing(t *testing.T) {
	w := open(131)
	list := recordAll(t, w)
	g, c := w.Host("gateway"), w.Host("technician")
	other := netip.MustParseAddrPort("198.51.100.99:9376")
	replay := func(when string) {
		for _, h := range w.hosts {
			h.Forget()
		}
		for _, d := range list {
			before := map[*Host][drop.Count]uint64{}
			for _, h := range w.hosts {
				before[h] = h.allDrops()
				for _, from := range []netip.AddrPort{d.from, other} {
					w.strike(from, h.Addr, append([]byte(nil), d.b...))
					w.strike(from, second(h.Addr), append([]byte(nil), d.b...))
				}
			}
			w.Run(3 * w.link.Delay)
			if r, named := replayReason[d.frame]; named && when == "later" {
				n := uint64(0)
				for _, h := range w.hosts {
					n += h.drops(r) - before[h][r]
				}
				if n == 0 {
					t.Errorf("a replayed %s to %v was not counted as %q", d.frame, d.to, r)
				}
			}
		}
		w.Run(2 * time.Second)
		for _, h := range w.hosts {
			if len(h.Got) > 0 {
				t.Errorf("%s: %s was given %v", when, h.Name, h.Got)
			}
		}
		w.inspect()
		talks(t, w, c, "meter", "after replays "+when, 40*time.Second)
	}
	replay("later")
	w.Run(10 * time.Minute)
	replay("much later")
	for _, h := range w.hosts {
		h.Kill()
		h.Start()
	}
	g.Serve = Shout
	w.Run(5 * time.Second)
	replay("after a restart")
	survived(t, w)
}

// mutants of a datagram: every bit of its type, one bit of every byte, and every shorter length.
func mutants(b []byte) [][]byte {
	list := make([][]byte, 0, 2*len(b)+8)
	for bit := range 8 {
		x := append([]byte(nil), b...)
		x[0] ^= 1 << bit
		list = append(list, x)
	}
	for i := range b {
		x := append([]byte(nil), b...)
		x[i] ^= 1 << (i % 8)
		list = append(list, x, b[:i:i])
	}
	return list
}

func TestEveryDatagramChangedOnTheWayIsDropped(t *testing.T) {
	w := open(132)
	seen := map[string]int{}
	eavesdrop(w, func(d datagram) {
		seen[d.frame]++
		if seen[d.frame] > 3 {
			return
		}
		for _, b := range mutants(d.b) { // they overtake the true one
			w.At(w.Now+w.link.Delay/2, func() { w.strike(d.from, d.to, b) })
		}
	})
	restarted(w)
	everything(t, w)
	w.attack.saw = nil
	delete(seen, "") // a relay passes on what was changed
	complete(t, seen)
	for _, r := range []drop.Reason{
		drop.Short, drop.BadType, drop.BadFrame, drop.BadMac, drop.OpenFailed, drop.UnknownLabel,
		drop.Stranger,
	} {
		total := uint64(0)
		for _, h := range w.hosts {
			total += h.drops(r)
		}
		if total == 0 {
			t.Errorf("nobody counted %q", r)
		}
	}
	once(t, w.Host("gateway"))
	survived(t, w)
}

func TestEveryDatagramChangedAndSentLaterIsDropped(t *testing.T) {
	w := open(133)
	list := recordAll(t, w)
	g, c := w.Host("gateway"), w.Host("technician")
	g.Forget()
	c.Forget()
	done := map[string]int{}
	for _, d := range list {
		if done[d.frame]++; done[d.frame] > 3 {
			continue
		}
		for _, b := range mutants(d.b) {
			w.strike(d.from, d.to, b)
		}
		w.Run(50 * time.Millisecond)
	}
	w.Run(2 * time.Second)
	if len(g.Got)+len(c.Got) != 0 {
		t.Errorf("delivered %v and %v", g.Got, c.Got)
	}
	survived(t, w)
}
