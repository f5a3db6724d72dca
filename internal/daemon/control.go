// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"net"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"staex/internal/api"
	"staex/internal/clock"
	"staex/internal/host/nft"
	"staex/internal/ident"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/node"
	"staex/internal/overlay/state"
	"staex/internal/overlay/tunnel"
)

// control carries out the requests of the control socket.
type control struct{ d *daemon }

// Handle carries out one request.
func (c *control) Handle(ctx context.Context, _ api.Peer, req api.Request) (any, error) {
	switch req.Op {
	case api.OpID:
		return api.IDReply{ID: c.d.files.who.Secret.ID()}, nil
	case api.OpParent:
		return c.parent(ctx)
	case api.OpHealth:
		return c.health(ctx)
	case api.OpStatus:
		return c.status(ctx)
	case api.OpDir:
		return c.dir(), nil
	case api.OpReloadTunnels:
		return c.d.reloadTunnels(ctx)
	case api.OpTunnels:
		return c.tunnels(ctx)
	case api.OpNodes:
		return decoded(ctx, req, c.nodes)
	case api.OpResolve:
		return decoded(ctx, req, c.resolve)
	case api.OpLookup:
		return decoded(ctx, req, c.lookup)
	case api.OpRoute:
		return decoded(ctx, req, c.route)
	case api.OpPing:
		return decoded(ctx, req, c.ping)
	case api.OpRevocations:
		return decoded(ctx, req, c.revocations)
	case api.OpRevoke:
		return decoded(ctx, req, c.revoke)
	case api.OpApplyRules:
		return decoded(ctx, req, c.applyRules)
	case api.OpSettleRules:
		return decoded(ctx, req, c.settleRules)
	case api.OpAcceptTunnel, api.OpRejectTunnel, api.OpDisableTunnel, api.OpEnableTunnel,
		api.OpDeleteTunnel:
		return decoded(ctx, req, func(ctx context.Context, a api.TunnelArgs) (any, error) {
			return c.change(ctx, req.Op, a.Tunnel)
		})
	}
	return nil, api.Errorf(api.CodeBadRequest, "unknown operation %q", req.Op).
		WithHint("mcc and mccd should have the same version")
}

// decoded reads the arguments and calls f.
func decoded[A any](ctx context.Context, req api.Request, f func(context.Context, A) (any, error),
) (any, error) {
	var args A
	if err := req.Decode(&args); err != nil {
		return nil, err
	}
	return f(ctx, args)
}

// ask runs f in the node's goroutine.
func (c *control) ask(ctx context.Context, f func(n *node.Node, now clock.Reading)) error {
	return c.d.loop.ask(ctx, f)
}

func parentOf(n *node.Node) (r api.ParentReply) {
	if id, addr, ok := n.Parent(); ok {
		r.ID, r.Address = id, addr.String()
	}
	return r
}

func (c *control) parent(ctx context.Context) (r api.ParentReply, err error) {
	err = c.ask(ctx, func(n *node.Node, _ clock.Reading) { r = parentOf(n) })
	return r, err
}

func (c *control) health(ctx context.Context) (r api.HealthReply, err error) {
	var far, near bool // there are devices that packets are forwarded to, and that proxies reach
	err = c.ask(ctx, func(n *node.Node, now clock.Reading) {
		r = c.healthOf(n, now)
		for _, e := range n.Externals(now) {
			near = near || e.Addr.IsLinkLocalUnicast()
			far = far || !e.Addr.IsLinkLocalUnicast()
		}
	})
	tun := c.d.host.device.Name()
	if far {
		r.Warnings = append(r.Warnings, c.rivals(nft.Rivals, "forwarded packets",
			"external devices need an accept between "+tun+" and their network there")...)
	}
	if near {
		r.Warnings = append(r.Warnings, c.rivals(nft.Guards, "packets to this machine",
			"external devices with link-local addresses need an accept of what comes from "+tun+
				" there")...)
	}
	return r, err
}

// rivals are warnings about packet filters of others between this node and devices beside it.
func (c *control) rivals(find func(own string) ([]string, error), what, need string,
) (warnings []string) {
	if c.d.host.filter == nil {
		return nil
	}
	chains, err := find(tableName(c.d.files.cfg.Device.Chain))
	if err != nil {
		return []string{"other packet filters cannot be looked at: " + err.Error()}
	}
	for _, chain := range chains {
		warnings = append(warnings, "another packet filter drops "+what+" unless a rule of its "+
			"own accepts them: nft list chain "+chain+"; "+need)
	}
	return warnings
}

// healthOf gathers what is wrong. It runs in the node's goroutine.
func (c *control) healthOf(n *node.Node, now clock.Reading) api.HealthReply {
	l := c.d.loop
	problems := slices.Concat(n.Problems(), l.tunnels.problems, l.gateway.trouble,
		c.d.forwarding.problems())
	if len(l.keep.waiting) > 0 {
		problems = append(problems, "the data directory "+c.d.files.cfg.Process.DataDir+
			" cannot be written: is the disk full?")
	}
	warnings := slices.Concat(n.Warnings(), c.d.files.notes, c.d.host.lacks, l.tunnels.notes)
	if count := l.endless(now); count > 0 {
		warnings = append(warnings, "nothing keeps this machine's clock right, so it is not "+
			"believed: tunnels that do not end on time: "+strconv.Itoa(count))
	}
	if taken := c.d.host.taken; taken != "" {
		into := &warnings
		for _, t := range n.Tunnels() {
			if t.Side == tunnel.Client && t.Static.IsValid() {
				into = &problems // programs here would reach it there
			}
		}
		*into = append(*into, taken)
	}
	return api.HealthReply{OK: len(problems) == 0, Problems: problems, Warnings: warnings}
}

func (c *control) dir() api.DirReply {
	f := c.d.files
	certs := []string{f.own}
	for _, path := range f.cfg.Certs.Networks {
		if path != f.own {
			certs = append(certs, path)
		}
	}
	return api.DirReply{
		Dir: f.cfg.Dir, Config: f.path, Tunnels: f.cfg.Tunnels.Dir, NetworkCertificates: certs,
	}
}

func (c *control) status(ctx context.Context) (r api.StatusReply, err error) {
	err = c.ask(ctx, func(n *node.Node, now clock.Reading) {
		r = api.StatusReply{
			Version: api.Version, ID: n.Self(), Network: networkName(c.d.files.who),
			Dir: c.d.files.cfg.Dir, Device: c.d.host.device.Name(), Uptime: now.Up - c.d.born,
			Parent: parentOf(n), Health: c.healthOf(n, now), Children: n.Links(),
			Nodes: len(n.Nodes(now)), Tunnels: len(n.Tunnels()), Sessions: n.Sessions(),
			Drops: c.d.drops(n),
		}
		if !r.Parent.ID.IsZero() {
			r.Children--
		}
	})
	return r, err
}

// networkName is what people call a network: its name, else its hash.
func networkName(who *ident.Identity) string {
	if who.Network.Name != "" {
		return who.Network.Name
	}
	return who.Cert.Network.String()
}

// dropCounts adds up the counters of all workers.
func (d *daemon) dropCounts(n *node.Node) [drop.Count]uint64 {
	counts := n.Drops()
	for _, w := range d.workers {
		for i := range counts {
			counts[i] += w.C.Drops[i].Load()
		}
	}
	for _, s := range d.shapers {
		for i := range counts {
			counts[i] += s.drops[i].Load()
		}
	}
	return counts
}

// drops lists what was dropped.
func (d *daemon) drops(n *node.Node) []api.Drop {
	var list []api.Drop
	for i, count := range d.dropCounts(n) {
		if count > 0 {
			list = append(list, api.Drop{Reason: drop.Reason(i).String(), Count: count})
		}
	}
	return list
}

func (c *control) nodes(ctx context.Context, a api.NodesArgs) (any, error) {
	r := api.NodesReply{Nodes: []api.Node{}}
	err := c.ask(ctx, func(n *node.Node, now clock.Reading) {
		list := n.Nodes(now)
		// A sort of package slices is 30 kB of program for a struct of this size.
		sort.SliceStable(list, func(i, j int) bool { return list[i].ID.Compare(list[j].ID) < 0 })
		for _, x := range list {
			switch {
			case x.ID.Compare(a.After) <= 0 && !a.After.IsZero():
			case !a.All && x.Network != c.d.files.who.Cert.Network && !ours(x):
			case len(r.Nodes) > 0 && r.Nodes[len(r.Nodes)-1].ID == x.ID:
			case len(r.Nodes) == api.MaxNodes:
				r.More = true
				return
			default:
				r.Nodes = append(r.Nodes, c.row(x, now))
			}
		}
	})
	return r, err
}

// ours tells whether a node of another network matters here: an end of one of our tunnels, or one
// of our parents.
func ours(x node.Info) bool { return x.Self || x.Tunnel != "" || x.Above > 0 }

// row is a node as the table shows it.
func (c *control) row(x node.Info, now clock.Reading) api.Node {
	r := api.Node{ID: x.ID, Parent: x.Parent, Type: typeOf(x.Kind), Self: x.Self}
	switch {
	case x.Self:
		r.Tags, r.Address = c.d.files.cfg.Node.Tags, c.d.ownAddress()
	case x.Addr.IsValid():
		r.Address = x.Addr.String()
	case x.External.IsValid():
		r.Address = x.External.String()
	}
	if x.Seen > 0 && !now.Wall.IsZero() {
		r.LastSeen = now.Wall.Add(x.Seen - now.Up)
	}
	return r
}

func (c *control) resolve(ctx context.Context, a api.ResolveArgs) (any, error) {
	var r api.ResolveReply
	var others []string // what there is of kinds that nobody asked for
	full := false
	id, known := c.d.find(ctx, a.Address)
	err := c.ask(ctx, func(n *node.Node, now clock.Reading) {
		if !known {
			return
		}
		if a.Target == api.FormatNodeID {
			r.Address = id.String()
			return
		}
		l, leased := n.Lease(now, id)
		full = !leased
		for _, x := range n.Nodes(now) {
			full = full && (x.ID != id || x.Kind == state.Node) // no end of a tunnel of others
		}
		add := func(there bool, format, text string) {
			switch {
			case !there:
			case format == a.Target:
				r.Address = text
			default:
				others = append(others, format+" "+text)
			}
		}
		add(l.V4.IsValid(), api.FormatIPv4, l.V4.String())
		add(l.V6.IsValid(), api.FormatIPv6, l.V6.String())
		add(l.MAC != [macSize]byte{}, api.FormatMAC6, net.HardwareAddr(l.MAC[:]).String())
	})
	switch {
	case err != nil:
		return nil, err
	case !slices.Contains(resolveFormats, a.Target):
		return nil, api.Errorf(api.CodeBadRequest, "unknown format %q", a.Target).
			WithHint("choose one of " + strings.Join(resolveFormats, ", "))
	case r.Address == "" && len(others) > 0:
		return nil, api.Errorf(api.CodeNotFound, "%s has no %s address", a.Address,
			a.Target).WithHint("it has " + strings.Join(others, ", "))
	case full:
		return nil, api.Errorf(api.CodeRefused, "resolver.ipv4-network: %v is full",
			c.d.files.cfg.Resolver.IPv4).WithHint("choose a larger range in " + c.d.files.path)
	case r.Address == "":
		return nil, api.Errorf(api.CodeNotFound, "%s: not known here", a.Address).
			WithHint("a tunnel's name and key resolve only on its client node: see mcc tunnels")
	}
	return r, nil
}

var resolveFormats = []string{api.FormatIPv4, api.FormatIPv6, api.FormatMAC6, api.FormatNodeID}

// route tells the way between two nodes: what this node's records say, else what a probe of the
// one finds that meets the other.
func (c *control) route(ctx context.Context, a api.RouteArgs) (any, error) {
	var r api.RouteReply
	here := c.d.files.who.Secret.ID()
	if a.Source.IsZero() {
		a.Source = here
	}
	err := c.ask(ctx, func(n *node.Node, _ clock.Reading) {
		r.Path, _ = n.Route(a.Source, a.Destination)
	})
	if err != nil || len(r.Path) > 0 {
		return r, err
	}
	wait, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	for _, back := range []bool{false, true} {
		near, far := a.Source, a.Destination
		if back {
			near, far = far, near
		}
		e, err := c.d.loop.probe(wait, far.String())
		if i := slices.Index(e.Trail, near); err == nil && e.Text == "" && i >= 0 {
			if r.Path = e.Trail[i:]; back {
				slices.Reverse(r.Path)
			}
			return r, nil
		}
	}
	return nil, api.Errorf(api.CodeNotFound, "no route from %v to %v is known here", a.Source,
		a.Destination).WithHint("only a common parent knows the way between two other nodes: " +
		"ask there")
}

// pingTime is how long a ping waits unless it was told.
const pingTime = 5 * time.Second

func (c *control) ping(ctx context.Context, a api.PingArgs) (any, error) {
	if a.Timeout <= 0 {
		a.Timeout = pingTime
	}
	wait, cancel := context.WithTimeout(ctx, min(a.Timeout, api.RequestTimeout))
	defer cancel()
	e, err := c.d.loop.probe(wait, c.d.bare(a.Node))
	switch {
	case errors.Is(err, errUnknownNode):
		return nil, api.Errorf(api.CodeNotFound, "%s: no such name", a.Node).
			WithHint("use a node id, or a name that mcc tunnels shows")
	case errors.Is(err, context.DeadlineExceeded):
		return nil, api.Errorf(api.CodeNoAnswer, "%s did not answer within %v", a.Node, a.Timeout)
	case err != nil:
		return nil, err
	case e.Text != "":
		return nil, api.Errorf(api.CodeNoAnswer, "%s: %s", a.Node, e.Text).
			WithHint("is the node running, and is it of this network? see mcc nodes, mcc health")
	}
	return api.PingReply{
		ID: e.Key, RoundTrip: e.Took, Hops: max(len(e.Trail)-1, 0), Path: e.Trail,
	}, nil
}
