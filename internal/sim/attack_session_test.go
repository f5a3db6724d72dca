// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"testing"
	"time"

	"staex/internal/ident"
	"staex/internal/overlay/node"
	"staex/internal/overlay/session"
	"staex/internal/wire"
)

// rawSession is an end-to-end session of an attacker's that speaks as it likes.
type rawSession struct {
	p    *rawPeer
	dest ident.NodeID
	hs   *session.Handshake
	back wire.Label
	out  wire.Label // the victim's or its relay's label; 0: no path
	no   uint8      // reason of the refusal, if any
	send *session.Sender
	recv *session.Receiver
	seen int // frames of the peer's that were looked at

	heard [][]byte // plaintexts
}

// hello is message 1 of Noise XK with its MAC, under a tunnel's secret or the names key.
func (p *rawPeer) hello(dest ident.NodeID, as *ident.Secret, tunnel *[32]byte) (*rawSession,
	[]byte,
) {
	hs, err := session.NewXK(true, as, dest, p.rand)
	must(err)
	msg, err := hs.Write(nil, nil)
	must(err)
	mac := p.who.Names.MAC8(dest[:], msg)
	if tunnel != nil {
		mac = session.HelloMAC(*tunnel, dest[:], msg)
	}
	return &rawSession{p: p, dest: dest, hs: hs}, append(mac[:], msg...)
}

// call lays a path with message 1 in it and waits for the answer.
func (s *rawSession) call(hello []byte) {
	p, w := s.p, s.p.w
	s.back = wire.Label(0x700000 + w.seq%0xfffff)
	path := wire.Path{
		Dest: s.dest, Kind: wire.PathHello, Hops: 60, Back: s.back, Size: wire.MinDatagram,
		Body: hello,
	}
	_, _ = p.rand.Read(path.ID[:])
	before := len(p.heard)
	p.tell(wire.ControlPath, path.Append(nil))
	w.Until(5*time.Second, func() bool {
		for _, m := range p.heard[min(before, len(p.heard)):] {
			switch m.typ {
			case wire.ControlPathOK:
				ok, err := wire.ParsePathOK(m.body)
				must(err)
				if ok.ID == path.ID {
					s.out = ok.Label
					_, err = s.hs.Read(nil, ok.Body)
					must(err)
					return true
				}
			case wire.ControlPathNo:
				no, err := wire.ParsePathNo(m.body)
				must(err)
				s.no = no.Reason
				return no.ID == path.ID
			}
		}
		return false
	})
}

// finish sends message 3 and takes the keys.
func (s *rawSession) finish(payload []byte) {
	msg, err := s.hs.Write(nil, payload)
	must(err)
	k := s.hs.Keys()
	s.send = session.NewSender(k.Send, session.ChaCha)
	s.recv = session.NewReceiver(k.Recv, session.ChaCha, session.WindowSession)
	f := wire.PathHandshake{Label: s.out, Stage: wire.StageNoise3, Body: msg}
	s.p.out(f.Append(nil))
	s.p.w.Run(200 * time.Millisecond)
}

// say seals a plaintext for the other end.
func (s *rawSession) say(plain []byte) {
	h := wire.DataHeader{Type: wire.TypeData, Label: s.out}
	s.p.out(sealFrame(s.send, h, plain))
}

// message sends one session message.
func (s *rawSession) message(typ uint8, body []byte) {
	s.say(append(wire.AppendSession(nil, typ), body...))
}

// listen opens what came for the session since the last time.
func (s *rawSession) listen() [][]byte {
	for _, b := range s.p.frames[s.seen:] {
		h, n, err := wire.ParseDataHeader(b)
		if err != nil || h.Label != s.back {
			continue
		}
		plain, _, err := s.recv.Open(nil, h.Epoch, h.Counter, h.Long, wire.AAD(b[0]), b[n:])
		if err == nil {
			s.heard = append(s.heard, plain)
		}
	}
	s.seen = len(s.p.frames)
	return s.heard
}

// answered reports whether the other end sent a session message of this type.
func (s *rawSession) answered(typ uint8) bool {
	for _, plain := range s.listen() {
		if m, err := wire.ParseSession(plain); err == nil && m.Type == typ {
			return true
		}
	}
	return false
}

// talk is a whole session with a node, as a member has it.
func (p *rawPeer) talk(t *testing.T, dest ident.NodeID) *rawSession {
	t.Helper()
	s, hello := p.hello(dest, p.who.Secret, nil)
	s.call(hello)
	if s.out == 0 {
		t.Fatalf("no path to %v: reason %d", dest, s.no)
	}
	s.finish(wire.XKPayload{NodeCert: p.who.Cert.Append(nil)}.Append(nil))
	if !s.answered(wire.SessionConfirm) {
		t.Fatal("the session was not confirmed")
	}
	return s
}

// switchOff disables a tunnel by name.
func switchOff(name string) node.SwitchTunnel { return node.SwitchTunnel{Tunnel: name} }
