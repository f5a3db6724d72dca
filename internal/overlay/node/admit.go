// SPDX-License-Identifier: Apache-2.0

package node

import (
	"net/netip"
	"time"

	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/plane"
	"staex/internal/overlay/session"
	"staex/internal/wire"
)

const (
	// maxHalves bounds the handshakes that strangers have begun; a new one replaces the oldest.
	// They never hold more than one in labelShare of the labels.
	maxHalves  = 1024
	labelShare = 4
	// prefixShare: one address, or one IPv6 network of 64 bits, has at most this part of them.
	// Whoever owns one machine must not push everybody else out of the ring.
	prefixShare = 16
	// cookieShare: this part of them in use makes the node ask for a cookie first.
	cookieShare = 2
	// cookieRate is how many first messages a second make it ask, too.
	cookieRate = 100
	// halfLife is how long a half-open handshake waits for its third message.
	halfLife = 10 * time.Second
	// maxChildPeriod bounds what a child may claim as its keep-alive period.
	maxChildPeriod = time.Hour
)

// half is a handshake that a stranger began and did not finish yet.
type half struct {
	from   netip.AddrPort
	prefix netip.Prefix // of from: what one owner has many addresses in
	first  [32]byte     // the stranger's ephemeral key: finds repeated first messages
	mine   wire.Label
	theirs wire.Label
	hs     *session.Handshake
	answer []byte
	born   time.Duration
}

// halfBook is a ring of half-open handshakes and the measure of how many begin.
type halfBook struct {
	byLabel map[wire.Label]*half
	byFirst map[[32]byte]*half
	ring    []*half // oldest first
	most    int     // length of the ring
	jar     *session.CookieJar
	second  time.Duration
	begun   int
}

func (b *halfBook) init(labels int) {
	b.most = max(min(maxHalves, labels/labelShare), prefixShare)
	b.byLabel = map[wire.Label]*half{}
	b.byFirst = map[[32]byte]*half{}
}

// FromStranger takes a datagram of no link: a handshake, or data right behind one.
func (n *Node) FromStranger(now clock.Reading, from netip.AddrPort, b []byte, out *Effects) {
	n.look(now)
	defer n.finish(now, out)
	switch wire.PeekType(b) {
	case wire.TypeHello1:
		n.fromHello1(now, from, b, out)
	case wire.TypeHello2:
		n.fromHello2(now, from, b, out)
	case wire.TypeHello3:
		n.fromHello3(now, from, b)
	case wire.TypeCookie:
		n.fromCookie(now, from, b, out)
	case wire.TypePathHandshake:
		n.fromPathHandshake(now, b, out)
	case wire.TypeTicket:
		n.fromTicket(now, from, b, out)
	case wire.TypeTicketAnswer:
		n.fromTicketAnswer(now, from, b, out)
	case wire.TypeReset:
		n.fromReset(now, from, b)
	case wire.TypeNATProbe:
		n.fromNATProbe(now, from, b, out)
	case wire.TypeData:
		n.fromEarly(now, from, b, out)
	default:
		n.count(drop.BadType)
	}
}

// fromHello1 does the cheap checks in order (length, mac1, cookie) before any Diffie-Hellman.
func (n *Node) fromHello1(now clock.Reading, from netip.AddrPort, b []byte, out *Effects) {
	h, err := wire.ParseHello1(b)
	if err != nil {
		n.count(drop.BadFrame)
		return
	}
	key, ok := n.addressed(b, h.Mac1)
	if !ok {
		n.count(drop.BadMac)
		return
	}
	if n.revs.gone {
		n.count(drop.Revoked) // who attached here would end with us
		return
	}
	n.expireHalves(now)
	first := [32]byte(h.Noise)
	if old := n.halves.byFirst[first]; old != nil {
		if old.from == from && len(b) >= len(old.answer) {
			out.send(from, old.answer)
			return
		}
		n.count(drop.Replay)
		return
	}
	if n.halves.loaded(now.Up) && !n.checkCookie(now, from, b, h) {
		n.demandCookie(now, from, h, key, out)
		return
	}
	n.answerHello1(now, from, b, h, out)
}

// addressed finds the admission key that a first message was made for.
func (n *Node) addressed(b []byte, mac1 [wire.MACSize]byte) (key [32]byte, ok bool) {
	for _, k := range n.admissionKeys() {
		if session.CheckMac1(k, wire.MACInput(b), mac1) {
			return k, true
		}
	}
	return key, false
}

// loaded reports that strangers must prove their address before we compute for them.
func (b *halfBook) loaded(now time.Duration) bool {
	if now-b.second >= time.Second {
		b.second, b.begun = now, 0
	}
	b.begun++
	return b.begun > cookieRate || len(b.ring) >= b.most/cookieShare
}

func (n *Node) checkCookie(now clock.Reading, from netip.AddrPort, b []byte, h wire.Hello1) bool {
	return n.halves.jar != nil && n.halves.jar.Check(now.Up, from, wire.MAC2Input(b), h.Mac2)
}

func (n *Node) demandCookie(now clock.Reading, from netip.AddrPort, h wire.Hello1, key [32]byte,
	out *Effects,
) {
	if n.halves.jar == nil {
		n.halves.jar = session.NewCookieJar(n.rand)
	}
	sealed, err := n.halves.jar.Make(now.Up, from, key, h.Mac1)
	if err != nil {
		return
	}
	n.count(drop.Quota)
	c := wire.Cookie{To: h.Label, Nonce: sealed.Nonce, Sealed: sealed.Sealed}
	out.send(from, c.Append(nil))
}

// fromCookie repeats our first message with the cookie a loaded parent asked for.
func (n *Node) fromCookie(now clock.Reading, from netip.AddrPort, b []byte, out *Effects) {
	c, err := wire.ParseCookie(b)
	a := n.parents.attempt
	if err != nil || a == nil || a.hs == nil || c.To != a.mine || from != a.to {
		n.count(drop.Stranger)
		return
	}
	for _, key := range n.mac1Keys(a.entry) {
		for _, size := range []int{wire.MaxDatagram, wire.MinDatagram} {
			h := wire.Hello1{Version: wire.Version, Label: a.mine, Noise: a.frame, Size: size}
			mac1 := session.Mac1(key, wire.MACInput(h.Append(nil)))
			sealed := session.SealedCookie{Nonce: c.Nonce, Sealed: c.Sealed}
			if cookie, err := session.OpenCookie(key, mac1, sealed); err == nil {
				a.cookie, a.mac1Key = &cookie, key
				n.hello1(now, a, size, out)
				return
			}
		}
	}
	n.count(drop.OpenFailed)
}

// answerHello1 is the first step that costs public-key work.
func (n *Node) answerHello1(now clock.Reading, from netip.AddrPort, b []byte, h wire.Hello1,
	out *Effects,
) {
	hs, err := session.NewXX(false, n.who.Secret, n.rand)
	if err != nil {
		return
	}
	if _, err := hs.Read(nil, h.Noise); err != nil {
		n.count(drop.OpenFailed)
		return
	}
	mine, ok := n.labels.New(now.Up)
	if !ok {
		n.count(drop.Quota)
		return
	}
	p := wire.LinkPayload{
		Flags: n.cfg.PostQuantum.flags(), Size: uint16(len(b)),
		NodeCert: n.who.Cert.Append(nil), Head: n.ownList(),
	}
	if chain := n.ownChain(); len(b) >= wire.MinDatagram {
		p.NetworkCert = chain // else the answer would be longer than the question
	}
	msg, err := hs.Write(nil, p.Append(nil))
	if err != nil {
		n.labels.Free(now.Up, mine)
		return
	}
	answer := wire.Hello2{To: h.Label, Label: mine, Size: len(b), Noise: msg}.Append(nil)
	x := &half{
		from: from, prefix: prefixOf(from.Addr()), first: [32]byte(h.Noise),
		mine: mine, theirs: h.Label, hs: hs,
		answer: answer, born: now.Up,
	}
	n.halves.byLabel[mine], n.halves.byFirst[x.first] = x, x
	n.halves.ring = append(n.halves.ring, x)
	if old := n.halves.crowded(x.prefix); old != nil {
		n.count(drop.Quota)
		n.endHalf(now, old, true)
	}
	out.send(from, answer)
}

// crowded returns the half-open handshake that must go, if there are too many: the oldest of an
// address that has more than its share, else the oldest of all.
func (b *halfBook) crowded(prefix netip.Prefix) *half {
	share, first := 0, (*half)(nil)
	for _, x := range b.ring {
		if x.prefix == prefix {
			share++
			if first == nil {
				first = x
			}
		}
	}
	switch {
	case share > b.most/prefixShare:
		return first
	case len(b.ring) > b.most:
		return b.ring[0]
	}
	return nil
}

// prefixOf is the address itself, or its IPv6 network of 64 bits.
func prefixOf(a netip.Addr) netip.Prefix {
	const owned = 64
	p, err := a.Unmap().Prefix(min(a.Unmap().BitLen(), owned))
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

func (n *Node) expireHalves(now clock.Reading) {
	for len(n.halves.ring) > 0 && now.Up-n.halves.ring[0].born > halfLife {
		n.endHalf(now, n.halves.ring[0], true)
	}
}

// endHalf forgets a half-open handshake; free gives its label back. No frame was ever sent under
// it, so it needs no rest: a flood would wear out all labels.
func (n *Node) endHalf(now clock.Reading, x *half, free bool) {
	delete(n.halves.byLabel, x.mine)
	delete(n.halves.byFirst, x.first)
	for i, y := range n.halves.ring {
		if y == x {
			n.halves.ring = append(n.halves.ring[:i], n.halves.ring[i+1:]...)
			break
		}
	}
	if free {
		n.labels.Return(now.Up, x.mine)
	}
}

// fromHello3 learns who the child is and admits it.
func (n *Node) fromHello3(now clock.Reading, from netip.AddrPort, b []byte) {
	h, err := wire.ParseHello3(b)
	if err != nil {
		n.count(drop.BadFrame)
		return
	}
	x := n.halves.byLabel[h.To]
	if x == nil || x.from != from {
		n.repeatedHello3(h.To)
		return
	}
	payload, err := x.hs.Read(nil, h.Noise)
	if err != nil {
		n.count(drop.OpenFailed)
		return
	}
	p, cert, err := n.childPayload(now, x, payload)
	issuer, err := n.mayRenew(cert, p.NetworkCert, err)
	var hybrid bool
	if err == nil {
		hybrid, _, err = n.cfg.PostQuantum.agree(p.Flags)
	}
	if err == nil && len(n.links.byID) >= maxLinks {
		err = ErrFull
	}
	if err == nil && !n.childMayMove(now, cert.Key, from) {
		err = ErrCloned
	}
	if err != nil {
		n.countRefusal(err)
		n.event(Event{Kind: EventChildRefused, Addr: from, Text: err.Error()})
		n.endHalf(now, x, true)
		return
	}
	n.unlike(now, cert.Key, issuer)
	n.endHalf(now, x, false)
	size := min(max(int(p.Size), wire.MinDatagram), len(x.answer), wire.MaxDatagram)
	period := time.Duration(max(p.KeepAlive, 1)) * time.Second
	l := n.linkUp(now, linkKeys{
		peer: cert.Key, network: cert.Network, addr: from, mine: x.mine, theirs: x.theirs,
		keys: x.hs.Keys(), size: size, period: min(period, maxChildPeriod),
	})
	n.confine(now, l, issuer)
	n.claimed(now, cert.Network, p.Head, cert.Key)
	if hybrid {
		n.awaitKEM(now, l, x.hs.Keys(), cert)
		return
	}
	n.childUp(now, l, cert, "")
}

// repeatedHello3 answers a third message that came again, because our first frame was lost: the
// reliable control stream repeats by itself, so nothing is to do but count.
func (n *Node) repeatedHello3(to wire.Label) {
	if r, ok := n.tables.Row(to); ok && r.Kind == plane.RowControl {
		n.count(drop.Replay)
		return
	}
	n.count(drop.Stranger)
}

// childPayload checks what a child says of itself.
func (n *Node) childPayload(now clock.Reading, x *half, b []byte) (p wire.LinkPayload,
	cert *ident.NodeCert, err error,
) {
	p, err = wire.ParseLinkPayload(b)
	if err != nil {
		return p, nil, err
	}
	cert, err = ident.DecodeNodeCert(p.NodeCert)
	if err != nil {
		return p, nil, err
	}
	if err := proves(cert, x.hs.RemoteStatic()); err != nil {
		return p, nil, err
	}
	return p, cert, n.orTrusted(cert, n.proveChild(now, cert, p.NetworkCert))
}
