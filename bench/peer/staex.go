// SPDX-License-Identifier: Apache-2.0

//go:build linux

package peer

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"staex/bench/load"
	"staex/test/world"
)

// joinTime is how long a node may take to find its parent.
const joinTime = 20 * time.Second

// staex is this repository's own network, as it ships. The node in the middle is the root, every
// other one has its neighbour on that side as its parent. The last host offers a tunnel.
func staex(name, conf, about string) Peer {
	return Peer{
		Name: name, board: true, relaysMax: manyRelays, program: "mccd",
		About: "this repository, " + about + "; relays cannot read",
		start: func(c *chain) { startStaex(c, conf) },
	}
}

// metricsSocket is where the node in the middle tells what it has done.
const metricsSocket = "/run/mcc/metrics.sock"

// batchesOf reads the metrics of a relay. A wake-up of a socket may take several batches.
func batchesOf(h *world.Host) Batches {
	page := h.Run("curl", "-sS", "--unix-socket", metricsSocket, "http://node/metrics")
	value := func(name string) float64 {
		_, rest, _ := strings.Cut(page, "\n"+name+" ")
		text, _, _ := strings.Cut(rest, "\n")
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			panic(failure("no " + name + " in the metrics"))
		}
		return v
	}
	return Batches{
		Datagrams: value(`mcc_packets_total{done="carried"}`),
		Calls:     value(`mcc_wakeups_total{of="socket"}`),
	}
}

func startStaex(c *chain, conf string) {
	network := c.w.Found("bench")
	n := len(c.hosts)
	root := n / 2
	ids := make([]string, n)
	start := func(i int, parent string) {
		h := c.hosts[i]
		var lines []string
		if conf != "" {
			lines = []string{conf}
		}
		if c.line.Board {
			lines = append(lines, "profile = small")
		}
		if i == root && n > 2 {
			lines = append(lines, "metrics-listen = "+metricsSocket)
			c.batches = func() Batches { return batchesOf(h) }
		}
		ids[i] = network.Init(h, parent, lines...)
		c.run(i, "mccd", "/etc/mcc")
		c.w.Until(fmt.Sprintf("node %d answers", i), joinTime, func() bool {
			return h.Try("mcc", "id").OK()
		})
		if parent == "" {
			return
		}
		c.w.Until(fmt.Sprintf("node %d finds its parent", i), joinTime, func() bool {
			r := h.Try("mcc", "parent")
			return r.OK() && strings.TrimSpace(r.Stdout) != ""
		})
	}
	start(root, "")
	for i := root - 1; i >= 0; i-- {
		start(i, rightOf(i).String())
	}
	for i := root + 1; i < n; i++ {
		start(i, leftOf(i-1).String())
	}
	network.Tunnel(c.last(), c.hosts[0], "far", ids[0], "--targets", fmt.Sprintf(
		"tcp:%d,tcp:%d,udp:%d,udp:%d",
		load.PortStream, load.PortMessage, load.PortFlood, load.PortEcho))
	text := strings.TrimSpace(c.hosts[0].MCC("resolve", "far"))
	target, err := netip.ParseAddr(text)
	if err != nil {
		// A name resolves through the daemon's own server where mcc takes keys only.
		c.w.Until("the name resolves", joinTime, func() bool {
			r := c.hosts[0].Try("dig", "+short", "-p", "8353", "@127.0.0.1", "far.home.arpa")
			target, err = netip.ParseAddr(strings.TrimSpace(r.Stdout))
			return err == nil
		})
	}
	c.target = target
	c.again = c.repeat(nil, "mccd", "/etc/mcc")
}
