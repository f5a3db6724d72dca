// SPDX-License-Identifier: Apache-2.0

package main

// heals are the checks of lists of revoked keys that come in sessions.
var heals = []mutant{
	{
		"list-part-head", node + "heal.go",
		"if reason := n.refusedHead(head); reason != drop.None {",
		"if reason := n.refusedHead(head); reason != drop.None && false {",
	},
	{
		"list-part-budget", node + "heal.go",
		"if !n.parts.take(now.Up) {",
		"if false {",
	},
}
