// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"testing"
	"time"

	"staex/internal/ident"
	"staex/internal/overlay/session"
	"staex/internal/wire"
)

// restarted kills a host for a while and starts it, while f happens all the time, and returns how
// long after that back was true first; -1: not within d. It goes on until d is over.
func (w *World) restarted(h *Host, down, d time.Duration, f func(int), back func() bool,
) time.Duration {
	serve := h.Serve
	h.Kill()
	stream(w, down, f)
	h.Start()
	h.Serve = serve
	began, took := w.Now, time.Duration(-1)
	stream(w, d-down, func(i int) {
		if took < 0 && back() {
			took = w.Now - began
		}
		f(i)
	})
	return took
}

// inARow is how often, how far apart and for how long a host is off.
type inARow struct {
	times       int
	every, down time.Duration
}

var series = []inARow{
	{6, 15 * time.Second, 0},
	{6, 15 * time.Second, 2 * time.Second},
	{6, 15 * time.Second, 10 * time.Second},
	{20, 3 * time.Second, time.Second},
	{20, 3 * time.Second, 2300 * time.Millisecond},
}

func TestAnEndThatRestartsInARowIsBackAsSoonAsAfterOneRestart(t *testing.T) {
	for i, x := range series {
		for _, loss := range []float64{0, 0.05} {
			t.Run(fmt.Sprint(x, loss), func(t *testing.T) {
				w := home(980 + uint64(i))
				g, c := agreed(t, w)
				w.SetLink(Link{Delay: 20 * time.Millisecond, Loss: loss})
				for n := range x.times {
					seen, every := len(g.Got), x.every
					if n == x.times-1 {
						every = time.Minute
					}
					took := w.restarted(g, x.down, every, asking(c), func() bool {
						return len(g.Got) > seen
					})
					seldom := x.every < 5*time.Second && n < x.times-1 // it is off again too soon
					if took > 3*time.Second || took < 0 && !seldom {
						t.Errorf("restart %d: a packet came after %v", n+1, took)
					}
				}
				sound(t, w)
			})
		}
	}
}

func TestAParentThatRestartsInARowHasItsChildrenBackAsSoonAsAfterOneRestart(t *testing.T) {
	for i, x := range series {
		for _, idle := range []bool{false, true} {
			t.Run(fmt.Sprint(x, idle), func(t *testing.T) {
				w := home(990 + uint64(i))
				_, c := agreed(t, w)
				w.Run(time.Minute)
				root, f := w.Host("root"), asking(c)
				if idle {
					f = func(int) {}
				}
				for n := range x.times {
					every := x.every
					if n == x.times-1 {
						every = time.Minute
					}
					took := w.restarted(root, x.down, every, f, func() bool {
						return root.gauge(t, "links") == 2
					})
					seldom := x.every < 5*time.Second && n < x.times-1
					if took > 6*time.Second || took < 0 && !seldom {
						t.Errorf("restart %d: the children came back after %v", n+1, took)
					}
				}
				sound(t, w)
			})
		}
	}
}

func TestAnEndThatKeepsRestartingCostsAHandshakeASecondAtMost(t *testing.T) {
	twice(t, func(t *testing.T) *World {
		w := home(98)
		g, c := agreed(t, w)
		hellos := c.Node.PathsAsked(wire.PathHello)
		for range 40 { // and says "no session" each time
			w.restarted(g, 0, 400*time.Millisecond, asking(c), func() bool { return false })
		}
		if got := c.Node.PathsAsked(wire.PathHello) - hellos; got < 5 || got > 17 {
			t.Errorf("%d handshakes in 16 s", got)
		}
		talks(t, w, c, "meter", "at last", 4*time.Second)
		return w
	})
}

func TestAnEndThatIsGoneIsCalledMoreAndMoreSeldom(t *testing.T) {
	w := home(97)
	g, c := agreed(t, w)
	g.Kill()
	before := c.Node.PathsAsked(wire.PathHello) + c.Node.PathsAsked(wire.PathResume)
	stream(w, 30*time.Minute, asking(c))
	got := c.Node.PathsAsked(wire.PathHello) + c.Node.PathsAsked(wire.PathResume) - before
	if got < 20 || got > 40 {
		t.Errorf("%d calls in half an hour", got)
	}
}

// denies lets the attacker's node take every call of a victim and say then, as often as it can,
// that it has no session and that the path is lost. mark is what it says in its n-th handshake.
func (p *rawPeer) denies(t *testing.T, d time.Duration, confirms bool, mark func(n int) uint8,
) (calls int) {
	t.Helper()
	var hs *session.Handshake
	p.react = func(m rawMessage) {
		path, err := wire.ParsePath(m.body)
		if m.typ != wire.ControlPath || err != nil || path.Dest != p.who.Secret.ID() {
			return
		}
		if path.Kind != wire.PathHello {
			no := wire.PathNo{ID: path.ID, Reason: wire.PathNoSession}
			p.tell(wire.ControlPathNo, no.Append(nil))
			return
		}
		hs, err = session.NewXK(false, p.who.Secret, ident.NodeID{}, p.rand)
		must(err)
		_, err = hs.Read(nil, path.Body[session.HelloMACSize:])
		must(err)
		says := wire.XKPayload{
			Flags: mark(calls) << wire.XKFlagsMark, Network: p.who.Cert.Network,
		}
		msg, err := hs.Write(nil, says.Append(nil))
		must(err)
		calls++
		ok := wire.PathOK{
			ID: path.ID, Label: path.Back ^ 1, Size: wire.MinDatagram, Body: msg,
		}
		p.tell(wire.ControlPathOK, ok.Append(nil))
	}
	for end, seen := p.w.Now+d, len(p.frames); p.w.Now < end; p.w.Run(20 * time.Millisecond) {
		for ; seen < len(p.frames); seen++ {
			f, err := wire.ParsePathHandshake(p.frames[seen])
			if err != nil || f.Stage != wire.StageNoise3 || hs == nil {
				continue
			}
			if _, err := hs.Read(nil, f.Body); err != nil {
				continue // it comes again
			}
			if confirms {
				s := &rawSession{p: p, out: f.Label ^ 1}
				s.send = session.NewSender(hs.Keys().Send, session.ChaCha)
				s.message(wire.SessionConfirm, nil)
				p.w.Run(50 * time.Millisecond)
			}
			p.tell(wire.ControlUnknown, wire.Unknown{Label: f.Label}.Append(nil))
			hs = nil
		}
	}
	return calls
}

func TestWhoSaysThatThereIsNoSessionCannotHastenHandshakes(t *testing.T) {
	for _, x := range []struct {
		name        string
		confirms    bool
		mark        func(n int) uint8
		least, most int
	}{
		{"a relay, while the end stands", true, func(int) uint8 { return 9 }, 3, 8},
		{"a relay that keeps the confirmation", false, func(int) uint8 { return 9 }, 3, 8},
		{"an end that tells no mark", true, func(int) uint8 { return 0 }, 3, 8},
		{"an end that lies, too", true, func(n int) uint8 { return 1 + uint8(n%2) }, 20, 122},
	} {
		t.Run(x.name, func(t *testing.T) {
			w, p := underEvil(t, 985)
			w.Host("gateway").Tunnel("third", &Host{Who: p.who}, snmp) // so that it calls
			n := p.denies(t, 2*time.Minute, x.confirms, x.mark)
			if n < x.least || n > x.most {
				t.Errorf("%d handshakes in two minutes", n)
			}
			sound(t, w)
		})
	}
}
