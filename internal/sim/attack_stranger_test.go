// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/session"
	"staex/internal/wire"
)

// crowd is a stranger with many addresses who begins handshakes and finishes none.
type crowd struct {
	w     *World
	to    netip.AddrPort
	key   [32]byte // that mac1 is made with
	sent  int      // bytes
	heard int      // bytes of the answers
	noise map[netip.AddrPort][]byte
	next  int
}

func (w *World) newCrowd(key [32]byte) *crowd {
	return &crowd{
		w: w, to: netip.MustParseAddrPort(rootAddr), key: key,
		noise: map[netip.AddrPort][]byte{},
	}
}

// knock sends one first message from an address of its own.
func (c *crowd) knock(from netip.AddrPort) {
	e := make([]byte, wire.Hello1Noise)
	copy(e, fmt.Sprintf("%032d", c.next))
	c.next++
	c.noise[from] = e
	c.out(from, c.hello1(e, nil))
}

func (c *crowd) hello1(e []byte, cookie *session.Cookie) []byte {
	h := wire.Hello1{Version: wire.Version, Label: 9, Noise: e, Size: wire.MinHello1}
	b := h.Append(nil)
	wire.PutMAC1(b, session.Mac1(c.key, wire.MACInput(b)))
	if cookie != nil {
		wire.PutMAC2(b, cookie.Mac2(wire.MAC2Input(b)))
	}
	return b
}

func (c *crowd) out(from netip.AddrPort, b []byte) {
	c.sent += len(b)
	c.w.inject(from, c.to, b)
}

// listen makes the crowd's addresses real: it gets the cookies, and uses them.
func (c *crowd) listen(from netip.AddrPort, use bool) {
	c.w.listen(from, func(_ netip.AddrPort, b []byte) {
		c.heard += len(b)
		if !use || wire.PeekType(b) != wire.TypeCookie {
			return
		}
		ck, err := wire.ParseCookie(b)
		must(err)
		e := c.noise[from]
		mac1 := session.Mac1(c.key, wire.MACInput(c.hello1(e, nil)))
		cookie, err := session.OpenCookie(c.key, mac1,
			session.SealedCookie{Nonce: ck.Nonce, Sealed: ck.Sealed})
		must(err)
		c.out(from, c.hello1(e, &cookie))
	})
}

func at(i int) netip.AddrPort {
	a := netip.AddrFrom4([4]byte{100, byte(64 + i>>16), byte(i >> 8), byte(i)})
	return netip.AddrPortFrom(a, uint16(1024+i%60000))
}

// lateChild comes while the root is under attack, and must get in.
func lateChild(t *testing.T, w *World) {
	t.Helper()
	late := w.Add(Config{Name: "late", Addr: "192.0.2.9:9376", Parents: []string{rootAddr}})
	in := func() bool { _, _, ok := late.Node.Parent(); return ok }
	if !w.Until(10*time.Second, in) {
		t.Error("a child of ours was locked out")
	}
}

func TestAFloodFromForgedAddressesMeetsACookieAndLocksNobodyOut(t *testing.T) {
	w := open(110)
	agreed(t, w)
	root := w.Host("root")
	before, labels := root.allDrops(), root.gauge(t, "labels")
	c := w.newCrowd(w.network.Cert.Key)
	for i := range 2000 {
		c.listen(at(i), false)
	}
	most, end := 0, w.Now+12*time.Second
	var strike func()
	strike = func() {
		for range 5 {
			c.knock(at(c.next))
		}
		most = max(most, root.gauge(t, "half-open handshakes"))
		if w.Now < end {
			w.At(w.Now+5*time.Millisecond, strike)
		}
	}
	strike()
	w.Run(4 * time.Second)
	lateChild(t, w)
	counted(t, root, before, drop.Quota, 3000)
	if most > 1024 || most < 100 {
		t.Errorf("%d handshakes were half open", most)
	}
	if n := root.gauge(t, "labels") - labels; n > 1024+4 {
		t.Errorf("the flood took %d labels", n)
	}
	if c.heard > c.sent {
		t.Errorf("%d bytes brought %d", c.sent, c.heard)
	}
	survived(t, w)
}

func TestAFloodFromRealAddressesTakesNoLabelForLong(t *testing.T) {
	w := open(111)
	root := w.Host("root")
	root.cfg.LabelBits = 10 // so that a small flood shows it
	root.Kill()
	root.Start()
	agreed(t, w)
	c := w.newCrowd(w.network.Cert.Key)
	var most int
	for round := range 20 { // one machine, many ports, every cookie used
		for i := range 50 {
			from := netip.AddrPortFrom(netip.MustParseAddr("198.51.100.77"),
				uint16(2000+100*round+i))
			c.listen(from, true)
			c.knock(from)
		}
		w.Run(100 * time.Millisecond)
		most = max(most, root.gauge(t, "half-open handshakes"))
		if round == 15 {
			lateChild(t, w)
		}
	}
	if most > 16 {
		t.Errorf("one address holds %d half-open handshakes", most)
	}
	if c.heard > c.sent {
		t.Errorf("%d bytes brought %d", c.sent, c.heard)
	}
	for range 1100 { // more than there are labels, each from a machine of its own
		from := at(c.next)
		c.listen(from, true)
		c.knock(from)
		w.Run(5 * time.Millisecond)
		most = max(most, root.gauge(t, "half-open handshakes"))
	}
	if most > 255 || most < 200 {
		t.Errorf("%d handshakes were half open, with 1023 labels", most)
	}
	w.Host("technician").Kill()
	w.Host("technician").Start()
	survived(t, w)
}

func TestAStrangerWhoKnowsNoNetworkHearsNothing(t *testing.T) {
	w := open(112)
	agreed(t, w)
	root := w.Host("root")
	before := root.allDrops()
	c := w.newCrowd([32]byte{1, 2, 3})
	for i := range 1000 {
		c.listen(at(i), true)
		c.knock(at(i))
		c.out(at(i), []byte{byte(i)})
		c.out(at(i), append([]byte{byte(i)}, c.hello1(c.noise[at(i)], nil)...))
		c.out(at(i), make([]byte, 1+i)) // of type 0, which there will never be
	}
	w.Run(time.Second)
	counted(t, root, before, drop.BadMac, 1000)
	counted(t, root, before, drop.BadType, 1000)
	if c.heard != 0 {
		t.Errorf("the stranger heard %d bytes", c.heard)
	}
	if n := root.gauge(t, "half-open handshakes"); n != 0 {
		t.Errorf("%d handshakes are half open", n)
	}
	lateChild(t, w)
	survived(t, w)
}

func TestAStrangerIsNeverAnsweredMoreThanItSent(t *testing.T) {
	w := open(113)
	agreed(t, w)
	root := w.Host("root")
	c := w.newCrowd(w.network.Cert.Key)
	first, second := at(1), at(2)
	e := []byte("0123456789abcdef0123456789abcdef")
	c.noise[first] = e
	c.listen(first, false)
	h := wire.Hello1{Version: wire.Version, Label: 9, Noise: e, Size: wire.MaxHello1}
	large := h.Append(nil)
	wire.PutMAC1(large, session.Mac1(c.key, wire.MACInput(large)))
	c.out(first, large)
	w.Run(time.Second)
	if c.heard == 0 {
		t.Error("nobody answered")
	}
	for range 20 {
		c.out(first, c.hello1(e, nil)) // a small one that asks for the large answer again
	}
	w.Run(time.Second)
	if c.heard > c.sent {
		t.Errorf("%d bytes brought %d", c.sent, c.heard)
	}
	heard, before := c.heard, root.allDrops()
	c.listen(second, false)
	c.out(second, large) // or to somebody else
	w.Run(time.Second)
	counted(t, root, before, drop.Replay, 1)
	if c.heard != heard {
		t.Error("a copied first message was answered at another address")
	}
	survived(t, w)
}
