// SPDX-License-Identifier: Apache-2.0

//go:build linux

package peer

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"staex/bench/link"
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
	again  func() (p Proc, release func())
	ending []func()
	groups []string // control groups of programs
	// batches is what Batches of a Site asks.
	batches func() Batches
}

// leftOf and rightOf are the addresses at the ends of the cable after host i.
func leftOf(i int) netip.Addr  { return netip.AddrFrom4([4]byte{10, 20, byte(i), 1}) }
func rightOf(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 20, byte(i), 2}) }

// inner is the address of host i inside a network that lets us choose.
func inner(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 99, 0, byte(i + 1)}) }

func (c *chain) last() *world.Host { return c.hosts[len(c.hosts)-1] }

// The features that ethtool takes from an interface.
var (
	// noSegmentation: the kernel cuts, as in front of an ordinary network card.
	noSegmentation = []string{"tso", "off", "tx-udp-segmentation", "off", "gro", "on"}
	// noOffload: frames are what they would be on a real cable, checksums and all.
	noOffload = []string{
		"tx", "off", "tso", "off", "gso", "off", "tx-udp-segmentation", "off",
		"gro", "off",
	}
)

// cable lays the cable between host i and the next.
func (c *chain) cable(i int) {
	a, b := c.hosts[i], c.hosts[i+1]
	near, far := leftOf(i).String()+"/24", rightOf(i).String()+"/24"
	features := []string(nil)
	switch {
	case c.line.Lossy:
		features = noOffload
		mid := c.w.Host(fmt.Sprintf("line%d", i))
		a.Cable(right, near, mid, left, "")
		b.Cable(left, far, mid, right, "")
		end, err := link.Join(mid, left, right, c.line.Way)
		if err != nil {
			panic(failure(err.Error()))
		}
		c.ending = append(c.ending, end)
	case c.line.Plain:
		features = noSegmentation
		a.Cable(right, near, b, left, far)
	default:
		a.Cable(right, near, b, left, far)
	}
	if features != nil {
		a.Run(append([]string{"ethtool", "-K", right}, features...)...)
		b.Run(append([]string{"ethtool", "-K", left}, features...)...)
	}
}

// gate is how a program starts in the very moment in which a pipe is written to, with its host's
// namespaces around it already.
const gate, gatePipe = `read -r go <"$1"; shift; exec "$@"`, "/run/gate"

// repeat makes what Again of a Site is: it starts a program on the first host that waits for its
// release. after is what has to be done for it once it runs; it may be nil.
func (c *chain) repeat(after func(p *world.Process), args ...string) func() (Proc, func()) {
	h := c.hosts[0]
	return func() (Proc, func()) {
		h.Run("sh", "-c", "rm -f "+gatePipe+"; mkfifo "+gatePipe)
		p := h.Start(append([]string{"sh", "-c", gate, "sh", gatePipe}, args...)...)
		var pipe *os.File
		c.w.Until(p.Name+" waits at the gate", startTime, func() bool {
			var err error // as long as nobody reads
			pipe, err = os.OpenFile(h.Path(gatePipe), os.O_WRONLY|syscall.O_NONBLOCK, 0)
			return err == nil
		})
		return Proc{First: true, Process: p}, func() {
			_, err := pipe.WriteString("go\n")
			if err = errors.Join(err, pipe.Close()); err != nil {
				panic(failure(err.Error()))
			}
			if after != nil {
				after(p)
			}
		}
	}
}

// run starts a program on host i.
func (c *chain) run(i int, args ...string) *world.Process {
	if c.line.Board {
		args = append([]string{
			"sh", "-c", paused, "sh", "taskset", "-c", strconv.Itoa(i % runtime.NumCPU()),
			"env", "GOMAXPROCS=1", "GOMEMLIMIT=64MiB",
		}, args...)
	}
	p := c.hosts[i].Start(args...)
	if c.line.Board {
		c.hold(p)
	}
	c.procs = append(c.procs, Proc{
		Relay: i != 0 && i != len(c.hosts)-1, First: i == 0, Process: p,
	})
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
	c.hosts[i].Run("sh", "-c", fmt.Sprintf("ip addr add %s/24 dev %s; ip link set %s mtu %d up",
		inner(i), name, name, mtu))
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
