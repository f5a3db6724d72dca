// SPDX-License-Identifier: Apache-2.0

package node

import (
	"crypto/subtle"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"staex/internal/clock"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/plane"
	"staex/internal/wire"
)

const (
	// resetWindow is how long after a restart every link frame without a row is answered. Later,
	// and at a node that was not restarted, only labels are answered that children are known to
	// have held: a stranger who tries labels hears nothing.
	resetWindow = 2 * time.Minute
	// maxLost bounds the labels of lost children that are remembered for that.
	maxLost = 4096

	// resetRate is how many strangers' frames a second are answered with a Reset; as many may
	// come at once.
	resetRate = 256
	// resetEvery is how often one link heeds a Reset: whoever knows a token can make a child ask,
	// but not often.
	resetEvery = 10 * time.Second
	// resetJitter spreads the children of a restarted parent.
	resetJitter = time.Second

	// maxSnapshot bounds the children whose addresses are kept for a restart.
	maxSnapshot = 4096
	// snapshotSoon is how long changes among the children are collected before they are written,
	// and snapshotEvery how often that happens at most: flash memory wears.
	// The first one is written sooner: whoever restarts may do so again.
	snapshotFirst = 2 * time.Second
	snapshotSoon  = 10 * time.Second
	snapshotEvery = 10 * time.Minute
	// wakeEvery and wakeChildren are the rate at which a restarted parent calls its children.
	wakeEvery    = 100 * time.Millisecond
	wakeChildren = 20

	snapshotName = "children"
	childSize    = 21 // address 16, port 2, label 3
)

// resetBook is what a parent needs to tell its children that it forgot them.
type resetBook struct {
	until   time.Duration // everybody is answered until then
	lost    map[wire.Label]bool
	losses  []wire.Label  // the same labels, oldest first
	tokens  int           // Resets that may be sent now
	filled  time.Duration // when tokens were added last
	write   *timer        // the snapshot is written
	written time.Duration // when it was, on the Up clock
	writes  uint8         // how often it was since the start, at most 2
	wake    *timer        // the next children of the snapshot are called
	asleep  []byte        // children of the snapshot that were not called yet
}

func (b *resetBook) init(n *Node) {
	b.tokens = resetRate
	b.write = newTimer(func(now clock.Reading, _ *Effects) { n.writeChildren(now) })
	b.wake = newTimer(func(now clock.Reading, out *Effects) { n.wakeNext(now, out) })
	b.lost = map[wire.Label]bool{}
	if n.cfg.Stored[ticketKeysName] == nil {
		return
	}
	if s := n.cfg.Stored[snapshotName]; len(s)%childSize == 0 {
		b.asleep = s[:min(len(s), maxSnapshot*childSize)]
	}
	for s := b.asleep; len(s) > 0; s = s[childSize:] {
		b.lose(childLabel(s))
	}
	n.timers.arm(b.wake, 0)
}

// lose remembers the label of a child that is gone, until maxLost others are gone as well.
func (b *resetBook) lose(l wire.Label) {
	if b.lost[l] {
		return
	}
	if len(b.losses) >= maxLost {
		delete(b.lost, b.losses[0])
		b.losses = append(b.losses[:0], b.losses[1:]...)
	}
	b.lost[l] = true
	b.losses = append(b.losses, l)
}

// childLabel is the label in one child of a snapshot.
func childLabel(c []byte) wire.Label {
	return wire.Label(c[18])<<16 | wire.Label(c[19])<<8 | wire.Label(c[20])
}

// unknownLink answers a link frame of which nothing is known here any more: a child that comes from
// before our restart, or that we took for dead, recognises the token of its label.
func (n *Node) unknownLink(now clock.Reading, x plane.Notice, out *Effects) {
	b := &n.resets
	if now.Up >= b.until && !b.lost[x.Label] {
		return
	}
	elapsed := min(now.Up-b.filled, time.Second)
	if room := int(elapsed * resetRate / time.Second); room > 0 {
		b.tokens, b.filled = min(b.tokens+room, resetRate), now.Up
	}
	jar := n.knownJar(now)
	if jar == nil || b.tokens <= 0 {
		return
	}
	b.tokens--
	r := wire.Reset{Label: x.Label, Token: jar.Token(uint32(x.Label))}
	out.send(x.From, r.Append(nil))
}

// fromReset takes a parent's word that it forgot us. It drops nothing: it makes us come back, at a
// random moment, because all other children were told as well.
func (n *Node) fromReset(now clock.Reading, from netip.AddrPort, b []byte) {
	r, err := wire.ParseReset(b)
	if err != nil {
		n.count(drop.BadFrame)
		return
	}
	l := n.links.byAddr[from]
	if l == nil || !l.toward || !l.up.granted || l.theirs != r.Label {
		n.count(drop.Stranger)
		return
	}
	if subtle.ConstantTimeCompare(l.up.token[:], r.Token[:]) != 1 {
		n.count(drop.BadMac)
		return
	}
	if now.Up < l.up.resetEnd {
		return
	}
	l.up.resetEnd = now.Up + resetEvery
	n.timers.sooner(l.up.renew, now.Up+n.jitter(resetJitter))
}

// childrenChanged makes sure that the addresses of the children are written some time.
func (n *Node) childrenChanged(now clock.Reading) {
	b := &n.resets
	at := now.Up + snapshotSoon
	switch b.writes {
	case 0:
		at = now.Up + snapshotFirst
	case 1:
	default:
		at = max(at, b.written+snapshotEvery)
	}
	n.timers.sooner(b.write, at)
}

// writeChildren keeps where the children live:
//
//	address (16, IPv4 mapped) | port (2) | our label (3), for each child
func (n *Node) writeChildren(now clock.Reading) {
	n.resets.written, n.resets.writes = now.Up, min(n.resets.writes+1, 2)
	var s []byte
	for _, l := range n.links.all() {
		if l.toward || len(s) >= maxSnapshot*childSize {
			continue
		}
		a := l.live.Addr()
		ip := a.Addr().As16()
		s = append(s, ip[:]...)
		s = binary.BigEndian.AppendUint16(s, a.Port())
		s = append(s, byte(l.mine>>16), byte(l.mine>>8), byte(l.mine))
	}
	asleep := n.resets.asleep // may not come back before we restart again
	s = append(s, asleep[:min(len(asleep), max(maxSnapshot*childSize-len(s), 0))]...)
	n.keep(snapshotName, slices.Clip(s))
}

// wakeNext tells the next children of the snapshot that we restarted.
func (n *Node) wakeNext(now clock.Reading, out *Effects) {
	b := &n.resets
	jar := n.knownJar(now)
	if jar == nil {
		return
	}
	if b.until == 0 {
		b.until = now.Up + resetWindow
	}
	for range wakeChildren {
		if len(b.asleep) == 0 {
			return
		}
		c := b.asleep[:childSize]
		b.asleep = b.asleep[childSize:]
		addr := netip.AddrPortFrom(netip.AddrFrom16([16]byte(c)).Unmap(),
			binary.BigEndian.Uint16(c[16:]))
		label := childLabel(c)
		if n.links.byAddr[addr] != nil || addr.Port() == 0 {
			continue // it is back already
		}
		r := wire.Reset{Label: label, Token: jar.Token(uint32(label))}
		out.send(addr, r.Append(nil))
	}
	if len(b.asleep) > 0 {
		n.timers.arm(b.wake, now.Up+wakeEvery)
	}
}
