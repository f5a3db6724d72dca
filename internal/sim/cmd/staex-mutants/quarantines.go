// SPDX-License-Identifier: Apache-2.0

package main

// quarantines are the checks of links whose child has an expired certificate.
var quarantines = []mutant{
	{
		"quarantine-messages", node + "control.go",
		"if x := n.confined[l.id]; x != nil && !x.permits(typ) {",
		"if x := n.confined[l.id]; x != nil && false {",
	},
	{
		"quarantine-road", node + "quarantine.go",
		"return x != nil && dest != x.issuer",
		"return false && dest != x.issuer",
	},
	{
		"quarantine-no-ticket", node + "ticket_parent.go",
		"if x := n.confined[l.id]; x != nil {",
		"if x := n.confined[l.id]; x != nil && false {",
	},
	{
		"quarantine-in", fast + "inbound.go",
		"if !r.In.within(now, len(f)) {",
		"if false {",
	},
	{
		"quarantine-out", fast + "inbound.go",
		"case !r.To.within(now, size):",
		"case false:",
	},
	{
		"quarantine-rows", node + "quarantine.go",
		"return confinedRows",
		"return n.cfg.LinkRows",
	},
	{
		"quarantine-life", node + "quarantine.go",
		"n.timers.arm(x.end, now.Up+confinedLife)",
		"_ = confinedLife",
	},
	{
		"quarantine-network", node + "quarantine.go",
		"|| c.Key != key || !c.SelfSigned() || c.Verify() != nil {",
		"|| c.Key != key {",
	},
}
