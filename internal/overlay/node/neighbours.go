// SPDX-License-Identifier: Apache-2.0

package node

import (
	"time"

	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/flow"
	"staex/internal/overlay/plane"
	"staex/internal/overlay/pool"
	"staex/internal/overlay/state"
	"staex/internal/wire"
)

const (
	// askFirst is the first wait for an answer to Hello; it doubles. Who denies never answers, so
	// nobody is asked more than askTries times until the host sends the next packet.
	askFirst = 250 * time.Millisecond
	askTries = 5
	// maxHeld bounds the packets that wait for the answer, and heldBytes their size.
	maxHeld   = 16
	heldBytes = 32 << 10
)

// openNode is another node, as far as packets outside tunnels go (node-traffic = allow).
//
//	known --packet of the host: Hello, ask--> asked --Hello of a member--> open
//	known --Hello of a member, answered---------------------------------->  |
//	asked --askTries without an answer: packets dropped--> known          |
//	open --revoked, or forgotten with its conversation--> (gone) <----------+
type openNode struct {
	conv  *conversation
	peer  *plane.Peer
	lease pool.Lease
	open  bool // it has shown that it is a member and allows the same
	told  bool // it has said so in the session of the moment
	held  [][]byte
	size  int // of held, in bytes
	tries int
	again *timer
}

// openBook finds the nodes that packets outside tunnels are exchanged with. It is empty unless the
// configuration allows it.
type openBook struct {
	own    networks    // our network alone: to be trusted is not enough
	others *plane.Peer // stands for who is not known yet
	byNode map[ident.NodeID]*openNode
	byKey  map[uint64]*openNode // by the number the fast path knows it by
}

func (b *openBook) init(n *Node) {
	b.byNode, b.byKey = map[ident.NodeID]*openNode{}, map[uint64]*openNode{}
	b.own = networks{}
	b.own.add(n.who.Network.Key)
	if n.cfg.NodeTraffic {
		b.others = &plane.Peer{}
		n.tables.Open(b.others)
	}
}

// openOf is what there is of packets outside tunnels in a conversation, or nil.
func (n *Node) openOf(c *conversation) *openNode {
	if c.end != nil {
		return nil
	}
	return n.opens.byNode[c.key.remote]
}

// peerOf is the peer whose packets a conversation carries, or nil.
func (n *Node) peerOf(now clock.Reading, c *conversation) *plane.Peer {
	switch {
	case c.end != nil:
		return c.end.peer
	case n.cfg.NodeTraffic:
		if o := n.openWith(now, c); o != nil {
			return o.peer
		}
	}
	return nil
}

// openWith makes a conversation between nodes one that may carry packets; nil without an address.
func (n *Node) openWith(now clock.Reading, c *conversation) *openNode {
	o := n.opens.byNode[c.key.remote]
	if o != nil {
		return o
	}
	lease, ok := n.leases.Lease(now.Up, c.key.remote)
	if !ok {
		return nil
	}
	n.leases.Pin(c.key.remote)
	n.endKeys++
	o = &openNode{conv: c, lease: lease, peer: &plane.Peer{Key: n.endKeys}}
	o.again = newTimer(func(now clock.Reading, _ *Effects) { n.hello(now, o) })
	self := n.tables.Self()
	o.peer.SetPolicy(&plane.Policy{
		On: true, Side: plane.SideNode, Local4: self.V4, Local6: self.V6,
		Remote4: lease.V4, Remote6: lease.V6,
	})
	n.tables.SetPeer(lease.V4, o.peer)
	n.tables.SetPeer(lease.V6, o.peer)
	n.opens.byNode[c.key.remote], n.opens.byKey[o.peer.Key] = o, o
	return o
}

// closeWith undoes openWith.
func (n *Node) closeWith(c *conversation) {
	o := n.openOf(c)
	if o == nil {
		return
	}
	n.timers.stop(o.again)
	o.peer.SetPolicy(&plane.Policy{})
	o.peer.SetSession(nil)
	o.peer.SetOther(nil)
	n.tables.SetPeer(o.lease.V4, nil)
	n.tables.SetPeer(o.lease.V6, nil)
	n.leases.Unpin(c.key.remote)
	delete(n.opens.byNode, c.key.remote)
	delete(n.opens.byKey, o.peer.Key)
}

// meantBy finds the conversation for a packet that the fast path could not place, or why there is
// none.
func (n *Node) meantBy(now clock.Reading, peer *plane.Peer, pkt []byte) (
	*conversation, drop.Reason,
) {
	if end := n.endByKey(peer.Key); end != nil && end.conv != nil {
		return end.conv, drop.None
	}
	if o := n.opens.byKey[peer.Key]; o != nil {
		return o.conv, drop.None
	}
	if peer != n.opens.others || peer == nil {
		return nil, drop.NoSession
	}
	to, _ := flow.Destination(pkt[flow.OffloadSize:])
	id, ok := n.leases.ByAddr(to)
	if !ok || id == n.self {
		return nil, drop.NoLease
	}
	row, known := n.records.Find(id)
	if _, mine := n.tunnels.ByRemoteKey(id); mine || known && row.Kind != state.Node {
		return nil, drop.NoTunnel
	}
	c := n.conversationWith(now, n.who.Secret, id, nil)
	if n.openWith(now, c) == nil {
		return nil, drop.NoLease
	}
	return c, drop.None
}

// hold keeps a packet until the other node has shown that it may be sent.
func (n *Node) hold(o *openNode, pkt []byte) {
	if len(o.held) >= maxHeld || o.size+len(pkt) > heldBytes {
		n.count(drop.QueueFull)
		return
	}
	o.held, o.size = append(o.held, append([]byte(nil), pkt...)), o.size+len(pkt)
}

// met asks the other node in a session that has just come up or moved, if packets wait for that or
// passed before: the other end may have lost its memory.
func (n *Node) met(now clock.Reading, o *openNode) {
	if o.again.index < 0 && (len(o.held) > 0 || o.open && !o.told) {
		o.tries = 0
		n.hello(now, o)
	}
}

// hello asks whether packets outside tunnels are allowed there, too, and shows who asks.
func (n *Node) hello(now clock.Reading, o *openNode) {
	switch {
	case !o.conv.reachable():
		return // met asks again
	case o.tries >= askTries:
		for range o.held {
			n.count(drop.NoTunnel)
		}
		o.held, o.size = nil, 0
		return
	}
	n.sayHello(now, o.conv, true)
	n.timers.arm(o.again, now.Up+askFirst<<o.tries)
	o.tries++
}

func (n *Node) sayHello(now clock.Reading, c *conversation, ask bool) {
	m := wire.Hello{Ask: ask, Node: n.who.Cert.Append(nil)}
	n.sendMessage(now, c, wire.SessionHello, m.Append(nil))
}

// fromHello takes another node's word that packets outside tunnels may pass, if it is a member of
// our network and we say the same.
func (n *Node) fromHello(now clock.Reading, c *conversation, b []byte) error {
	m, err := wire.ParseHello(b)
	if err != nil {
		return err
	}
	if !n.cfg.NodeTraffic {
		n.count(drop.NoTunnel)
		return nil
	}
	if !n.isMember(c.key.remote, m.Node) {
		n.count(drop.NotAdmitted)
		return nil
	}
	c.network = n.who.Cert.Network
	o := n.openWith(now, c)
	if o == nil {
		n.count(drop.NoLease)
		return nil
	}
	n.timers.stop(o.again)
	o.open, o.told = true, true
	n.publish(c)
	if m.Ask {
		n.sayHello(now, c, false)
	}
	for _, p := range o.held {
		n.fast.Outbound(now.Up, p)
	}
	o.held, o.size = nil, 0
	return nil
}

// isMember reports whether a certificate says of a key that it belongs to our own network.
func (n *Node) isMember(key ident.NodeID, encoded []byte) bool {
	cert, err := ident.DecodeNodeCert(encoded)
	return err == nil && cert.Key == key && n.proven(n.opens.own, cert) == nil
}
