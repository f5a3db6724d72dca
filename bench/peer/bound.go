// SPDX-License-Identifier: Apache-2.0

//go:build linux

package peer

import (
	"fmt"
	"net/netip"

	"staex/test/world"
)

// bound is what is left of a network when everything is taken away but the work.
func bound() Peer {
	return Peer{
		Name: "bound", relaysMax: 1, program: "bench/bound",
		About: "no network: super-packets, AES-256-GCM and UDP offload, with one fixed key and " +
			"no protocol; small packets go one by one; a relay is one call to receive a batch " +
			"and one to send it",
		start: func(c *chain) {
			const port = 7000
			at := func(a netip.Addr) string { return netip.AddrPortFrom(a, port).String() }
			last := len(c.hosts) - 1
			end := func(i int, self, peer netip.Addr) {
				c.run(i, world.Program("bench/bound"), "tun0", at(self), at(peer))
				c.await(i, "tun0")
				c.hosts[i].Run("ip", "link", "set", "tun0", "gso_max_size", "61000")
				c.device(i, "tun0", 1420)
			}
			for i := 1; i < last; i++ {
				c.run(i, world.Program("bench/bound"), at(netip.IPv4Unspecified()),
					at(leftOf(i-1)), at(rightOf(i)))
			}
			end(0, leftOf(0), rightOf(0))
			end(last, rightOf(last-1), leftOf(last-1))
			c.target = inner(last)
		},
	}
}

// await waits until a program has made its device.
func (c *chain) await(i int, device string) {
	c.w.Until(fmt.Sprintf("n%d has %s", i, device), startTime, func() bool {
		return c.hosts[i].Try("test", "-e", "/sys/class/net/"+device).OK()
	})
}
