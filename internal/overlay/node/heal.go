// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"time"

	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/revoke"
	"staex/internal/wire"
)

const (
	// healAgain is how long a part of a list is waited for, and healTries how often one is asked
	// for.
	healAgain = 20 * time.Second
	healTries = 10
	// partsPerSecond bounds the parts of lists that this node hands to others in their sessions: to
	// make one up costs a look at every revoked key.
	partsPerSecond = 64
)

// healing is a list that a parent withholds and that is fetched from the node which has it.
//
//	reported --WantList--> asked --ListPart, more lacking--> asked again
//	                             --the last one------------> taken, and told to all links
//	                             --silence, healTries------> given up
type healing struct {
	from   ident.NodeID
	since  uint32
	head   *revoke.Head
	prints []revoke.Fingerprint
	tries  int
	again  *timer
}

// partBudget counts the parts that were handed out in a second.
type partBudget struct {
	second time.Duration
	spent  int
}

func (b *partBudget) take(now time.Duration) bool {
	if now-b.second >= time.Second {
		b.second, b.spent = now, 0
	}
	b.spent++
	return b.spent <= partsPerSecond
}

// heal begins to fetch a list from whoever revealed it. A neighbour tells its lists by itself.
func (n *Node) heal(now clock.Reading, hash ident.NetworkHash, c *claim) {
	from := c.by
	if t, ok := n.tunnels.ByRemoteKey(from); ok {
		from = t.RemoteNode
	}
	for _, toward := range []bool{false, true} {
		if n.links.byPeer[peerKey{from, toward}] != nil {
			return
		}
	}
	if !n.who.HasNames || n.revs.gone {
		return
	}
	h := &healing{from: from, since: n.revs.sets[hash].Number()}
	h.again = newTimer(func(now clock.Reading, _ *Effects) { n.wantList(now, hash, h) })
	c.heal = h
	n.wantList(now, hash, h)
}

// wantList asks for the next part.
func (n *Node) wantList(now clock.Reading, hash ident.NetworkHash, h *healing) {
	if c := n.revs.claims[hash]; c == nil || c.heal != h || h.tries >= healTries {
		return
	}
	h.tries++
	n.timers.arm(h.again, now.Up+healAgain+n.jitter(healAgain/8))
	c := n.conversationWith(now, n.who.Secret, h.from, nil)
	if c == nil || !c.reachable() && len(c.waiting().messages) > 0 {
		return // the last one still waits for a session
	}
	m := wire.WantList{Network: hash, Since: h.since, Offset: uint32(len(h.prints))}
	n.sendMessage(now, c, wire.SessionWantList, m.Append(nil))
}

// fromWantList hands out a part of our newest list. Lists are signed and no secret.
func (n *Node) fromWantList(now clock.Reading, c *conversation, b []byte) error {
	m, err := wire.ParseWantList(b)
	if err != nil {
		return err
	}
	s := n.revs.sets[m.Network]
	if s == nil || s.Number() == 0 {
		n.count(drop.NotAdmitted)
		return nil
	}
	if !n.parts.take(now.Up) {
		n.count(drop.Quota)
		return nil
	}
	h := s.Heads()[0]
	prints := s.Since(h, m.Since)
	if int64(m.Offset) > int64(len(prints)) {
		return nil
	}
	rest := prints[m.Offset:]
	part := wire.ListPart{Offset: m.Offset, Head: wire.Head{
		Since: m.Since, Lacking: uint32(len(prints)), Head: h.Append(nil),
		Prints: revoke.AppendPrints(nil, rest[:min(len(rest), wire.MaxHeadPrints)]),
	}}
	n.sendMessage(now, c, wire.SessionListPart, part.Append(nil))
	return nil
}

// fromListPart takes a part that was asked for.
func (n *Node) fromListPart(now clock.Reading, c *conversation, b []byte) error {
	m, err := wire.ParseListPart(b)
	if err != nil {
		return err
	}
	head, err := revoke.DecodeHead(m.Head.Head)
	if err != nil {
		return err
	}
	prints, err := revoke.ParsePrints(m.Head.Prints)
	if err != nil || m.Head.Lacking > head.Count {
		return revoke.ErrEncoding
	}
	hash := head.Network.Hash()
	s, claimed := n.revs.sets[hash], n.revs.claims[hash]
	if s == nil || claimed == nil || claimed.heal == nil || claimed.heal.from != c.key.remote ||
		head.Network != s.Network() || m.Head.Since != claimed.heal.since {
		n.count(drop.Stranger)
		return nil
	}
	h := claimed.heal
	if h.head == nil || h.head.Sig != head.Sig {
		if reason := n.refusedHead(head); reason != drop.None {
			n.count(reason)
			claimed.heal = nil
			return nil
		}
		h.head, h.prints = head, nil
	}
	if int(m.Offset) == len(h.prints) && len(h.prints)+len(prints) <= int(m.Head.Lacking) {
		h.prints, h.tries = append(h.prints, prints...), 0
		n.healed(now, s, h, int(m.Head.Lacking))
	}
	return nil
}

// healed acts on a part that fitted: it asks for the next one, or takes the list.
func (n *Node) healed(now clock.Reading, s *revoke.Set, h *healing, lacking int) {
	hash := s.Network().Hash()
	if len(h.prints) < lacking {
		n.wantList(now, hash, h)
		return
	}
	n.timers.stop(h.again)
	changed, err := s.Put(h.head, h.since, h.prints)
	switch {
	case errors.Is(err, revoke.ErrBase) && h.since != 0:
		h.since, h.head, h.prints = 0, nil, nil
		n.wantList(now, hash, h)
	case errors.Is(err, revoke.ErrFull):
		n.count(drop.Quota)
	case err != nil:
		n.count(drop.BadFrame)
	case changed:
		n.listed(now, s, h.head, nil)
	}
}
