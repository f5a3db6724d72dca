// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"net/netip"
	"testing"
	"time"

	"staex/internal/overlay/node"
)

// TestAStaticAddressMayComeChangeAndGoWhileTheTunnelStands: a person edits the tunnel's file at the
// server end, and the client follows without a restart.
func TestAStaticAddressMayComeChangeAndGoWhileTheTunnelStands(t *testing.T) {
	w := home(66)
	g, c := agreed(t, w)
	lease, _ := c.Address("meter")
	before := lease
	for _, want := range []netip.Addr{
		netip.MustParseAddr("10.115.1.1"), netip.MustParseAddr("10.115.1.2"), {},
	} {
		g.tunnels[0].Static = want
		must(g.Apply(node.SetTunnels{Tunnels: g.tunnels}))
		if !want.IsValid() {
			want = lease
		}
		if !w.Until(30*time.Second, func() bool {
			a, ok := c.Address("meter")
			return ok && a == want
		}) {
			a, _ := c.Address("meter")
			t.Fatalf("the client finds the tunnel at %v, want %v", a, want)
		}
		talks(t, w, c, "meter", "at "+want.String(), 10*time.Second)
		if src := c.Got[len(c.Got)-1].Src.Addr(); src != want {
			t.Errorf("the answer came from %v, want %v", src, want)
		}
		got := len(g.Got)
		c.SendIP(UDP(netip.AddrPortFrom(c.Own(), 5001), netip.AddrPortFrom(before, 161),
			[]byte("to the old address")))
		w.Run(5 * time.Second)
		if len(g.Got) != got {
			t.Errorf("%v still leads there after %v", before, want)
		}
		before = want
	}
	sound(t, w)
}
