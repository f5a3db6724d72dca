// SPDX-License-Identifier: Apache-2.0

//go:build linux

package peer

import (
	"net/netip"
	"strings"

	"staex/test/world"
)

// yggdrasil is its library in a runner of ours. Every node links to its neighbour over TLS.
func yggdrasil() Peer {
	return Peer{
		Name: "yggdrasil", relaysMax: manyRelays, program: "bench/yggdrasil",
		About: "the library in a runner of ours (its command cannot be built here), TLS links, " +
			"IPv6, MTU 65535; a relay cannot read",
		start: startYggdrasil,
	}
}

func startYggdrasil(c *chain) {
	n := len(c.hosts)
	hub := n / 2
	const device, listen = "ygg0", "tls://0.0.0.0:9001"
	args := func(i int) []string {
		a := []string{world.Program("bench/yggdrasil"), device, listen}
		switch {
		case i < hub:
			a = append(a, "tls://"+rightOf(i).String()+":9001")
		case i > hub:
			a = append(a, "tls://"+leftOf(i-1).String()+":9001")
		}
		return a
	}
	start := func(i int) {
		p := c.run(i, args(i)...)
		c.w.Until(p.Name+" says its address", startTime, func() bool {
			_, ok := yggdrasilAddress(p)
			return ok
		})
		if i == n-1 {
			c.target, _ = yggdrasilAddress(p)
		}
	}
	for i := hub; i >= 0; i-- {
		start(i)
	}
	for i := hub + 1; i < n; i++ {
		start(i)
	}
	c.again = c.repeat(nil, args(0)...)
}

func yggdrasilAddress(p *world.Process) (netip.Addr, bool) {
	for line := range strings.Lines(p.Log()) {
		if text, ok := strings.CutPrefix(line, "ADDR "); ok {
			a, err := netip.ParseAddr(strings.TrimSpace(text))
			return a, err == nil
		}
	}
	return netip.Addr{}, false
}
