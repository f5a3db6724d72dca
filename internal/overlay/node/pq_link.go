// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"

	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/session"
	"staex/internal/wire"
)

// linkKEM is the post-quantum exchange of a link under way. Nothing else travels meanwhile but
// acknowledgements and keep-alives, so no record and no ticket is ever under the first keys.
//
//	child:  key sent --answer--> seals under the new keys --a frame under them opens--> up
//	parent: waits ----both halves--> answer sent ----a frame under the new keys opens--> up
type linkKEM struct {
	keys   session.Keys    // of the handshake; at the parent, once mixed, those to come
	kem    *session.KEM    // of the child
	halves kemHalves       // that came to the parent
	queue  [][]byte        // messages of the exchange, which go before all others
	mixed  bool            // this end knows the new keys
	cert   *ident.NodeCert // of the child, whose link is up after the exchange
}

// offerKEM begins the exchange as the child.
func (n *Node) offerKEM(now clock.Reading, l *link, keys session.Keys) {
	kem, err := session.NewKEM(n.rand)
	if err != nil {
		n.linkDown(now, l, err.Error())
		return
	}
	l.kem = &linkKEM{keys: keys, kem: kem}
	for _, part := range kemParts(kem) {
		n.tellKEM(l, wire.ControlKEMKey, part)
	}
}

// awaitKEM makes a new child's link wait for the exchange.
func (n *Node) awaitKEM(now clock.Reading, l *link, keys session.Keys, cert *ident.NodeCert) {
	l.kem = &linkKEM{keys: keys, cert: cert}
	n.arm(l, beatTimer, now.Up+kemLife)
}

// tellKEM queues a message that may leave during the exchange.
func (n *Node) tellKEM(l *link, typ uint8, body []byte) {
	l.kem.queue = append(l.kem.queue, wire.AppendMessage(nil, typ, body))
	n.links.busy[l.id] = l
}

// shut reports that only messages of the exchange may leave over a link.
func (l *link) shut() bool { return l.kem != nil && !(l.toward && l.kem.mixed) }

// next takes a message of the exchange, nil when there is none. Each fills a packet.
func (x *linkKEM) next() (m []byte) {
	if len(x.queue) > 0 {
		m, x.queue = x.queue[0], x.queue[1:]
	}
	return m
}

// kemMessage acts on the messages of an exchange; during one there must be no others.
func (n *Node) kemMessage(now clock.Reading, l *link, typ uint8, b []byte) error {
	x := l.kem
	switch typ {
	case wire.ControlKEMKey:
		k, err := wire.ParseKEMKey(b)
		if err != nil {
			return err
		}
		if x != nil && !l.toward && !x.mixed {
			n.answerKEM(now, l, k)
			return nil
		}
	case wire.ControlKEMAnswer:
		a, err := wire.ParseKEMAnswer(b)
		if err != nil {
			return err
		}
		if x != nil && l.toward && !x.mixed {
			n.mixLink(now, l, a)
			return nil
		}
	default:
	}
	n.count(drop.BadType)
	return nil
}

// answerKEM encapsulates a secret to a child's key as soon as it is whole.
func (n *Node) answerKEM(now clock.Reading, l *link, k wire.KEMKey) {
	x := l.kem
	public := x.halves.add(k)
	if public == nil {
		return
	}
	answer, mixed, err := session.AnswerKEM(x.keys, public, n.rand)
	if err != nil {
		n.linkDown(now, l, err.Error())
		return
	}
	x.keys, x.mixed, x.halves = mixed, true, kemHalves{}
	l.keys.Expect(mixed.Recv)
	n.tellKEM(l, wire.ControlKEMAnswer, wire.KEMAnswer{Ciphertext: answer}.Append(nil))
}

// mixLink switches a child's link to the new keys. The parent follows when it sees the first frame
// under them, which is the acknowledgement of its answer.
func (n *Node) mixLink(now clock.Reading, l *link, a wire.KEMAnswer) {
	x := l.kem
	mixed, err := x.kem.Mix(x.keys, a.Ciphertext)
	if err != nil {
		n.linkDown(now, l, err.Error())
		return
	}
	x.keys, x.kem, x.mixed = session.Keys{}, nil, true
	l.keys.Switch(mixed.Send)
	l.keys.Expect(mixed.Recv)
	l.digest = mixed.Chain
	n.links.busy[l.id] = l
}

// linkTurned ends the exchange when a frame under the new keys has opened. It reports whether the
// link still stands: a child may have lost its right meanwhile.
func (n *Node) linkTurned(now clock.Reading, l *link) bool {
	x := l.kem
	if x == nil || !l.keys.Turned() {
		return true
	}
	l.keys.Settle()
	l.kem, l.tenure.hybrid = nil, true
	n.links.busy[l.id] = l
	if l.toward {
		return true
	}
	l.keys.Switch(x.keys.Send)
	l.digest = x.keys.Chain
	err := n.orTrusted(x.cert, n.proven(n.admitted, x.cert))
	if errors.Is(err, ErrExpired) && n.confined[l.id] != nil {
		err = nil
	}
	if err != nil {
		n.count(drop.NotAdmitted)
		n.event(Event{Kind: EventChildRefused, Addr: l.live.Addr(), Text: err.Error()})
		n.linkDown(now, l, err.Error())
		return false
	}
	n.arm(l, beatTimer, now.Up+l.patience())
	n.childUp(now, l, x.cert, "")
	return true
}
