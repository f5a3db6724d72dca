// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"slices"

	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/tunnel"
	"staex/internal/wire"
)

// namesFor are the names that an offered tunnel wants here: another network's end with its name,
// which only its own key or an authority that we believe can have given to it.
func (n *Node) namesFor(cert *ident.EndpointCert, o wire.Offer) (names []string) {
	behind := ""
	if cert.Network != n.who.Cert.Network {
		behind = "." + cert.Network.String()
		c, err := ident.DecodeNetworkCert(o.Network)
		if err == nil && c.Name != "" && c.Key.Hash() == cert.Network &&
			(c.SelfSigned() && c.Verify() == nil || n.believes(c) == nil) {
			behind = "." + c.Name
		}
	}
	for _, x := range o.Names {
		names = append(names, string(x)+behind)
	}
	return names
}

// giveNames gives a tunnel the names it wants that no other tunnel has: a member that offers us a
// tunnel of its own must not be found under the name of somebody else's.
func (n *Node) giveNames(t *tunnel.Tunnel, wanted []string) {
	t.Names, t.Wanted = nil, nil
	for _, name := range wanted {
		if n.holder(t, name) == nil {
			t.Names = append(t.Names, name)
		} else {
			t.Wanted = wanted
		}
	}
	t.Name = nameOf(t)
}

// holder is the tunnel other than t that has a name, or nil.
func (n *Node) holder(t *tunnel.Tunnel, name string) *tunnel.Tunnel {
	for _, other := range n.tunnels.List() {
		if other.ID != t.ID && !other.Deleted && other.HasName(name) {
			return other
		}
	}
	return nil
}

// nextInLine gives what a tunnel that is gone had to those that wait for it: its names, its
// static address and its place among those that no person has to accept.
func (n *Node) nextInLine(now clock.Reading) {
	for _, t := range n.tunnels.List() {
		if t.Deleted || t.Revoked || t.Side != tunnel.Client {
			continue
		}
		if had := len(t.Names); len(t.Wanted) > 0 {
			if n.giveNames(t, t.Wanted); len(t.Names) > had {
				n.saveTunnel(t)
				n.event(Event{
					Kind: EventTunnelChanged, Tunnel: t.ID, Key: t.RemoteNode, Text: "got a name",
				})
			}
		}
		if n.lacksStatic(t) {
			n.refresh(now, t)
		}
		if t.Pending && !n.cfg.AcceptByHand && n.tunnels.TakesFrom(t.RemoteNode) {
			t.Auto = true
			_ = n.acceptTunnel(now, t) // what cannot be now may be with the next offer
		}
	}
}

// lacksStatic reports whether another tunnel has the static address that this one should have.
func (n *Node) lacksStatic(t *tunnel.Tunnel) bool {
	end := n.ends[t.ID]
	return end != nil && t.Side == tunnel.Client && t.Static.Is4() && !t.No4 && !t.Deleted &&
		end.leases[0] != t.Static
}

// givenWarnings are sentences about names and static addresses that several tunnels want.
func (n *Node) givenWarnings() (list []string) {
	lacks := func(t *tunnel.Tunnel, what string) {
		list = append(list, fmt.Sprintf("tunnel %v of node %v lacks %s: another tunnel had it "+
			"first, and it gets it when that one is deleted (see mcc tunnels)",
			t.ID.String()[:8], t.RemoteNode, what))
	}
	for _, t := range n.tunnels.List() {
		for _, name := range t.Wanted {
			if !t.Deleted && !slices.Contains(t.Names, name) {
				lacks(t, "its name "+name)
			}
		}
		if n.lacksStatic(t) {
			lacks(t, "its address "+t.Static.String())
		}
		if o := n.offers[t.ID]; o != nil && o.held {
			list = append(list, n.heldBy(t))
		}
	}
	return list
}

// heldBy says that the other end of a tunnel waits for a person, and why as far as we can tell.
func (n *Node) heldBy(t *tunnel.Tunnel) string {
	text := fmt.Sprintf("tunnel %s waits for a person at node %v (mcc accept-tunnel there)",
		t.Name, t.RemoteNode)
	taken := 0
	for _, other := range n.tunnels.List() {
		if other.RemoteNode == t.RemoteNode && other.Side == t.Side && !other.RemoteKey.IsZero() {
			taken++
		}
	}
	if taken >= tunnel.MaxAuto {
		text += fmt.Sprintf(": it takes %d of one node without one", tunnel.MaxAuto)
	}
	return text
}
