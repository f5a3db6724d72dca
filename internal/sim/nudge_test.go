// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"staex/internal/overlay/drop"
	"staex/internal/wire"
)

// stream lets f happen every 20 ms for d.
func stream(w *World, d time.Duration, f func(i int)) {
	for i, end := 0, w.Now+d; w.Now < end; i++ {
		f(i)
		w.Run(20 * time.Millisecond)
	}
}

// gap streams packets from one host to another, lets something happen after a second, and
// returns the longest time without an arrival after that.
func gap(w *World, to *Host, d time.Duration, send func(i int), happens func()) time.Duration {
	stream(w, time.Second, send)
	happens()
	longest, last, seen := time.Duration(0), w.Now, len(to.Got)
	stream(w, d, func(i int) {
		if len(to.Got) != seen {
			seen, last = len(to.Got), w.Now
		}
		longest = max(longest, w.Now-last)
		send(i)
	})
	return longest
}

// asking sends questions from the client; answering pushes answers from the server.
func asking(c *Host) func(int) {
	return func(i int) { c.Ask("meter", 5000, 161, fmt.Sprint("question ", i)) }
}

func answering(g *Host) func(int) {
	q := g.Got[len(g.Got)-1]
	return func(i int) { g.SendIP(UDP(q.Dst, q.Src, []byte(fmt.Sprint("answer ", i)))) }
}

func TestATransferGoesOnWithinASecondAfterItsTranslatorForgot(t *testing.T) {
	run := func(seed uint64, who string, loss float64) [32]byte {
		w := home(seed)
		g, c := agreed(t, w)
		w.SetLink(Link{Delay: 20 * time.Millisecond, Loss: loss})
		send, to := answering(g), c
		if who == "technician" {
			send, to = asking(c), c
		}
		handshakes := len(g.Events) + len(c.Events)
		got := gap(w, to, 10*time.Second, send, w.Host(who).NAT.Forget)
		if most := time.Duration(1+10*loss) * time.Second; got > most {
			t.Errorf("%s: nothing arrived for %v", who, got)
		}
		if now := len(g.Events) + len(c.Events); now != handshakes && loss == 0 {
			t.Errorf("%s: something was set up anew: %v %v", who, g.Events, c.Events)
		}
		sound(t, w)
		return w.Trace()
	}
	for _, who := range []string{"gateway", "technician"} {
		first, second := run(81, who, 0), run(81, who, 0)
		if first != second {
			t.Errorf("%s: equal seeds gave different traces", who)
		}
		run(82, who, 0.2)
	}
}

func TestAForgedOrRepeatedNudgeIsAnsweredByNobody(t *testing.T) {
	w := home(83)
	g, c := agreed(t, w)
	root := w.Host("root")
	var nudge []byte
	w.attack.saw = func(h *Host, _, _ netip.AddrPort, b []byte) {
		if h == root && wire.PeekType(b) == wire.TypeNudge {
			nudge = bytes.Clone(b)
		}
	}
	gap(w, c, time.Second, answering(g), g.NAT.Forget)
	if nudge == nil {
		t.Fatal("no nudge was sent")
	}
	w.Run(time.Second)
	sent := 0
	w.attack.saw = func(h *Host, _, _ netip.AddrPort, _ []byte) {
		if h == g {
			sent++
		}
	}
	try := func(b []byte, want drop.Reason) {
		t.Helper()
		before := g.drops(want)
		g.receive(root.Addr, bytes.Clone(b))
		if sent != 0 || g.drops(want) != before+1 {
			t.Errorf("% x: %d frames sent, %v counted %d times", b, sent, want,
				g.drops(want)-before)
		}
	}
	try(nudge, drop.Replay)
	for bit := 32; bit < 8*len(nudge); bit++ { // the label in front finds the link
		b := bytes.Clone(nudge)
		b[bit/8] ^= 1 << (bit % 8)
		try(b, drop.BadMac)
	}
	try(append(bytes.Clone(nudge), 0), drop.BadFrame)
	sound(t, w)
}

// A thief on the wire holds the frames of a child back and sends them on from the address of a
// victim. The victim gets no flood, and the child has its traffic back when the thief is gone.
func TestACopiedFrameFromAVictimsAddressCausesNoFlood(t *testing.T) {
	w := home(84)
	_, c := agreed(t, w)
	g, root := w.Host("gateway"), w.Host("root")
	victim := netip.MustParseAddrPort("198.51.100.66:53")
	received, spoofed := 0, 0
	w.attack.ears = map[netip.AddrPort]func(netip.AddrPort, []byte){
		victim: func(_ netip.AddrPort, b []byte) { received += len(b) },
	}
	w.attack.held = func(h *Host, _, to netip.AddrPort, b []byte) bool {
		if h == c && to == root.Addr && wire.PeekType(b) == wire.TypeLink {
			spoofed += len(b)
			w.At(w.Now, func() { root.receive(victim, bytes.Clone(b)) })
			return true
		}
		return false
	}
	flood := answering(g)
	c.Ask("meter", 5000, 161, "still there")
	stream(w, 40*time.Second, flood)
	if spoofed == 0 || received == 0 || received > 3*spoofed {
		t.Errorf("%d bytes to the victim, %d in its name", received, spoofed)
	}
	if root.drops(drop.Unproven) == 0 {
		t.Error("nothing was dropped as unproven")
	}
	w.attack.held = nil
	talks(t, w, c, "meter", "the thief is gone", 5*time.Second)
	sound(t, w)
}
