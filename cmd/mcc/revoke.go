// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"staex/internal/api"
	"staex/internal/ident"
	"staex/internal/overlay/revoke"
)

// A revoking is what mcc revoke was asked for.
type revoking struct {
	parent string
	stdin  bool
	self   bool // this node's own key
	here   bool // signed by this node
	force  bool
	keys   []ident.NodeID
}

func (a *app) revokeCommand() *cobra.Command {
	r := &revoking{}
	c := a.formatted(&cobra.Command{
		Use:   "revoke KEY...",
		Short: "Take keys of the network back for ever",
		Long: "Take keys of the network back for ever: nodes, whose links and tunnels end, or " +
			"single ends of\ntunnels, of which only that tunnel ends. KEY is an id as mcc nodes " +
			"and mcc tunnels show it.\nAn authority takes whole networks back: --parent is its " +
			"certificate, KEY a network's public key\nas mcc certificates shows it.\n" +
			"Every node that is online knows within moments, every " +
			"other one at its next contact.\nThis cannot be undone: a revoked device needs a " +
			"new key.",
	})
	addParentFlags(c, &r.parent, &r.stdin)
	f := c.Flags()
	f.BoolVar(&r.self, "self", false, "revoke this node's own key, which needs no other key")
	f.BoolVar(&r.here, "revoker", false,
		"sign with this node's key instead of the network's; it needs the role revoker")
	f.BoolVarP(&r.force, "force", "y", false, "do not ask")
	c.RunE = a.do(func(words []string) error {
		for _, word := range words {
			key, err := revocable(word)
			if err != nil {
				return usagef("%s: %v", word, err).
					withHint("KEY is an id: see mcc nodes --output-format json, mcc tunnels")
			}
			r.keys = append(r.keys, key)
		}
		if (len(r.keys) > 0) == r.self || r.self && (r.here || r.stdin) || r.here && r.stdin {
			return usagef("name the keys to revoke, or --self, and one way to sign").
				withHint("mcc revoke KEY --stdin < network-private-key.txt")
		}
		return a.revoke(r, c.Flags().Changed("parent"))
	})
	return c
}

// revocable reads the id of a node or of an end of a tunnel, or the public key of a network.
func revocable(word string) (ident.NodeID, error) {
	key, err := ident.ParseNodeID(word)
	if err == nil {
		return key, nil
	}
	if network, other := ident.ParseNetworkKey(word); other == nil {
		return ident.NodeID(network), nil
	}
	return key, err
}

// mayRevoke decides about what cannot be undone: forced, agreed by a person, or refused. Where
// nobody can be asked, piping the network's key in is agreement enough; the node's own key lies
// ready and says nothing.
func (a *app) mayRevoke(r *revoking) error {
	person := isTerminal(a.in)
	switch {
	case r.force, person && a.confirm("This cannot be undone. Go on?"):
		return nil
	case !person && !r.self && !r.here:
		return nil
	}
	return failf(exitRefused, "nothing was revoked").
		withHint("use --force to revoke without being asked; a revoked key stays revoked")
}

// revoke builds what the daemon is asked to take and asks it.
func (a *app) revoke(r *revoking, named bool) error {
	if err := a.mayRevoke(r); err != nil {
		return err
	}
	args := api.RevokeArgs{Self: r.self}
	switch {
	case r.here:
		args.Keys = r.keys
	case !r.self:
		list, err := a.nextList(r, named)
		if err != nil {
			return err
		}
		args.List = list.Append(nil)
	}
	var reply api.RevokeReply
	if err := a.ask(api.OpRevoke, args, &reply); err != nil {
		return err
	}
	return a.show(reply, func() {
		a.printf("list %d: %d keys are revoked in all\n", reply.Number, reply.Count)
	})
}

// nextList asks the daemon for the newest list and signs the one that follows.
func (a *app) nextList(r *revoking, named bool) (*revoke.List, error) {
	if !named {
		p, err := a.find()
		if err != nil {
			return nil, err
		}
		r.parent = p.network
	}
	network, err := readNetworkCert(r.parent)
	if err != nil {
		return nil, err
	}
	var known api.RevocationsReply
	err = a.ask(api.OpRevocations, api.RevocationsArgs{Network: network.Key}, &known)
	if err != nil {
		return nil, err
	}
	prints, err := revoke.ParsePrints(known.Prints)
	if err != nil {
		return nil, failf(exitFailed, "the daemon's answer: %v", err)
	}
	secret, err := a.networkSecret(r.stdin, network)
	if err != nil {
		return nil, err
	}
	list, err := revoke.Next(revoke.Known{Number: known.Number, Prints: prints}, r.keys,
		revoke.Signer{Secret: secret, Network: network.Key}, known.Moment)
	if err != nil {
		return nil, failf(exitRefused, "%v", err)
	}
	return list, nil
}
