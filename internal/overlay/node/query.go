// SPDX-License-Identifier: Apache-2.0

package node

import (
	"net/netip"
	"slices"
	"sort"
	"time"

	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/plane"
	"staex/internal/overlay/pool"
	"staex/internal/overlay/route"
	"staex/internal/overlay/state"
	"staex/internal/overlay/tunnel"
	"staex/internal/wire"
)

// Info is what this node knows about one key, as `mcc nodes` shows it.
type Info struct {
	ID       ident.NodeID
	Kind     state.Kind
	Parent   ident.NodeID // zero: none, or not known
	Network  ident.NetworkHash
	Self     bool
	Above    int            // 1 for our parent, 2 for its parent and so on; 0 for all others
	Addr     netip.AddrPort // direct neighbours only
	External netip.Addr     // of an endpoint of ours
	Seen     time.Duration  // last sign of life on the Up clock; neighbours and self only
	Tunnel   string         // name of the tunnel, for endpoints of ours
}

// Nodes lists what is known: endpoints first, then self, the chain of parents, and the rest by id.
func (n *Node) Nodes(now clock.Reading) []Info {
	var ends, rest []Info
	self := Info{ID: n.self, Kind: state.Node, Self: true, Seen: now.Up}
	self.Network = n.who.Cert.Network
	n.records.EachEntry(func(r state.Entry) bool {
		x := Info{ID: r.Key, Kind: r.Kind, Parent: r.Parent, Network: r.Network}
		switch {
		case r.Key == n.self:
			self.Parent = r.Parent
			return true
		case r.Kind != state.Node:
			n.endpointInfo(&x)
			ends = append(ends, x)
			return true
		}
		n.neighbourInfo(&x, false)
		rest = append(rest, x)
		return true
	})
	ends = append(ends, n.farEnds(ends)...)
	// A sort of package slices is 30 kB of program for a struct of this size.
	sort.Slice(ends, func(i, j int) bool { return ends[i].ID.Compare(ends[j].ID) < 0 })
	return append(append(append(ends, self), n.chain()...), rest...)
}

func (n *Node) endpointInfo(x *Info) {
	if t, ok := n.tunnels.ByLocalKey(x.ID); ok {
		x.External, x.Tunnel = t.External, t.Name
	}
}

// farEnds are the other ends of our tunnels, which hang below nodes that we may not see.
func (n *Node) farEnds(known []Info) []Info {
	var list []Info
	for _, t := range n.Tunnels() {
		have := func(x Info) bool { return x.ID == t.RemoteKey }
		if t.RemoteKey.IsZero() || slices.ContainsFunc(known, have) {
			continue
		}
		kind := state.ServerEndpoint
		if t.Side == tunnel.Server {
			kind = state.ClientEndpoint
		}
		list = append(list, Info{
			ID: t.RemoteKey, Kind: kind, Parent: t.RemoteNode, Network: t.Network, Tunnel: t.Name,
		})
	}
	return list
}

func (n *Node) neighbourInfo(x *Info, toward bool) {
	if l := n.links.byPeer[peerKey{x.ID, toward}]; l != nil {
		x.Addr, x.Seen = l.live.Addr(), l.live.Heard()
	}
}

// chain is our parent, its parent and so on, as far as members of our network told us.
func (n *Node) chain() []Info {
	p := n.parents.active
	if p == nil {
		return nil
	}
	first := Info{ID: p.peer, Kind: state.Node, Above: 1, Network: p.network}
	n.neighbourInfo(&first, true)
	list := []Info{first}
	for i, k := range p.up.above {
		list[len(list)-1].Parent = k
		list = append(list, Info{ID: k, Kind: state.Node, Above: i + 2, Network: p.network})
	}
	return list
}

// Lease returns the node-local addresses of a key. An endpoint has some only on the node at the
// other end of its tunnel (and on its own); a node has them everywhere.
func (n *Node) Lease(now clock.Reading, id ident.NodeID) (pool.Lease, bool) {
	if row, ok := n.records.Find(id); ok && row.Kind != state.Node && row.Via != state.Self {
		if _, mine := n.tunnels.ByRemoteKey(id); !mine {
			return pool.Lease{}, false
		}
	}
	l, ok := n.leases.Lease(now.Up, id)
	n.leases.Touch(now.Up, id)
	if t, mine := n.tunnels.ByRemoteKey(id); mine {
		if end := n.ends[t.ID]; end != nil && end.leases[0] == t.Static && t.Static.IsValid() {
			l.V4 = t.Static
		}
		if t.No4 {
			l.V4 = netip.Addr{}
		}
		if t.No6 {
			l.V6 = netip.Addr{}
		}
	}
	return l, ok
}

// Named returns the key behind the name of a tunnel of ours; that of one of another network ends
// with a dot and the network's.
func (n *Node) Named(name string) (ident.NodeID, bool) {
	t, ok := n.tunnels.ByName(name)
	if !ok || t.Pending {
		return ident.NodeID{}, false
	}
	if t.Side == tunnel.Server {
		return t.ID, true
	}
	return t.RemoteKey, true
}

// NameOf returns the name of a key, or "".
func (n *Node) NameOf(id ident.NodeID) string {
	if t, ok := n.tunnels.ByRemoteKey(id); ok && len(t.Names) > 0 {
		return t.Names[0]
	}
	if t, ok := n.tunnels.ByLocalKey(id); ok && t.Side == tunnel.Server && len(t.Names) > 0 {
		return t.Names[0]
	}
	return ""
}

// ByAddr returns the key behind a node-local address.
func (n *Node) ByAddr(a netip.Addr) (ident.NodeID, bool) {
	for _, t := range n.tunnels.List() {
		if end := n.ends[t.ID]; end != nil && a.IsValid() && end.leases[0] == a {
			return t.RemoteKey, true
		}
	}
	return n.leases.ByAddr(a)
}

// ByMAC returns the key behind a node-local MAC address.
func (n *Node) ByMAC(mac [6]byte) (ident.NodeID, bool) { return n.leases.ByMAC(mac) }

// Route returns the keys on the way between two keys, as far as this node's own records tell.
func (n *Node) Route(from, to ident.NodeID) ([]ident.NodeID, bool) {
	return route.Path(n.records, from, to)
}

// Problems lists what keeps the node from working, in sentences; empty means healthy.
func (n *Node) Problems() []string {
	list := n.revocationProblems()
	if why := n.cloneProblem(); why != "" {
		list = append(list, why)
	}
	if p := n.parents.active; p != nil && p.held() {
		list = append(list, "parent "+n.parents.list[p.entry].Entry+": "+quarantined(p.up.issuer))
	}
	if n.IsRoot() || n.parents.active != nil || n.revs.gone {
		return list
	}
	for _, p := range n.parents.list {
		if len(p.Addrs) == 0 {
			list = append(list, "parent "+p.Entry+": its name does not resolve")
			continue
		}
		if why := n.parents.refused[p.Entry]; why != "" {
			list = append(list, refusedParent(p.Entry, why))
			continue
		}
		list = append(list, "parent "+p.Entry+" does not answer: is it running, is UDP open on "+
			"the way, and does it admit our network (relay-networks, trusted-authorities)?")
	}
	return list
}

func refusedParent(entry, why string) string { return "parent " + entry + " was refused: " + why }

// Drops adds up the slow path's drops by reason.
func (n *Node) Drops() (counts [drop.Count]uint64) {
	for i := range counts {
		counts[i] = n.fast.C.Drops[i].Load()
	}
	return counts
}

// Uplink is how this node hangs on its active parent.
type Uplink struct {
	Parent    ident.NodeID
	Addr      netip.AddrPort
	Hops      int           // to the root, as far as members of our network told us
	RoundTrip time.Duration // to the parent, by the last question; 0: not known yet
	KeepAlive time.Duration // how often the parent hears of us at least
}

// Uplink tells about the active parent; false without one.
func (n *Node) Uplink() (Uplink, bool) {
	l := n.parents.active
	if l == nil {
		return Uplink{}, false
	}
	return Uplink{l.peer, l.live.Addr(), 1 + len(l.up.above), l.up.trip, l.period}, true
}

// Known is how many nodes and endpoints have a record here, this node included.
func (n *Node) Known() int { return n.records.Len() }

// Links is how many neighbours there are.
func (n *Node) Links() int { return len(n.links.byID) }

// Resumptions is how many tickets were answered whose links have not come to life yet.
func (n *Node) Resumptions() int { return len(n.tickets.ring) }

// Sessions is how many sessions have a path.
func (n *Node) Sessions() int { return len(n.sessions.byKey) - len(n.sessions.resting) }

// PathsAsked is how many paths of a kind this node began to lay since its start: wire.PathHello
// for handshakes, wire.PathResume for sessions that go on, wire.PathProbe for pings.
func (n *Node) PathsAsked(kind uint8) uint64 {
	return n.paths.asked[min(int(kind), wire.PathResumeInside)]
}

// SessionPath tells the size that a tunnel's session may send, 0 without a session.
func (n *Node) SessionPath(id ident.NodeID) *plane.Path {
	if end := n.ends[id]; end != nil && end.peer.Session() != nil {
		return end.peer.Session().Path()
	}
	return nil
}

// Gauge is something in a node that grows with what others do, and the most it may grow to.
type Gauge struct {
	Name        string
	Value, Most int
}

// Gauges lists what grows in a node, the fullest queue of each kind.
func (n *Node) Gauges() []Gauge {
	var queue, unacked, held, dirty, waiting, bytes, messages, lists int
	for _, l := range n.links.byID {
		if b := l.ctl.backlog; b != nil {
			queue, unacked = max(queue, len(b.queue)), max(unacked, len(b.out))
			held, dirty = max(held, len(b.held)), max(dirty, b.records())
			lists = max(lists, len(b.lists))
		}
	}
	for _, c := range n.sessions.byPair {
		x := c.waiting()
		waiting, bytes = max(waiting, len(x.packets)), max(bytes, x.size)
		messages = max(messages, len(x.messages))
	}
	links, rows, talks := len(n.links.byID), n.labels.Len(), len(n.sessions.byPair)
	return []Gauge{
		{"links", links, maxLinks},
		{"half-open handshakes", len(n.halves.ring), maxHalves},
		{"labels", rows, n.labels.Cap()},
		{"labels reported unknown", len(n.rows.unknown), maxUnknown},
		{"keys that changed lately", len(n.churn.counts), maxChurn},
		{"records to ask for again", n.churn.late.len(), maxLate},
		{"labels with junk", len(n.junk.counts), maxJunk},
		{"labels with hop MACs", n.junk.hops, maxHopRows},
		{"labels reported too big", len(n.sizes.told), maxUnknown},
		{"sessions on narrow paths", len(n.sizes.narrow), len(n.sessions.byKey)},
		{"path set-ups", len(n.paths.byID), maxSetups},
		{"conversations", talks, maxConversations + tunnel.MaxTunnels},
		{"half-open sessions", len(n.sessions.halves), maxHalfSessions},
		{"sessions", len(n.sessions.byKey), 3 * talks},
		{"sessions without a path", len(n.sessions.resting), maxResting},
		{"tags of sessions", len(n.sessions.byTag), 2 * len(n.sessions.byKey)},
		{"records", n.records.Len(), state.DefaultRows},
		{"records fetched", len(n.fetching), maxFetching},
		{"records passed on", len(n.passing), maxPassing + maxFetching},
		{"networks of authorities", len(n.chains.certs), maxChains},
		{"keys that moved lately", len(n.clones.of), maxSuspects},
		{"links in quarantine", len(n.confined), maxConfined},
		{"probes", n.probes.count, maxProbes},
		{"lists to tell a neighbour", lists, maxLists},
		{"lists of which a part has come", n.incoming(), maxIncoming},
		{"messages for a neighbour", queue, controlQueue},
		{"packets not acknowledged", unacked, controlWindow},
		{"packets that came early", held, controlWindow},
		{"records to tell a neighbour", dirty, state.DefaultRows},
		{"packets waiting for a session", waiting, maxWaiting},
		{"bytes waiting for a session", bytes, waitingBytes},
		{"messages waiting for a session", messages, maxMessages},
		{"timers", len(n.timers.heap), n.timersMost()},
	}
}

// timersMost is more timers than what is there can need.
func (n *Node) timersMost() int {
	const each, few = 8, 64
	owners := len(n.links.byID) + len(n.sessions.byPair) + len(n.offers)
	return each*owners + n.labels.Len() + 2*n.junk.hops + len(n.paths.byID) + few
}
