// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"io"
	"net/netip"
	"testing"
	"time"

	"staex/internal/ident"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/session"
	"staex/internal/wire"
)

// rawPeer is an attacker that holds valid keys: it does the link handshake as anybody else, in
// either role, and then says whatever it likes. It forgets nothing that it hears.
type rawPeer struct {
	w    *World
	who  *ident.Identity
	rand io.Reader
	addr netip.AddrPort
	to   netip.AddrPort // the victim

	hs     *session.Handshake
	noise  []byte         // our first message
	mac1   [32]byte       // key that it is addressed with
	cookie session.Cookie // if one was demanded
	peer   ident.NodeID   // who answered; of the one that called us
	mine   wire.Label
	theirs wire.Label
	send   *session.Sender
	recv   *session.Receiver
	sent   uint32 // numbers of control packets
	got    uint32

	heard  []rawMessage
	frames [][]byte // data frames and path handshakes, as they came
	strays int      // datagrams of no use
	deaf   bool     // hears and answers nothing on its link
	says   []byte   // handshake payload instead of our own
	react  func(m rawMessage)
}

// rawMessage is one control message that a rawPeer was told.
type rawMessage struct {
	typ  uint8
	body []byte
}

// newRaw puts an attacker at an address. Network nil is the world's own.
func (w *World) newRaw(addr, to string, network *Network) *rawPeer {
	if network == nil {
		network = w.network
	}
	p := &rawPeer{
		w: w, addr: netip.MustParseAddrPort(addr), to: netip.MustParseAddrPort(to),
		rand: w.stream("raw " + addr), mine: 0x123456, mac1: w.network.Cert.Key,
	}
	p.who = w.identity(p.rand, network)
	w.listen(p.addr, p.arrive)
	return p
}

// listen gives an address of the attacker's an ear.
func (w *World) listen(addr netip.AddrPort, ear func(from netip.AddrPort, b []byte)) {
	if w.attack.ears == nil {
		w.attack.ears = map[netip.AddrPort]func(netip.AddrPort, []byte){}
	}
	w.attack.ears[addr] = ear
}

// inject puts a datagram on the wire from wherever the attacker likes.
func (w *World) inject(from, to netip.AddrPort, b []byte) {
	frame := append([]byte(nil), b...)
	w.At(w.Now+w.link.Delay, func() { w.strike(from, to, frame) })
}

// strike lets a datagram of the attacker's arrive now.
func (w *World) strike(from, to netip.AddrPort, b []byte) {
	w.note("attacker", to, b)
	w.forged(b)
	w.arrive(&Host{Name: "attacker"}, from, to, b)
}

// forged tells the auditor that the attacker made or copied a frame: a relay cannot know, so it
// may pass it on, as often as it comes.
func (w *World) forged(b []byte) {
	if wire.PeekType(b) != wire.TypeData || len(b) < wire.TagSize || w.audit.now.crossed == nil {
		return
	}
	c := w.audit.now.crossed[tagOf(b)]
	if c == nil {
		c = &crossing{hosts: map[*Host]bool{}}
		w.audit.now.crossed[tagOf(b)] = c
	}
	c.copies++
}

func (p *rawPeer) out(b []byte) { p.w.inject(p.addr, p.to, b) }

// dial begins the handshake of a child.
func (p *rawPeer) dial() {
	hs, err := session.NewXX(true, p.who.Secret, p.rand)
	must(err)
	p.noise, err = hs.Write(nil, nil)
	must(err)
	p.hs, p.send, p.recv, p.sent, p.got = hs, nil, nil, 0, 0
	p.mine++
	p.out(p.hello1(false))
}

func (p *rawPeer) hello1(cookie bool) []byte {
	h := wire.Hello1{Version: wire.Version, Label: p.mine, Noise: p.noise, Size: wire.MinDatagram}
	b := h.Append(nil)
	wire.PutMAC1(b, session.Mac1(p.mac1, wire.MACInput(b)))
	if cookie {
		wire.PutMAC2(b, p.cookie.Mac2(wire.MAC2Input(b)))
	}
	return b
}

// attach is the handshake of a child up to the first word of the victim.
func (p *rawPeer) attach(t *testing.T) {
	t.Helper()
	p.dial()
	if !p.w.Until(5*time.Second, func() bool { return p.got > 0 }) {
		t.Fatal("the attacker's own handshake failed")
	}
}

// arrive takes whatever comes to the attacker's address.
func (p *rawPeer) arrive(from netip.AddrPort, b []byte) {
	switch wire.PeekType(b) {
	case wire.TypeHello1:
		p.called(from, b)
	case wire.TypeHello2:
		p.fromHello2(b)
	case wire.TypeHello3:
		p.fromHello3(b)
	case wire.TypeCookie:
		c, err := wire.ParseCookie(b)
		must(err)
		mac1 := session.Mac1(p.mac1, wire.MACInput(p.hello1(false)))
		sealed := session.SealedCookie{Nonce: c.Nonce, Sealed: c.Sealed}
		p.cookie, err = session.OpenCookie(p.mac1, mac1, sealed)
		must(err)
		p.out(p.hello1(true))
	case wire.TypeLink:
		p.fromLink(b)
	case wire.TypeData, wire.TypePathHandshake:
		p.frames = append(p.frames, append([]byte(nil), b...))
	default:
		p.strays++
	}
}

func (p *rawPeer) fromHello2(b []byte) {
	h, err := wire.ParseHello2(b)
	if err != nil || p.hs == nil || p.hs.Done() || h.To != p.mine {
		p.strays++
		return
	}
	if _, err := p.hs.Read(nil, h.Noise); err != nil {
		p.strays++
		return
	}
	p.theirs = h.Label
	p.out(p.hello3(p.payload()))
}

// payload is what a well-behaved child says of itself.
func (p *rawPeer) payload() []byte {
	if p.says != nil {
		return p.says
	}
	l := wire.LinkPayload{KeepAlive: 30, Size: wire.MinDatagram, NodeCert: p.who.Cert.Append(nil)}
	return l.Append(nil)
}

func (p *rawPeer) hello3(payload []byte) []byte {
	msg, err := p.hs.Write(nil, payload)
	must(err)
	p.keys()
	return wire.Hello3{To: p.theirs, Noise: msg}.Append(nil)
}

func (p *rawPeer) keys() {
	k := p.hs.Keys()
	p.send = session.NewSender(k.Send, session.ChaCha)
	p.recv = session.NewReceiver(k.Recv, session.ChaCha, session.WindowLink)
}

// called answers a child's first message: the attacker plays a parent.
func (p *rawPeer) called(from netip.AddrPort, b []byte) {
	h, err := wire.ParseHello1(b)
	must(err)
	p.to, p.theirs = from, h.Label
	p.hs, err = session.NewXX(false, p.who.Secret, p.rand)
	must(err)
	_, err = p.hs.Read(nil, h.Noise)
	must(err)
	msg, err := p.hs.Write(nil, p.payload())
	must(err)
	p.mine++
	p.out(wire.Hello2{To: h.Label, Label: p.mine, Size: len(b), Noise: msg}.Append(nil))
}

// fromHello3 makes the attacker a parent.
func (p *rawPeer) fromHello3(b []byte) {
	h, err := wire.ParseHello3(b)
	if err != nil || p.hs == nil || p.hs.Done() {
		p.strays++
		return
	}
	payload, err := p.hs.Read(nil, h.Noise)
	must(err)
	l, err := wire.ParseLinkPayload(payload)
	must(err)
	cert, err := ident.DecodeNodeCert(l.NodeCert)
	must(err)
	p.peer, p.sent, p.got = cert.Key, 0, 0
	p.keys()
	p.tell(wire.ControlUp, wire.Up{}.Append(nil))
}

// fromLink takes a link frame, acknowledges what is in it and keeps its messages.
func (p *rawPeer) fromLink(b []byte) {
	h, n, err := wire.ParseDataHeader(b)
	must(err)
	if p.recv == nil || p.deaf {
		p.strays++
		return
	}
	plain, _, err := p.recv.Open(nil, h.Epoch, h.Counter, h.Long, b[0], b[n:])
	if err != nil {
		p.strays++
		return
	}
	if h.Flag {
		p.frame(false, nil)
	}
	if len(plain) < wire.ControlHeaderSize {
		return
	}
	c, rest, err := wire.ParseControlHeader(plain)
	must(err)
	if c.Number == 0 || c.Number != p.got+1 {
		return
	}
	p.got++
	p.frame(false, wire.ControlHeader{Ack: p.got}.Append(nil))
	for len(rest) > 0 {
		var m rawMessage
		m.typ, m.body, rest, err = wire.NextMessage(rest)
		must(err)
		p.heard = append(p.heard, m)
		if p.react != nil {
			p.react(m)
		}
	}
}

// frame seals a plaintext for the victim as a link frame.
func (p *rawPeer) frame(ask bool, plain []byte) {
	h := wire.DataHeader{Type: wire.TypeLink, Flag: ask, Label: p.theirs}
	p.out(sealFrame(p.send, h, plain))
}

// sealFrame seals one data or link frame under the next counter.
func sealFrame(s *session.Sender, h wire.DataHeader, plain []byte) []byte {
	ctr := s.Reserve(1)
	h.Epoch, h.Long, h.Counter = session.Epoch(ctr), s.Long(ctr), uint32(ctr)
	if !h.Long {
		h.Counter &= 0xffff
	}
	b := h.Append(nil)
	return s.Seal(b, ctr, wire.AAD(b[0]), plain)
}

// packet sends the next control packet with these messages in it, as they stand.
func (p *rawPeer) packet(messages []byte) {
	p.sent++
	h := wire.ControlHeader{Number: p.sent, Ack: p.got}
	p.frame(false, append(h.Append(nil), messages...))
}

// tell sends one control message.
func (p *rawPeer) tell(typ uint8, body []byte) {
	p.packet(wire.AppendMessage(nil, typ, body))
}

// flood sends many messages, as many as fit into each packet.
func (p *rawPeer) flood(typ uint8, bodies [][]byte) {
	const room = wire.MinDatagram - wire.DataHeaderLong - wire.TagSize - wire.ControlHeaderSize
	var body []byte
	for _, b := range bodies {
		m := wire.AppendMessage(nil, typ, b)
		if len(body)+len(m) > room {
			p.packet(body)
			body = nil
		}
		body = append(body, m...)
	}
	if body != nil {
		p.packet(body)
	}
}

// told counts the messages of a type that the attacker heard.
func (p *rawPeer) told(typ uint8) (n int) {
	for _, m := range p.heard {
		if m.typ == typ {
			n++
		}
	}
	return n
}

// drops is how often a host dropped something for a reason, on either path.
func (h *Host) drops(r drop.Reason) uint64 {
	return h.Node.Drops()[r] + h.in.C.Drops[r].Load() + h.up.C.Drops[r].Load()
}

// counted checks that a host dropped at least n things for a reason since before.
func counted(t *testing.T, h *Host, before [drop.Count]uint64, r drop.Reason, n uint64) {
	t.Helper()
	if got := h.drops(r) - before[r]; got < n {
		t.Errorf("%s counted %d drops %q, want at least %d", h.Name, got, r, n)
	}
}

// allDrops is every counter of a host.
func (h *Host) allDrops() (counts [drop.Count]uint64) {
	for r := range counts {
		counts[r] = h.drops(drop.Reason(r))
	}
	return counts
}

// gauge is one of the sizes that a node reports.
func (h *Host) gauge(t *testing.T, name string) int {
	t.Helper()
	for _, g := range h.Node.Gauges() {
		if g.Name == name {
			return g.Value
		}
	}
	t.Fatalf("no gauge %q", name)
	return 0
}

// survived checks that nothing broke and the tunnel of the story still works.
func survived(t *testing.T, w *World) {
	t.Helper()
	w.Run(time.Second)
	w.inspect()
	talks(t, w, w.Host("technician"), "meter", "after the attack", 40*time.Second)
	sound(t, w)
}

// open is the story's network without NATs, where every attacker reaches every node.
func open(seed uint64) *World {
	w := New(seed)
	w.Watch([]byte("confidential"))
	w.Add(Config{Name: "root", Addr: "203.0.113.1:9376"})
	for i, name := range []string{"gateway", "technician", "other"} {
		w.Add(Config{
			Name: name, Addr: []string{"192.0.2.2:9376", "192.0.2.3:9376", "192.0.2.4:9376"}[i],
			Parents: []string{"203.0.113.1:9376"},
		})
	}
	return w
}
