// SPDX-License-Identifier: Apache-2.0

package main

// clones are the checks of keys that two devices use.
var clones = []mutant{
	{
		"clone-rows", node + "records.go",
		"if !n.rowMayMove(now, l, r) {",
		"if false {",
	},
	{
		"clone-links", node + "admit.go",
		"if err == nil && !n.childMayMove(now, cert.Key, from) {",
		"if false {",
	},
	{
		"clone-tickets", node + "ticket_parent.go",
		"if !n.childMayMove(now, c.cert.Key, from) {",
		"if false {",
	},
	{
		"clone-own", node + "records.go",
		"ok && n.leaps() {",
		"ok {",
	},
}
