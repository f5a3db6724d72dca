// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"

	"staex/internal/api"
	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/node"
	"staex/internal/overlay/revoke"
)

// revocations tells what is revoked in a network, so that the next list can be built upon it.
func (c *control) revocations(ctx context.Context, a api.RevocationsArgs) (any, error) {
	if a.Network.IsZero() {
		a.Network = c.d.files.who.Network.Key
	}
	r := api.RevocationsReply{Network: a.Network}
	found := false
	err := c.ask(ctx, func(n *node.Node, _ clock.Reading) {
		var known revoke.Known
		known, found = n.Revocations(a.Network)
		r.Number = known.Number
		if len(known.Prints) <= revoke.MaxKeys { // more do not fit into the next list anyway
			r.Prints = revoke.AppendPrints(nil, known.Prints)
		}
		if at, ok := n.Moment(); ok {
			r.Moment = uint32(at.Unix())
		}
	})
	if err == nil && !found {
		err = foreign(a.Network)
	}
	return r, err
}

func foreign(network ident.NetworkKey) error {
	return api.Errorf(api.CodeNotFound, "network %s is not known here", network).
		WithHint("ask a node of that network, or one that names it in relay-networks " +
			"or, if it is an authority, in trusted-authorities")
}

// revoke takes a list, or makes one, and says what is revoked now.
func (c *control) revoke(ctx context.Context, a api.RevokeArgs) (any, error) {
	network := c.d.files.who.Network.Key
	if len(a.List) > 0 {
		list, err := revoke.DecodeList(a.List)
		if err != nil {
			return nil, api.Errorf(api.CodeBadRequest, "%v", err)
		}
		network = list.Head.Network
	}
	if len(a.List) == 0 && len(a.Keys) == 0 && !a.Self {
		return nil, api.Errorf(api.CodeBadRequest, "there is nothing to revoke")
	}
	var r api.RevokeReply
	var err error
	unstored, stopped := c.d.loop.carryOut(ctx, func(now clock.Reading, out *node.Effects) {
		n := c.d.loop.node
		err = n.Apply(now, node.Revoke{List: a.List, Keys: a.Keys, Self: a.Self}, out)
		known, _ := n.Revocations(network)
		r = api.RevokeReply{Number: known.Number, Count: len(known.Prints)}
	})
	switch {
	case stopped != nil:
		return nil, stopped
	case errors.Is(err, node.ErrForeign):
		return nil, foreign(network)
	case errors.Is(err, node.ErrNoRevoker):
		return nil, api.Errorf(api.CodeRefused, "%v", err).
			WithHint("mcc revoke --stdin KEY < network-private-key.txt")
	case errors.Is(err, revoke.ErrNothing), errors.Is(err, revoke.ErrSigner),
		errors.Is(err, revoke.ErrFull), errors.Is(err, revoke.ErrBase):
		return nil, api.Errorf(api.CodeRefused, "%v", err)
	case err != nil:
		return nil, err
	case unstored != nil:
		return nil, c.d.unstoredError(unstored)
	}
	return r, nil
}
