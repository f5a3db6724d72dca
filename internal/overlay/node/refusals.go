// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"

	"staex/internal/clock"
	"staex/internal/wire"
)

// fromReject takes the word of the other end that it does not want a tunnel.
func (n *Node) fromReject(_ clock.Reading, c *conversation, b []byte) error {
	r, err := wire.ParseReject(b)
	if err != nil {
		return err
	}
	for _, t := range n.tunnels.List() {
		o := n.offers[t.ID]
		if o != nil && t.Offer == r.ID && t.RemoteNode == c.key.remote && o.change == 0 {
			o.wait, o.held = offerCap, false
			n.event(Event{
				Kind: EventTunnelRefused, Tunnel: t.ID, Key: c.key.remote,
				Text: rejectText(r.Reason),
			})
		}
	}
	return nil
}

func rejectText(reason uint8) string {
	switch reason {
	case wire.RejectNotTrusted:
		return "the other node does not trust our network"
	case wire.RejectByHand:
		return "refused by a person at the other node"
	case wire.RejectBadCert:
		return "the other node does not accept the certificate"
	case wire.RejectFull:
		return "the other node has no room for more tunnels of ours"
	}
	return fmt.Sprintf("refused with reason %d", reason)
}

// fromPending takes the word of the other end that a person will decide.
func (n *Node) fromPending(c *conversation, b []byte) error {
	p, err := wire.ParsePending(b)
	if err != nil {
		return err
	}
	for _, t := range n.tunnels.List() {
		o := n.offers[t.ID]
		if o != nil && t.Offer == p.ID && t.RemoteNode == c.key.remote {
			o.held, o.wait = true, offerCap
		}
	}
	return nil
}
