// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"

	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/tunnel"
	"staex/internal/wire"
)

// switchTunnel enables or disables a tunnel at this end, at once, and tells the other end.
// Disabled at either end wins.
func (n *Node) switchTunnel(now clock.Reading, t *tunnel.Tunnel, on bool) {
	t.DisabledHere = !on
	change := uint8(wire.SwitchDisabled)
	text := "disabled"
	if on {
		change, text = wire.SwitchEnabled, "enabled"
	}
	n.changed(now, t, change, text)
}

// deleteTunnel ends a tunnel for good; a tombstone stays so that the other end learns of it.
func (n *Node) deleteTunnel(now clock.Reading, t *tunnel.Tunnel) {
	if t.Deleted {
		return
	}
	n.closeEnd(now, t)
	if forgotten, ok := n.tunnels.Bury(t.ID); ok {
		n.keep(tunnelPrefix+forgotten.String(), nil)
	}
	n.changed(now, t, wire.SwitchDeleted, "deleted")
	n.nextInLine(now)
}

// changed keeps a tunnel's new state, applies it and tells the other end until it confirms.
func (n *Node) changed(now clock.Reading, t *tunnel.Tunnel, change uint8, text string) {
	if t.Side == tunnel.Server {
		t.Seq++ // it counts the server end's words
	}
	n.saveTunnel(t)
	if !t.Deleted {
		n.refresh(now, t)
	}
	n.event(Event{Kind: EventTunnelChanged, Tunnel: t.ID, Key: t.RemoteNode, Text: text})
	if t.RemoteKey.IsZero() && t.Side == tunnel.Server && !t.Deleted {
		return // the other end does not know of it yet; the offer goes on
	}
	if t.Revoked {
		return
	}
	n.tellChange(now, t, change)
}

// tellChange tells the other end until it confirms.
func (n *Node) tellChange(now clock.Reading, t *tunnel.Tunnel, change uint8) {
	n.endOffer(t)
	n.offerAgain(now, t)
	o := n.offers[t.ID]
	o.change = change
	n.random(o.id[:])
}

// fromSwitch takes the other end's word on a tunnel. It is kept before it is confirmed.
func (n *Node) fromSwitch(now clock.Reading, c *conversation, b []byte) error {
	s, err := wire.ParseSwitch(b)
	if err != nil {
		return err
	}
	t, ok := n.tunnels.ByID(s.Tunnel)
	switch {
	case !ok || t.RemoteNode != c.key.remote:
		n.count(drop.NoTunnel)
	case s.State == wire.SwitchEnabled && t.DisabledThere && n.churn.often(now.Up, t.ID):
		n.count(drop.Churn)
		return nil // it will say so again
	case !t.Deleted:
		n.applySwitch(now, t, s.State)
	}
	m := wire.SwitchOK{ID: s.ID}
	n.sendMessage(now, c, wire.SessionSwitchOK, m.Append(nil))
	return nil
}

func (n *Node) applySwitch(now clock.Reading, t *tunnel.Tunnel, to uint8) {
	text := ""
	switch to {
	case wire.SwitchEnabled:
		if !t.DisabledThere {
			return
		}
		n.churn.add(now.Up, t.ID)
		t.DisabledThere, text = false, "enabled by the other end"
	case wire.SwitchDisabled:
		if t.DisabledThere {
			return
		}
		t.DisabledThere, text = true, "disabled by the other end"
	case wire.SwitchDeleted:
		n.endOffer(t)
		n.closeEnd(now, t)
		n.tunnels.Remove(t.ID)
		n.keep(tunnelPrefix+t.ID.String(), nil)
		e := Event{Kind: EventTunnelChanged, Tunnel: t.ID, Key: t.RemoteNode}
		e.Text = "deleted by the other end"
		if t.Side == tunnel.Server {
			e.Kind, e.Text = EventTunnelDeleted, t.Name
		}
		n.event(e)
		n.nextInLine(now)
		return
	}
	n.saveTunnel(t)
	n.refresh(now, t)
	n.event(Event{Kind: EventTunnelChanged, Tunnel: t.ID, Key: t.RemoteNode, Text: text})
}

// fromSwitchOK ends the telling. The tombstone of a tunnel deleted here has done its work at the
// server end; at the client end it stays, or the next offer would bring the tunnel back.
func (n *Node) fromSwitchOK(now clock.Reading, c *conversation, b []byte) error {
	s, err := wire.ParseSwitchOK(b)
	if err != nil {
		return err
	}
	for _, t := range n.tunnels.List() {
		o := n.offers[t.ID]
		if o == nil || o.change == 0 || o.id != s.ID || t.RemoteNode != c.key.remote {
			continue
		}
		o.change = 0
		switch {
		case t.Deleted:
			n.endOffer(t)
			if t.Side == tunnel.Server {
				n.tunnels.Remove(t.ID)
				n.keep(tunnelPrefix+t.ID.String(), nil)
			}
		case t.Side == tunnel.Client:
			n.endOffer(t)
		default:
			n.settled(now, t)
		}
	}
	return nil
}

// find returns the tunnel that a person means: by id, by the start of it, or by name.
func (n *Node) find(ref string) (*tunnel.Tunnel, error) {
	if id, err := ident.ParseNodeID(ref); err == nil {
		if t, ok := n.tunnels.ByID(id); ok {
			return t, nil
		}
	}
	var found *tunnel.Tunnel
	for _, t := range n.tunnels.List() {
		if t.Deleted || !t.HasName(ref) && t.ID.String()[:8] != ref {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("tunnel %q: two tunnels have this name, use the id", ref)
		}
		found = t
	}
	if found == nil {
		return nil, fmt.Errorf("tunnel %q: %w", ref, ErrNotFound)
	}
	return found, nil
}
