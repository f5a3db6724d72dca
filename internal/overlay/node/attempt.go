// SPDX-License-Identifier: Apache-2.0

package node

import (
	"net/netip"

	"staex/internal/clock"
	"staex/internal/overlay/session"
	"staex/internal/wire"
)

// attempt is one handshake under way as the initiator.
type attempt struct {
	entry   int
	to      netip.AddrPort
	mine    wire.Label
	hs      *session.Handshake // nil until the handshake begins
	frame   []byte
	mac1Key [32]byte
	cookie  *session.Cookie
	kept    *keptTicket // with which we tried to do without a handshake
	nonce   [wire.NonceSize]byte
}

func (n *Node) newAttempt(now clock.Reading, to netip.AddrPort) {
	p := &n.parents
	n.endAttempt(now)
	if mine, ok := n.labels.New(now.Up); ok {
		p.attempt = &attempt{entry: p.entry, to: to, mine: mine}
		n.address(p.attempt, 0)
	}
}

// firstMessage makes the first message of an attempt; a ticket that is taken needs none.
func (n *Node) firstMessage(a *attempt) bool {
	hs, err := session.NewXX(true, n.who.Secret, n.rand)
	if err != nil {
		return false
	}
	msg, err := hs.Write(nil, nil)
	if err != nil {
		return false
	}
	a.hs, a.frame = hs, msg
	return true
}

// mac1Keys are the keys a first message to a parents entry may be addressed with: that of a pinned
// parent, else of the authority of our network, which a relay of another network knows, and of the
// network itself.
func (n *Node) mac1Keys(entry int) [][32]byte {
	if pin := n.parents.list[entry].Pin; !pin.IsZero() {
		return [][32]byte{pin}
	}
	if own := n.who.Network; !own.SelfSigned() {
		return [][32]byte{own.Authority, own.Key}
	}
	return [][32]byte{n.who.Network.Key}
}

// address chooses the key of the next try: after silence it is the turn of the next one, and each
// round begins with another, so that every key is tried with every size. A cookie belongs to the
// key that it was asked with.
func (n *Node) address(a *attempt, try int) {
	if a != nil && a.cookie == nil {
		keys := n.mac1Keys(a.entry)
		a.mac1Key = keys[(n.parents.round+try)%len(keys)]
	}
}

func (n *Node) endAttempt(now clock.Reading) {
	if a := n.parents.attempt; a != nil {
		n.labels.Free(now.Up, a.mine)
		n.parents.attempt = nil
	}
}

func (n *Node) hello1(_ clock.Reading, a *attempt, size int, out *Effects) {
	if a == nil || a.hs == nil && !n.firstMessage(a) {
		return
	}
	h := wire.Hello1{Version: wire.Version, Label: a.mine, Noise: a.frame, Size: size}
	b := h.Append(nil)
	wire.PutMAC1(b, session.Mac1(a.mac1Key, wire.MACInput(b)))
	if a.cookie != nil {
		wire.PutMAC2(b, a.cookie.Mac2(wire.MAC2Input(b)))
	}
	out.Send = append(out.Send, Datagram{To: a.to, B: b})
}
