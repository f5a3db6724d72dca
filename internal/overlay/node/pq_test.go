// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"testing"

	"staex/internal/overlay/node"
)

func TestALinkWhoseEndsCameToDifferentKeysEndsAndIsMadeAnew(t *testing.T) {
	for _, parent := range []bool{false, true} {
		x := newBench(t, node.PQPrefer)
		spoiled := 0
		x.watch = func(n *node.Node) {
			if (n == x.parent) == parent && spoiled == 0 && node.SpoilKEM(n) {
				spoiled++
			}
		}
		x.start(false)
		if links, _ := x.child.Hybrid(); links != 0 || spoiled != 1 {
			t.Fatalf("%d links are hybrid, %d exchanges were spoiled", links, spoiled)
		}
		for range 400 { // a minute and a bit in which every timer goes off
			x.later()
		}
		links, _ := x.child.Hybrid()
		if _, _, ok := x.child.Parent(); !ok || links != 1 {
			t.Errorf("parent %v: attached %v, %d links are hybrid", parent, ok, links)
		}
	}
}
