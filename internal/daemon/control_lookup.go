// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"strings"
	"time"

	"staex/internal/api"
	"staex/internal/clock"
	"staex/internal/overlay/node"
)

// modulePatience is how long a name may wait for the network when the name service module asks:
// a little less than the 400 ms after which it turns away.
const modulePatience = 350 * time.Millisecond

// lookup answers the name service module. A name that is none of ours is not found at once, so
// that no program waits for it.
func (c *control) lookup(ctx context.Context, a api.LookupArgs) (any, error) {
	r := api.LookupReply{}
	if a.Name == "" {
		name, ok := (&namer{c.d}).Reverse(a.Address.Unmap().WithZone(""))
		if !ok {
			return nil, notOurs(a.Address.String())
		}
		r.Name = name + c.d.files.cfg.Resolver.Domain
		return r, nil
	}
	name := c.d.bare(a.Name)
	if name == "" || strings.EqualFold(name, strings.TrimSuffix(a.Name, ".")) &&
		strings.Contains(name, ".") {
		return nil, notOurs(a.Name) // under another domain
	}
	ctx, cancel := context.WithTimeout(ctx, modulePatience)
	defer cancel()
	id, ok := c.d.find(ctx, name)
	switch {
	case !ok && ctx.Err() != nil:
		return nil, api.Errorf(api.CodeTimeout, "%s: the network has not answered yet", a.Name)
	case !ok:
		return nil, notOurs(a.Name)
	}
	err := c.ask(ctx, func(n *node.Node, now clock.Reading) {
		l, _ := n.Lease(now, id)
		r.V4, r.V6 = l.V4, l.V6
	})
	return r, err
}

func notOurs(what string) error {
	return api.Errorf(api.CodeNotFound, "%s: not known here", what)
}
