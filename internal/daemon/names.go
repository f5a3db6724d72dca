// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"time"

	"staex/internal/clock"
	"staex/internal/conf"
	"staex/internal/ident"
	"staex/internal/overlay/node"
)

// lookupPatience is how long a name may wait for the node, which is busy for milliseconds at most.
const lookupPatience = 5 * time.Second

// namer answers the DNS server out of what the node knows.
type namer struct{ d *daemon }

// Lookup finds the addresses of a name or of a node id.
func (r *namer) Lookup(name string) (v4, v6 netip.Addr, ok bool) {
	ctx, cancel := context.WithTimeout(context.Background(), lookupPatience)
	defer cancel()
	id, known := r.d.find(ctx, name)
	if !known {
		return v4, v6, false
	}
	r.ask(func(n *node.Node, now clock.Reading) {
		l, leased := n.Lease(now, id)
		v4, v6, ok = l.V4, l.V6, leased
	})
	return v4, v6, ok
}

// find is the key behind an address of any format, a node id or a name. What this node does not
// know by itself it asks the network for.
func (d *daemon) find(ctx context.Context, text string) (id ident.NodeID, ok bool) {
	name := d.bare(text)
	err := d.loop.ask(ctx, func(n *node.Node, _ clock.Reading) {
		if id, ok = behind(n, text); !ok {
			id, ok = keyOf(n, name)
		}
	})
	if err != nil || ok {
		return id, ok
	}
	question := node.Lookup{Name: name}
	if a, err := conf.ParseStatic(text); err == nil && a.IsValid() {
		question = node.Lookup{Addr: a}
	} else if ident.CheckName(name) != nil {
		return id, false
	}
	e, err := d.loop.wait(ctx, func(token uint64) node.Command {
		question.Token = token
		return question
	})
	return e.Key, err == nil && !e.Key.IsZero()
}

// behind finds the key behind a node-local address.
func behind(n *node.Node, text string) (ident.NodeID, bool) {
	if a, err := netip.ParseAddr(text); err == nil {
		return n.ByAddr(a.Unmap())
	}
	if mac, err := net.ParseMAC(text); err == nil && len(mac) == macSize {
		return n.ByMAC([macSize]byte(mac))
	}
	return ident.NodeID{}, false
}

// macSize is the length of an Ethernet address in bytes.
const macSize = 6

// Reverse finds the name of an address: the tunnel's, else the id of the key behind it. The network
// is asked for static addresses only, and only where they are the network's.
func (r *namer) Reverse(a netip.Addr) (name string, ok bool) {
	if conf.StaticNetwork().Contains(a) && len(r.d.host.statics) == 0 {
		return "", false
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookupPatience)
	defer cancel()
	id, ok := r.d.find(ctx, a.String())
	r.ask(func(n *node.Node, _ clock.Reading) {
		if name = n.NameOf(id); name == "" {
			name = id.String()
		}
	})
	return name, ok
}

func (r *namer) ask(f func(n *node.Node, now clock.Reading)) {
	ctx, cancel := context.WithTimeout(context.Background(), lookupPatience)
	defer cancel()
	_ = r.d.loop.ask(ctx, f) // no answer is the answer of a daemon that stops
}

// keyOf finds the key that a text means: a node id or a name, in lower case without the domain.
func keyOf(n *node.Node, text string) (ident.NodeID, bool) {
	if id, err := ident.ParseNodeID(text); err == nil {
		return id, true
	}
	return n.Named(text)
}

// bare is a name as the node knows it: lower case, without the domain.
func (d *daemon) bare(name string) string {
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	return strings.TrimSuffix(name, strings.ToLower(d.files.cfg.Resolver.Domain))
}
