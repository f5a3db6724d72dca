// SPDX-License-Identifier: Apache-2.0

package main

// claims are the checks of who owns a name.
var claims = []mutant{
	{
		"name-key", node + "claims.go",
		"return err == nil && c.Key == owner && ",
		"return err == nil && ",
	},
	{
		"name-signature", node + "claims.go",
		"c.VerifyBy(n.who.Network.Key) == nil &&",
		"true &&",
	},
	{
		"name-expired", node + "claims.go",
		"!c.Expired(n.moment(c.Network)) && slices.Contains",
		"slices.Contains",
	},
	{
		"name-listed", node + "claims.go",
		" && slices.Contains(claimsOf(c.Names, c.Static), what)\n}",
		"\n}",
	},
	{
		"name-pinned", node + "claims.go",
		"x.signed == best.signed && x.key == pinned {",
		"false && x.key == pinned {",
	},
}
