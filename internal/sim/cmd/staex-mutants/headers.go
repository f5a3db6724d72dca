// SPDX-License-Identifier: Apache-2.0

package main

const headerDir = "internal/overlay/flow/"

// headers are the checks that keep a TCP header from being rebuilt wrong.
var headers = []mutant{
	{
		"header-base-newer", headerDir + "refs.go",
		"base.at == 0 || base.at >= at",
		"base.at == 0",
	},
	{
		"header-held-older", headerDir + "refs.go",
		"m.at == 0 || m.heard >= at",
		"m.at == 0",
	},
	{
		"header-report-late", headerDir + "marks.go",
		"if at <= m.heard {",
		"if false {",
	},
	{
		"header-number-in-use", headerDir + "marks.go",
		"if open >= numRefs-1 {",
		"if open >= 100 {",
	},
	{
		"header-mark-late", headerDir + "marks.go",
		"if r.at > h.floor {",
		"if true {",
	},
	{
		"header-slot-rebound", headerDir + "refs.go",
		"r.flows[slot].flow != f {",
		"false {",
	},
}
