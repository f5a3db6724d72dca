// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"staex/internal/api"
	"staex/internal/clock"
	"staex/internal/overlay/node"
	"staex/internal/overlay/tunnel"
)

func (c *control) tunnels(ctx context.Context) (any, error) {
	r := api.TunnelsReply{Tunnels: []api.Tunnel{}}
	err := c.ask(ctx, func(n *node.Node, now clock.Reading) {
		for _, t := range n.Tunnels() {
			r.Tunnels = append(r.Tunnels, c.tunnel(n, t, now))
		}
		r.Endless = c.d.loop.endless(now)
	})
	slices.SortStableFunc(r.Tunnels, func(a, b api.Tunnel) int {
		return strings.Compare(a.Name, b.Name)
	})
	return r, err
}

// tunnel is a tunnel as the socket shows it.
func (c *control) tunnel(n *node.Node, t *tunnel.Tunnel, now clock.Reading) api.Tunnel {
	x := api.Tunnel{
		ID: t.ID, Name: t.Name, Side: t.Side.String(), State: c.d.loop.stateOf(t, now),
		Remote: t.RemoteKey, RemoteNode: t.RemoteNode, Network: t.Network.String(),
		Targets: t.Targets, Names: t.Names, Static: t.Static, External: t.External,
		DisabledHere: t.DisabledHere, DisabledThere: t.DisabledThere,
	}
	if t.Local != nil {
		x.Local = t.Local.ID()
	}
	if t.Expires != 0 {
		x.Expires = time.Unix(int64(t.Expires), 0)
	}
	if !t.RemoteKey.IsZero() && !t.Pending {
		if l, ok := n.Lease(now, t.RemoteKey); ok {
			x.IPv4, x.IPv6 = l.V4, l.V6
		}
	}
	return x
}

// change does one of the operations that change a tunnel.
func (c *control) change(ctx context.Context, op, ref string) (any, error) {
	var r api.TunnelReply
	var err error
	unstored, stopped := c.d.loop.carryOut(ctx, func(now clock.Reading, out *node.Effects) {
		var t *tunnel.Tunnel
		if t, err = findTunnel(c.d.loop.node, c.d.bare(ref), ref); err != nil {
			return
		}
		r = api.TunnelReply{ID: t.ID, Name: t.Name}
		if err = c.apply(op, t, now, out); err != nil {
			return
		}
		for _, left := range c.d.loop.node.Tunnels() {
			if left.ID == r.ID {
				r.State = c.d.loop.stateOf(left, now)
			}
		}
	})
	if err = errors.Join(stopped, err); err != nil {
		return nil, err
	}
	if unstored != nil {
		return nil, c.d.unstoredError(unstored)
	}
	return r, nil
}

// apply gives the node the command behind an operation.
func (c *control) apply(op string, t *tunnel.Tunnel, now clock.Reading, out *node.Effects) error {
	var command node.Command
	id := t.ID.String()
	switch op {
	case api.OpAcceptTunnel, api.OpRejectTunnel:
		if !t.Pending {
			return api.Errorf(api.CodeRefused, "tunnel %s does not wait for anybody", t.Name).
				WithHint("see mcc tunnels: only a tunnel that is offered waits")
		}
		command = node.AcceptTunnel{Tunnel: id}
		if op == api.OpRejectTunnel {
			command = node.RejectTunnel{Tunnel: id}
		}
	case api.OpDisableTunnel, api.OpEnableTunnel:
		command = node.SwitchTunnel{Tunnel: id, On: op == api.OpEnableTunnel}
	default:
		if t.Side == tunnel.Server {
			if err := shelve(c.d.files.cfg, t.ID, t.Name); err != nil {
				return err
			}
		}
		command = node.DeleteTunnel{Tunnel: id}
	}
	return c.d.loop.node.Apply(now, command, out)
}
