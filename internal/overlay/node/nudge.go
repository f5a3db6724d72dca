// SPDX-License-Identifier: Apache-2.0

package node

import (
	"encoding/binary"
	"net/netip"
	"time"

	"staex/internal/clock"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/plane"
	"staex/internal/overlay/session"
	"staex/internal/wire"
)

// nudgeAgain is how soon a neighbour that moved is asked again for its address, when a frame from
// there came and the answer did not.
const nudgeAgain = 200 * time.Millisecond

// nudges is what one link remembers of the questions where a neighbour lives.
//
//	proven --newest frame from elsewhere--> unproven --echo of our nudge--> proven
//	proven --data from elsewhere, nudged, its echo from there-------------> proven
type nudges struct {
	sent uint64         // number of our last nudge
	to   netip.AddrPort // where it went
	at   time.Duration  // when
	got  uint64         // highest number of theirs
}

// nudged is what l remembers of nudges; most links never need any.
func (l *link) nudged() *nudges {
	if l.nudges == nil {
		l.nudges = &nudges{}
	}
	return l.nudges
}

// wrongSource nudges a child whose data came from another address than the one we know. A parent
// is not nudged: it shows a new address by itself, with its next frame.
func (n *Node) wrongSource(now clock.Reading, x plane.Notice, out *Effects) {
	if l := n.links.byLive(x.Link); l != nil && !l.toward {
		n.nudge(now, l, x.From, out)
	}
}

// nudge asks a neighbour to show that it lives at an address.
func (n *Node) nudge(now clock.Reading, l *link, to netip.AddrPort, out *Effects) {
	x := l.nudged()
	x.sent = n.nudgeAfter(x.sent)
	x.to, x.at = to, now.Up
	u := wire.Nudge{To: l.theirs, Number: x.sent}
	u.MAC = session.NudgeMAC(l.digest, u.MACInput())
	b := u.Append(nil)
	if to != l.live.Addr() || n.mayGo(l, b) {
		out.send(to, b)
	}
}

// nudgeAfter is a higher number than the last one, and one that cannot be guessed: a neighbour has
// the link's keys, so the number alone shows that a nudge arrived where it was sent.
func (n *Node) nudgeAfter(last uint64) uint64 {
	const guessBits = 24 // half of the number; the other half counts 16 million nudges on one link
	var b [4]byte
	n.random(b[:])
	return (last>>guessBits+1)<<guessBits | uint64(binary.BigEndian.Uint32(b[:]))>>(32-guessBits)
}

// fromNudge answers a neighbour that does not know where we live now.
func (n *Node) fromNudge(now clock.Reading, l *link, b []byte, out *Effects) {
	u, err := wire.ParseNudge(b)
	switch {
	case err != nil || u.To != l.mine:
		n.count(drop.BadFrame)
		return
	case !session.CheckNudgeMAC(l.digest, u.MACInput(), u.MAC):
		n.count(drop.BadMac)
		return
	case u.Number <= l.nudged().got:
		n.count(drop.Replay)
		return
	}
	l.nudges.got = u.Number
	echo := wire.KeepAlive{HasEcho: true, Echo: u.Number}
	n.frameTo(now, l, true, echo.Append(nil), out)
	if l.toward {
		n.settle(now, l)
		n.sooner(l, askTimer, now.Up+askDelays[0])
	}
}

// echoes reports whether the plaintext of a link frame proves the address it came from: it has
// the number of the nudge that went there.
func (l *link) echoes(from netip.AddrPort, plain []byte) bool {
	k, err := wire.ParseKeepAlive(plain)
	x := l.nudges
	return err == nil && k.HasEcho && x != nil && k.Echo == x.sent && from == x.to
}

// livesAt notes from where the newest frame of a neighbour came. A new address has to be proven,
// because whoever copies a frame can send the copy from any address.
func (n *Node) livesAt(now clock.Reading, l *link, from netip.AddrPort, size int, proven bool,
	out *Effects,
) {
	moved, waited := l.live.Addr() != from, !l.live.Proven()
	n.links.move(l, from) // another neighbour may have claimed to live there
	switch {
	case proven:
		l.live.Prove(from)
	case moved:
		l.live.Move(from, size)
		n.nudge(now, l, from, out)
	case waited:
		l.live.Came(size)
		if now.Up-l.nudged().at >= nudgeAgain {
			n.nudge(now, l, from, out)
		}
	}
	if moved && !l.toward {
		n.childrenChanged(now)
		if l.moves {
			n.tell(l, wire.ControlMoved, nil)
		}
	}
	if waited && proven || moved && now.Up >= l.movable {
		l.movable = now.Up + movedEvery
		n.controlMoved(now, l)
	}
}

// mayGo reports whether bytes may be sent to a neighbour's address, and counts them.
func (n *Node) mayGo(l *link, b []byte) bool {
	if l.live.Allow(len(b)) {
		return true
	}
	n.count(drop.Unproven)
	return false
}
