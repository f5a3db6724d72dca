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
	const listen = "tls://0.0.0.0:9001"
	program := world.Program("bench/yggdrasil")
	args := func(i int) []string {
		a := []string{program, "ygg0", listen}
		if i < n-1 {
			a = append(a, "tls://"+rightOf(i).String()+":9001")
		}
		return a
	}
	for i := n - 1; i >= 0; i-- {
		p := c.run(i, args(i)...)
		c.w.Until(p.Name+" says its address", startTime, func() bool {
			_, ok := yggdrasilAddress(p)
			return ok
		})
		if i == n-1 {
			c.target, _ = yggdrasilAddress(p)
		}
	}
	c.again = func() Proc { return Proc{Process: c.hosts[0].Start(args(0)...)} }
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
