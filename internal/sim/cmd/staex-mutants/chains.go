// SPDX-License-Identifier: Apache-2.0

package main

// chains are the checks of networks that an authority signed.
var chains = []mutant{
	{
		"chain-authority", node + "chains.go",
		"if n.chains.believed[c.Authority.Hash()] != c.Authority {",
		"if false {",
	},
	{
		"chain-signature", node + "chains.go",
		"(it is %v)\", ErrAuthority, c.Authority)\n\t}\n\treturn c.Verify()",
		"(it is %v)\", ErrAuthority, c.Authority)\n\t}\n\treturn nil",
	},
	{
		"chain-joins", node + "chains.go",
		"if n.chains.admitting[c.Authority.Hash()] == c.Authority {",
		"if true {",
	},
	{
		"chain-relay", node + "chains.go",
		"if !chain.Roles.Has(ident.RoleRelay) {",
		"if false {",
	},
	{
		"chain-revoked", node + "chains.go",
		"return s != nil && s.Network() == c.Authority && s.Has(ident.NodeID(c.Key))",
		"return false && s.Has(ident.NodeID(c.Key))",
	},
	{
		"chain-expired", node + "chains.go",
		"case c.Expired(n.moment(c.Authority.Hash())):\n\t\tday",
		"case false:\n\t\tday",
	},
	{
		"chain-expired-later", node + "chains.go",
		"if !c.Expired(n.moment(c.Authority.Hash())) {",
		"if true {",
	},
	{
		"chain-list-bound", node + "revoked.go",
		"s.Bound(maxChainKeys)",
		"s.Bound(revoke.MaxUnion)",
	},
}
