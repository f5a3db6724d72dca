// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"time"

	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/tunnel"
	"staex/internal/wire"
)

// Command is something an operator or a service asks for.
type Command interface {
	apply(n *Node, now clock.Reading) error
}

// SetParents replaces the parents, for example after their host names were resolved again.
type SetParents struct{ Parents []ParentAddr }

// SetTunnels tells which tunnel files there are; server tunnels that are not named are deleted.
type SetTunnels struct{ Tunnels []ServerTunnel }

// SwitchTunnel enables or disables a tunnel by id or name.
type SwitchTunnel struct {
	Tunnel string
	On     bool
}

// DeleteTunnel ends a tunnel by id or name.
type DeleteTunnel struct{ Tunnel string }

// AcceptTunnel accepts an offer that waits for a person.
type AcceptTunnel struct{ Tunnel string }

// RejectTunnel refuses an offer that waits for a person.
type RejectTunnel struct{ Tunnel string }

// Probe asks whether a node is there; the answer is an EventProbe with the same token.
type Probe struct {
	Token uint64
	Dest  ident.NodeID
}

// Leave says goodbye to all neighbours.
type Leave struct{}

// Apply does what an operator or service asks. The error is a sentence for a person.
func (n *Node) Apply(now clock.Reading, c Command, out *Effects) error {
	n.look(now)
	defer n.finish(now, out)
	return c.apply(n, now)
}

//nolint:unparam // the interface wants an error
func (c SetParents) apply(n *Node, now clock.Reading) error {
	n.setParents(now, c.Parents)
	return nil
}

func (c SetTunnels) apply(n *Node, now clock.Reading) error { return n.setTunnels(now, c.Tunnels) }

func (c SwitchTunnel) apply(n *Node, now clock.Reading) error {
	t, err := n.find(c.Tunnel)
	if err != nil {
		return err
	}
	if t.Revoked && c.On {
		return fmt.Errorf("tunnel %q: %w", c.Tunnel, ErrRevoked)
	}
	n.switchTunnel(now, t, c.On)
	return nil
}

func (c DeleteTunnel) apply(n *Node, now clock.Reading) error {
	t, err := n.find(c.Tunnel)
	if err != nil {
		return err
	}
	n.deleteTunnel(now, t)
	return nil
}

func (c AcceptTunnel) apply(n *Node, now clock.Reading) error {
	t, err := n.find(c.Tunnel)
	if err != nil {
		return err
	}
	if !t.Pending {
		return fmt.Errorf("tunnel %q: it does not wait for anybody", c.Tunnel)
	}
	return n.acceptTunnel(now, t)
}

func (c RejectTunnel) apply(n *Node, now clock.Reading) error {
	t, err := n.find(c.Tunnel)
	if err != nil {
		return err
	}
	if !t.Pending {
		return fmt.Errorf("tunnel %q: it does not wait for anybody", c.Tunnel)
	}
	conv := n.conversationWith(now, n.who.Secret, t.RemoteNode, nil)
	n.reject(now, conv, t.Offer, wire.RejectByHand)
	n.tunnels.Remove(t.ID)
	n.keep(tunnelPrefix+t.ID.String(), nil)
	n.nextInLine(now)
	return nil
}

//nolint:unparam // the interface wants an error
func (c Probe) apply(n *Node, now clock.Reading) error {
	n.startProbe(now, c.Token, c.Dest)
	return nil
}

//nolint:unparam // the interface wants an error
func (Leave) apply(n *Node, _ clock.Reading) error {
	for _, l := range n.links.all() {
		n.tell(l, wire.ControlBye, nil)
	}
	return nil
}

// jitter is a random share of at most d, so that many nodes do not act at the same moment.
func (n *Node) jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	var b [4]byte
	n.random(b[:])
	x := uint64(b[0])<<24 | uint64(b[1])<<16 | uint64(b[2])<<8 | uint64(b[3])
	return time.Duration(x * uint64(d) >> 32)
}

// Tunnels lists the tunnels of this node in the order of their ids, without the deleted ones. The
// caller must not change them.
func (n *Node) Tunnels() []*tunnel.Tunnel {
	var list []*tunnel.Tunnel
	for _, t := range n.tunnels.List() {
		if !t.Deleted {
			list = append(list, t)
		}
	}
	return list
}
