// SPDX-License-Identifier: Apache-2.0

package node

import (
	"crypto/subtle"
	"fmt"

	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/session"
	"staex/internal/overlay/tunnel"
	"staex/internal/wire"
)

// acceptTries is how often a client answers an offer without being asked, until its first session:
// who is refused for another reason must not pay for it on and on.
const acceptTries = 8

// acceptTunnel makes the client's endpoint, keeps the tunnel and tells the server end.
func (n *Node) acceptTunnel(now clock.Reading, t *tunnel.Tunnel) error {
	if n.endRevoked(now, t) {
		return ErrRevoked
	}
	if t.Local == nil {
		secret, err := ident.NewSecret(n.rand)
		if err != nil {
			return err
		}
		cert := &ident.EndpointCert{
			Kind: ident.ClientEndpoint, Network: n.who.Cert.Network, Key: secret.ID(), Peer: t.ID,
		}
		if err := ident.SignEndpointCert(cert, n.who.Secret); err != nil {
			return err
		}
		t.Local, t.LocalCert = secret, cert.Append(nil)
		n.event(Event{Kind: EventTunnelUp, Tunnel: t.ID, Key: t.RemoteNode, Text: t.Name})
	}
	t.Pending = false
	n.saveTunnel(t)
	n.refresh(now, t)
	n.sendAccept(now, t)
	return nil
}

// sendAccept tells the server end which endpoint we made.
func (n *Node) sendAccept(now clock.Reading, t *tunnel.Tunnel) {
	c := n.conversationWith(now, n.who.Secret, t.RemoteNode, nil)
	m := wire.Accept{
		ID: t.Offer, Cert: t.LocalCert, Node: n.who.Cert.Append(nil),
		Proof: acceptProof(session.TunnelSecret(t.Local, t.ID), t.Offer),
	}
	n.sendMessage(now, c, wire.SessionAccept, m.Append(nil))
}

// acceptAgain answers an offer once more because the server end does not talk to our endpoint: the
// answer may have got lost, and the offer may not come again for minutes.
func (n *Node) acceptAgain(now clock.Reading, c *conversation) {
	end := c.end
	if end == nil || end.t.Side != tunnel.Client || end.told >= acceptTries {
		return
	}
	node := n.conversationWith(now, n.who.Secret, end.t.RemoteNode, nil)
	if len(node.waiting().messages) == 0 {
		end.told++
		n.sendAccept(now, end.t)
	}
}

// fromAccept takes the client's endpoint at the server: check, pin, keep, open.
func (n *Node) fromAccept(now clock.Reading, c *conversation, b []byte) error {
	a, err := wire.ParseAccept(b)
	if err != nil {
		return err
	}
	t, cert, err := n.checkAccept(c, a)
	if err != nil {
		n.refuseAccept(c, err)
		return nil
	}
	n.settled(now, t)
	if t.RemoteNetwork != c.network {
		t.RemoteNetwork = c.network
		n.saveTunnel(t)
	}
	if t.RemoteKey == cert.Key {
		return nil
	}
	if end := n.ends[t.ID]; end != nil {
		n.dropEnd(now, t) // the client lost its disk and made a new endpoint
	}
	t.RemoteKey, t.DisabledThere = cert.Key, false // whoever disabled it there did so before
	n.saveTunnel(t)
	n.refresh(now, t)
	if t.DisabledHere {
		n.tellChange(now, t, wire.SwitchDisabled)
	}
	n.event(Event{Kind: EventTunnelUp, Tunnel: t.ID, Key: t.RemoteNode, Text: t.Name})
	return nil
}

// refuseAccept reports an answer that is not taken; the offer stays open.
func (n *Node) refuseAccept(c *conversation, why error) {
	n.count(drop.NotAdmitted)
	n.event(Event{Kind: EventTunnelRefused, Key: c.key.remote, Text: why.Error()})
}

// checkAccept checks that the node which was offered a tunnel answers, with an endpoint of its own.
func (n *Node) checkAccept(c *conversation, a wire.Accept) (*tunnel.Tunnel, *ident.EndpointCert,
	error,
) {
	cert, err := ident.DecodeEndpointCert(a.Cert)
	if err != nil {
		return nil, nil, err
	}
	node, err := ident.DecodeNodeCert(a.Node)
	if err != nil {
		return nil, nil, err
	}
	t, ok := n.tunnels.ByID(cert.Peer)
	if !ok || t.Side != tunnel.Server || t.Deleted || t.RemoteNode != c.key.remote ||
		t.Offer != a.ID {
		return nil, nil, ErrNotFound
	}
	if node.Key != c.key.remote || cert.Kind != ident.ClientEndpoint {
		return nil, nil, ErrWrongKey
	}
	if err := n.trusts(node); err != nil {
		return nil, nil, err
	}
	c.network = node.Network
	if err := cert.VerifyBy(c.key.remote); err != nil {
		return nil, nil, err
	}
	if t.Revoked || n.isRevoked(node.Network, cert.Key) {
		return nil, nil, fmt.Errorf("endpoint %v: %w", cert.Key, ErrRevoked)
	}
	proof := acceptProof(session.TunnelSecret(t.Local, cert.Key), a.ID)
	if subtle.ConstantTimeCompare(proof[:], a.Proof[:]) != 1 {
		return nil, nil, fmt.Errorf("endpoint %v: %w", cert.Key, ErrProof)
	}
	if n.inUse(cert.Key, t) {
		return nil, nil, fmt.Errorf("endpoint %v: %w", cert.Key, ErrInUse)
	}
	return t, cert, nil
}
