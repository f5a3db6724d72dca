// SPDX-License-Identifier: Apache-2.0

//go:build linux

package peer

import (
	"fmt"

	"staex/test/world"
)

// bound is what is left of a network when everything is taken away but the work.
func bound() Peer {
	return Peer{
		Name: "bound", program: "bench/bound",
		About: "no network: super-packets, AES-256-GCM and UDP offload, with one fixed key and " +
			"no protocol; small packets go one by one",
		start: func(c *chain) {
			const port = 7000
			for i := range c.hosts {
				from, to := leftOf(0), rightOf(0)
				if i == 1 {
					from, to = to, from
				}
				c.run(i, world.Program("bench/bound"), "tun0",
					fmt.Sprintf("%s:%d", from, port), fmt.Sprintf("%s:%d", to, port))
				c.await(i, "tun0")
				c.hosts[i].Run("ip", "link", "set", "tun0", "gso_max_size", "61000")
				c.device(i, "tun0", 1420)
			}
			c.target = inner(1)
		},
	}
}

// await waits until a program has made its device.
func (c *chain) await(i int, device string) {
	c.w.Until(fmt.Sprintf("n%d has %s", i, device), startTime, func() bool {
		return c.hosts[i].Try("test", "-e", "/sys/class/net/"+device).OK()
	})
}
