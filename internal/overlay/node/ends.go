// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/plane"
	"staex/internal/overlay/session"
	"staex/internal/overlay/state"
	"staex/internal/overlay/tunnel"
	"staex/internal/wire"
)

// tunnelPrefix begins the name under which a tunnel's state is kept on disk.
const tunnelPrefix = "tunnel-"

// tunnelEnd is this node's end of a tunnel at work: what the fast path needs for it.
type tunnelEnd struct {
	t      *tunnel.Tunnel
	peer   *plane.Peer
	conv   *conversation
	secret [32]byte // of the two endpoint keys; authenticates hellos
	key    uint64
	leases [2]netip.Addr // inner addresses that lead to the other end
	expiry *timer        // when the tunnel's time is over, as far as the clock is believed
	told   uint8         // how often the offer was answered again; see acceptAgain
}

// ServerTunnel is one tunnel file of this machine: the server end of a tunnel.
type ServerTunnel struct {
	Name     string
	Cert     *ident.EndpointCert
	Secret   *ident.Secret
	External netip.Addr
	Names    []string
	Static   netip.Addr
}

// loadTunnels takes the tunnels from before the restart.
func (n *Node) loadTunnels() error {
	var names []string
	for name := range n.cfg.Stored {
		if len(name) > len(tunnelPrefix) && name[:len(tunnelPrefix)] == tunnelPrefix {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		t, err := tunnel.Decode(n.cfg.Stored[name])
		if err != nil {
			return fmt.Errorf("load %s: %w", name, err)
		}
		if err := n.tunnels.Add(t); err != nil {
			return fmt.Errorf("load %s: %w", name, err)
		}
	}
	for _, t := range n.tunnels.List() {
		n.refresh(clock.Reading{}, t)
	}
	return nil
}

// saveTunnel keeps a tunnel on disk; it is stored before anything that depends on it is sent.
func (n *Node) saveTunnel(t *tunnel.Tunnel) {
	n.keep(tunnelPrefix+t.ID.String(), t.Append(nil))
}

// setTunnels takes the tunnel files of this machine as they are now.
func (n *Node) setTunnels(now clock.Reading, list []ServerTunnel) error {
	wanted := map[ident.NodeID]bool{}
	var first error
	for _, s := range list {
		if err := n.setServer(now, s); err != nil && first == nil {
			first = fmt.Errorf("tunnel %s: %w", s.Name, err)
		}
		wanted[s.Cert.Key] = true
	}
	for _, t := range n.tunnels.List() {
		if t.Side == tunnel.Server && !wanted[t.ID] && !t.Deleted {
			n.deleteTunnel(now, t)
		}
	}
	return first
}

// setServer adds or updates one server end.
func (n *Node) setServer(now clock.Reading, s ServerTunnel) error {
	key, ok := n.trusted[s.Cert.Network]
	if !ok {
		return ErrForeign
	}
	if err := s.Cert.VerifyBy(key); err != nil {
		return err
	}
	if s.Secret.ID() != s.Cert.Key {
		return ErrWrongKey
	}
	if s.Cert.Peer == n.self {
		return ErrSelf // its offer would wait for ever
	}
	t, known := n.tunnels.ByID(s.Cert.Key)
	trial := tunnel.Tunnel{ID: s.Cert.Key, Side: tunnel.Server}
	n.fillServer(&trial, s)
	if err := trial.Check(); err != nil {
		return err // or to store it would panic
	}
	if !known {
		t = &tunnel.Tunnel{ID: s.Cert.Key, Side: tunnel.Server}
		n.random(t.Offer[:])
		t.Local = s.Secret
		n.fillServer(t, s)
		if err := n.tunnels.Add(t); err != nil {
			return err
		}
	} else if t.Side != tunnel.Server || t.Deleted {
		return fmt.Errorf("%v is in use at this node already", s.Cert.Key)
	}
	if n.fillServer(t, s) || !known {
		t.Seq++
		n.saveTunnel(t)
		n.refresh(now, t)
		n.offerAgain(now, t)
	}
	return nil
}

// fitting is as many of the names as an offer can hold.
func fitting(names []string) (list []string) {
	size := 0
	for _, x := range names {
		if size += 1 + len(x); size > wire.MaxNamesSize || len(list) == wire.MaxNames {
			break
		}
		list = append(list, x)
	}
	return list
}

// fillServer copies what the files say and reports whether anything changed.
func (n *Node) fillServer(t *tunnel.Tunnel, s ServerTunnel) bool {
	names := s.Names // the file is what a person edits; without names there, the certificate's
	if len(names) == 0 {
		names = s.Cert.Names
	}
	names = fitting(names)
	cert := s.Cert.Append(nil)
	same := bytes.Equal(t.LocalCert, cert) && t.Name == s.Name && t.External == s.External &&
		slices.Equal(t.Names, names) && t.Static == s.Static
	t.Name, t.LocalCert, t.External, t.Names, t.Static = s.Name, cert, s.External, names, s.Static
	t.RemoteNode, t.Network, t.Targets = s.Cert.Peer, s.Cert.Network, s.Cert.Targets
	t.Expires = s.Cert.NotAfter
	external := t.External.IsValid() && !t.External.IsUnspecified()
	t.No4, t.No6 = external && !t.External.Is4(), external && !t.External.Is6()
	return !same
}

// refresh makes the fast path follow what the tunnel says now.
func (n *Node) refresh(now clock.Reading, t *tunnel.Tunnel) {
	if n.endRevoked(now, t) {
		return
	}
	if t.Local != nil && !t.Deleted {
		n.announce(t)
	}
	if t.Local == nil || t.RemoteKey.IsZero() {
		return
	}
	end := n.ends[t.ID]
	if end == nil {
		end = n.newEnd(now, t)
	}
	n.addressEnd(now, end)
	end.peer.SetPolicy(n.policyOf(t, end))
	for _, a := range end.leases {
		if t.Deleted {
			n.tables.SetPeer(a, nil)
		} else {
			n.tables.SetPeer(a, end.peer)
		}
	}
	if !t.Active(n.moment(t.Network)) {
		n.endConversation(now, end.conv)
	}
	n.armExpiry(now, end)
	n.event(Event{Kind: EventExternals})
}

// clockPatience is how often a node without a believed clock looks again whether it has one.
const clockPatience = 10 * time.Minute

// armExpiry ends a tunnel on time.
func (n *Node) armExpiry(now clock.Reading, end *tunnelEnd) {
	n.timers.stop(end.expiry)
	if end.t.Expires == 0 || end.t.Deleted || end.t.Expired(n.moment(end.t.Network)) {
		return
	}
	end.expiry = newTimer(func(now clock.Reading, _ *Effects) {
		if end.t.Expired(n.moment(end.t.Network)) {
			n.event(Event{
				Kind: EventTunnelChanged, Tunnel: end.t.ID, Key: end.t.RemoteNode, Text: "expired",
			})
		}
		n.refresh(now, end.t)
	})
	wait := clockPatience
	if n.wall != 0 {
		wait = time.Duration(end.t.Expires-n.wall+1) * time.Second
	}
	n.timers.arm(end.expiry, now.Up+wait)
}

// announce puts the record of our endpoint into the table, once.
func (n *Node) announce(t *tunnel.Tunnel) {
	if _, ok := n.records.Find(t.Local.ID()); !ok {
		n.say(kindOf(t.Side), t.Local, n.self)
	}
}

func kindOf(s tunnel.Side) state.Kind {
	if s == tunnel.Server {
		return state.ServerEndpoint
	}
	return state.ClientEndpoint
}

func (n *Node) newEnd(now clock.Reading, t *tunnel.Tunnel) *tunnelEnd {
	n.endKeys++
	end := &tunnelEnd{t: t, key: n.endKeys, peer: &plane.Peer{Key: n.endKeys}}
	end.secret = session.TunnelSecret(t.Local, t.RemoteKey)
	end.conv = n.conversationWith(now, t.Local, t.RemoteKey, end)
	if _, ok := n.leases.Lease(now.Up, t.RemoteKey); ok {
		n.leases.Pin(t.RemoteKey)
	}
	n.ends[t.ID] = end
	n.endOf[end.key] = end
	return end
}

// addressEnd gives an end the addresses under which programs here find the other one. They change
// when the server end's file does.
func (n *Node) addressEnd(now clock.Reading, end *tunnelEnd) {
	t := end.t
	var want [2]netip.Addr
	if lease, ok := n.leases.Lease(now.Up, t.RemoteKey); ok {
		want = [2]netip.Addr{lease.V4, lease.V6}
	}
	if t.No4 {
		want[0] = netip.Addr{}
	} else if n.staticFree(end) {
		want[0] = t.Static
	}
	if t.No6 {
		want[1] = netip.Addr{}
	}
	for i, a := range end.leases {
		if a != want[i] {
			n.tables.SetPeer(a, nil)
		}
	}
	end.leases = want
}

// staticFree reports whether a client may use the static address that the server end gave its
// tunnel: the first tunnel with an address has it.
func (n *Node) staticFree(end *tunnelEnd) bool {
	if end.t.Side != tunnel.Client || !end.t.Static.Is4() {
		return false
	}
	p := n.tables.Peer(end.t.Static)
	return p == nil || p == end.peer
}

// endByKey finds a tunnel end by the number the fast path knows it by.
func (n *Node) endByKey(key uint64) *tunnelEnd { return n.endOf[key] }

// policyOf is what the fast path may let through for a tunnel now.
func (n *Node) policyOf(t *tunnel.Tunnel, end *tunnelEnd) *plane.Policy {
	self := n.tables.Self()
	p := &plane.Policy{
		On: t.Active(n.moment(t.Network)), Side: plane.SideClient, Targets: t.Targets,
		Local4: self.V4, Local6: self.V6, Remote4: end.leases[0], Remote6: end.leases[1],
	}
	if t.Side == tunnel.Server {
		p.Side = plane.SideServer
		if t.External.IsValid() && !t.External.IsUnspecified() {
			p.External, p.Local4, p.Local6 = true, netip.Addr{}, netip.Addr{}
			if t.External.Is4() {
				p.Local4 = t.External
			} else {
				p.Local6 = t.External.WithZone("") // a packet has none
			}
		}
	}
	return p
}

// closeEnd takes a tunnel out of the fast path for good.
func (n *Node) closeEnd(now clock.Reading, t *tunnel.Tunnel) {
	if end := n.ends[t.ID]; end != nil {
		end.peer.SetPolicy(&plane.Policy{})
		for _, a := range end.leases {
			n.tables.SetPeer(a, nil)
		}
		n.endConversation(now, end.conv)
		n.endDial(now, end.conv)
		n.timers.stop(end.conv.redial)
		n.timers.stop(end.expiry)
		delete(n.sessions.byPair, end.conv.key)
		delete(n.ends, t.ID)
		delete(n.endOf, end.key)
		n.leases.Unpin(t.RemoteKey)
	}
	if t.Local != nil {
		n.records.Remove(t.Local.ID())
		n.mark(t.Local.ID())
	}
	n.event(Event{Kind: EventExternals})
}

// External is one device behind this node that a tunnel leads to.
type External struct {
	Addr    netip.Addr
	Targets []ident.Target
}

// Externals lists the devices of the tunnels that are at work, in the order of tunnel ids.
func (n *Node) Externals(now clock.Reading) []External {
	var list []External
	for _, t := range n.tunnels.List() {
		if t.Side == tunnel.Server && t.Active(n.moment(t.Network)) && t.External.IsValid() &&
			!t.External.IsUnspecified() {
			list = append(list, External{Addr: t.External, Targets: slices.Clone(t.Targets)})
		}
	}
	return list
}
