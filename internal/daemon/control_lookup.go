// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"strings"

	"staex/internal/api"
)

// lookup answers the name service module. A name that is none of ours is not found at once, so
// that no program waits for it.
func (c *control) lookup(a api.LookupArgs) (any, error) {
	r, names := api.LookupReply{}, &namer{c.d}
	if a.Name == "" {
		name, ok := names.Reverse(a.Address.Unmap().WithZone(""))
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
	var ok bool
	if r.V4, r.V6, ok = names.Lookup(name); !ok {
		return nil, notOurs(a.Name)
	}
	return r, nil
}

func notOurs(what string) error {
	return api.Errorf(api.CodeNotFound, "%s: not known here", what)
}
