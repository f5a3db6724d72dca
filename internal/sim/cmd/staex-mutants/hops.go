// SPDX-License-Identifier: Apache-2.0

package main

// hops are the checks between neighbours on a path.
var hops = []mutant{
	{
		"hop-mac", fast + "hop.go",
		"case g.key.Check(f):",
		"case true:",
	},
	{
		"hop-mac-missing", fast + "hop.go",
		"if !g.enforced.Load() {\n\t\t\treturn true",
		"if true {\n\t\t\treturn true",
	},
	{
		"hop-mac-not-asked", node + "junk.go",
		"if m.to != nil {\n\t\tn.guard(now, m)",
		"if false {\n\t\tn.guard(now, m)",
	},
	{
		"complaints-of-junk", node + "junk.go",
		"if h.told != 0 && now.Up-h.told < hopAgain {",
		"if false {",
	},
	{
		"size-mac", node + "size.go",
		"case !session.CheckSizeMAC(l.digest, p.MACInput(), p.MAC):",
		"case false:",
	},
	{
		"size-answer-old", node + "size.go",
		"x.asked != int(p.Size) || x.number != p.Number:",
		"x.asked != int(p.Size):",
	},
	{
		"too-big-rate", node + "size.go",
		"told && now.Up-at < tooBigEvery ||",
		"told && at < 0 ||",
	},
	{
		"too-big-frame", fast + "inbound.go",
		"case size > r.To.Size():",
		"case false:",
	},
}

// churns are the checks that nothing changes without end.
var churns = []mutant{
	{
		"record-churn", node + "records.go",
		"if n.churn.often(now.Up, r.Key) {",
		"if false {",
	},
	{
		"switch-churn", node + "switches.go",
		"t.DisabledThere && n.churn.often(now.Up, t.ID):",
		"t.DisabledThere && false:",
	},
}
