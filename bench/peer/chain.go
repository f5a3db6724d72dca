// SPDX-License-Identifier: Apache-2.0

//go:build linux

package peer

import (
	"fmt"
	"net/netip"

	"staex/test/world"
)

// left and right are the interfaces of a host towards its neighbours.
const left, right = "left", "right"

// chain is a row of hosts with a cable between neighbours, and what a peer makes of it.
//
//	n0 ── 10.20.0.0/24 ── n1 ── 10.20.1.0/24 ── n2
//	   .1              .2    .1              .2
type chain struct {
	w      *world.World
	line   Line
	hosts  []*world.Host
	procs  []Proc
	target netip.Addr
	again  func() Proc
}

// leftOf and rightOf are the addresses at the ends of the cable after host i.
func leftOf(i int) netip.Addr  { return netip.AddrFrom4([4]byte{10, 20, byte(i), 1}) }
func rightOf(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 20, byte(i), 2}) }

// inner is the address of host i inside a network that lets us choose.
func inner(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 99, 0, byte(i + 1)}) }

func (c *chain) last() *world.Host { return c.hosts[len(c.hosts)-1] }

// cable lays the cable between host i and the next.
func (c *chain) cable(i int) {
	a, b := c.hosts[i], c.hosts[i+1]
	a.Cable(right, leftOf(i).String()+"/24", b, left, rightOf(i).String()+"/24")
	if c.line.Plain || c.line.Lossy {
		a.Run("ethtool", "-K", right, "tso", "off", "tx-udp-segmentation", "off", "gro", "on")
		b.Run("ethtool", "-K", left, "tso", "off", "tx-udp-segmentation", "off", "gro", "on")
	}
}

// run starts a program on host i. The first start on host 0 is what Again repeats.
func (c *chain) run(i int, args ...string) *world.Process {
	p := c.hosts[i].Start(args...)
	c.procs = append(c.procs, Proc{Relay: i != 0 && i != len(c.hosts)-1, Process: p})
	return p
}

// forward lets the hosts in between forward packets.
func (c *chain) forward() {
	for _, h := range c.hosts[1 : len(c.hosts)-1] {
		h.Run("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
	}
}

// device gives a device of host i its inner address.
func (c *chain) device(i int, name string, mtu int) {
	h := c.hosts[i]
	h.Run("ip", "addr", "add", inner(i).String()+"/24", "dev", name)
	h.Run("ip", "link", "set", name, "mtu", fmt.Sprint(mtu), "up")
}

// veth is no network at all: the kernel forwards.
func veth() Peer {
	return Peer{
		Name: "veth", relaysMax: manyRelays,
		About: "no network: the cable itself, and the kernel forwarding",
		start: func(c *chain) {
			c.forward()
			n := len(c.hosts)
			for i, h := range c.hosts {
				for net := range n - 1 {
					to := leftOf(net)
					prefix := netip.PrefixFrom(to, 24).Masked().String()
					switch {
					case net > i:
						h.Route(prefix, rightOf(i).String())
					case net < i-1:
						h.Route(prefix, leftOf(i-1).String())
					}
				}
			}
			c.target = rightOf(n - 2)
		},
	}
}
