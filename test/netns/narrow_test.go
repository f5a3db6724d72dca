// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import "testing"

// TestATransferGoesOnWhenALineNarrowsWithoutAWord lets the line of either end take shorter packets
// in the middle of a transfer, as a provider does that moves its customers into a tunnel.
func TestATransferGoesOnWhenALineNarrowsWithoutAWord(t *testing.T) {
	t.Parallel()
	for _, router := range []string{"officenat", "homenat"} {
		t.Run(router, func(t *testing.T) {
			t.Parallel()
			n := story(t)
			n.regular("files", "tcp:8000")
			n.w.Host(router).Rules(silent)
			address := n.address("technician", "files").String()
			f := n.transfer("files", "gateway", "8000", address)
			n.w.Host(router).Narrow("wan", 1280) // a full segment of the tunnel needs more
			f.stalls()
			f.flows("on a narrow line")
			t.Logf("longest gap %v", f.longest())
			n.w.Host(router).Narrow("wan", 1500)
			f.flows("on a wide line again")
			f.finish()
		})
	}
}
