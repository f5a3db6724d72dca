// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"slices"

	"staex/internal/api"
	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/node"
	"staex/internal/overlay/state"
	"staex/internal/overlay/tunnel"
)

// errUnknownNode is a probe to a name that nobody has.
var errUnknownNode = errors.New("no such node")

// probe asks whether a node is there and waits for the answer.
func (l *loop) probe(ctx context.Context, name string) (node.Event, error) {
	id, ok := l.d.find(ctx, name)
	if !ok {
		return node.Event{}, errUnknownNode
	}
	return l.wait(ctx, func(token uint64) node.Command {
		return node.Probe{Token: token, Dest: id}
	})
}

// wait gives the node a command that answers with an event of the same token, and waits for that.
func (l *loop) wait(ctx context.Context, command func(token uint64) node.Command,
) (node.Event, error) {
	answer := make(chan node.Event, 1)
	var token uint64
	var refused error
	err := l.do(ctx, func(now clock.Reading, out *node.Effects) {
		l.tokens++
		token = l.tokens
		l.probes[token] = answer
		refused = l.node.Apply(now, command(token), out)
	})
	if err = errors.Join(err, refused); err != nil {
		return node.Event{}, err
	}
	select {
	case e := <-answer:
		return e, nil
	case <-l.ended:
		return node.Event{}, errStopped
	case <-ctx.Done():
	}
	// Nobody waits any more; the context of the caller has ended, so this needs one of its own.
	_ = l.do(context.WithoutCancel(ctx), func(clock.Reading, *node.Effects) {
		delete(l.probes, token)
	})
	return node.Event{}, ctx.Err()
}

// probed gives a probe's end to who waits for it.
func (l *loop) probed(e node.Event) {
	if answer, ok := l.probes[e.Token]; ok {
		delete(l.probes, e.Token)
		answer <- e // holds one, and there is one
	}
}

// findTunnel finds the tunnel that a person means: by its id, the id of either endpoint, the start
// of its id, or one of its names.
func findTunnel(n *node.Node, names ...string) (*tunnel.Tunnel, error) {
	list := n.Tunnels()
	for _, name := range names {
		var id ident.NodeID
		if parsed, err := ident.ParseNodeID(name); err == nil {
			id = parsed
		}
		found := slices.DeleteFunc(slices.Clone(list), func(t *tunnel.Tunnel) bool {
			if !id.IsZero() {
				return t.ID != id && t.RemoteKey != id && (t.Local == nil || t.Local.ID() != id)
			}
			return !t.HasName(name) && t.ID.String()[:8] != name
		})
		switch len(found) {
		case 0:
		case 1:
			return found[0], nil
		default:
			return nil, api.Errorf(api.CodeRefused, "%d tunnels are called %s", len(found), name).
				WithHint("use the id, see mcc tunnels")
		}
	}
	return nil, api.Errorf(api.CodeNotFound, "there is no tunnel %s", names[len(names)-1]).
		WithHint("see mcc tunnels")
}

// stateOf is a tunnel's state in one word.
func (l *loop) stateOf(t *tunnel.Tunnel, now clock.Reading) string {
	seconds, _ := now.Seconds()
	if at, ok := l.node.Moment(); ok {
		seconds = max(seconds, uint32(at.Unix()))
	}
	_, refused := l.refused[t.ID]
	switch {
	case t.Revoked:
		return api.StateRevoked
	case t.Pending:
		return api.StateOffered
	case t.RemoteKey.IsZero() && (refused || t.DisabledThere):
		return api.StateRejected
	case t.RemoteKey.IsZero():
		return api.StatePending
	case t.Expired(seconds):
		return api.StateExpired
	case t.DisabledHere || t.DisabledThere:
		return api.StateDisabled
	}
	return api.StateActive
}

// endless counts the tunnels that should end one day, and have not, where nobody can tell when that
// is: the network may say the time, but hours late.
func (l *loop) endless(now clock.Reading) (count int) {
	if _, ok := now.Seconds(); ok {
		return 0
	}
	for _, t := range l.node.Tunnels() {
		if t.Expires != 0 && !t.Revoked && l.stateOf(t, now) != api.StateExpired {
			count++
		}
	}
	return count
}

// typeOf is the word of the table for a kind of key.
func typeOf(k state.Kind) string {
	switch k {
	case state.ServerEndpoint:
		return api.TypeServerEndpoint
	case state.ClientEndpoint:
		return api.TypeClientEndpoint
	default:
		return ""
	}
}
