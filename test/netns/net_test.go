// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package netns is tests only: the shipped programs on real kernels, in namespaces that the tests
// make themselves.
package netns

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"staex/test/world"
	"staex/test/world/scan"
)

func TestMain(m *testing.M) { world.Main(m) }

// net is the world of the story with nodes in it.
type net struct {
	t    *testing.T
	w    *world.World
	home *world.Network
	ids  map[string]string
	run  map[string]*world.Process
}

// empty is a world without machines, and the certificate of a network.
func empty(t *testing.T) *net {
	t.Helper()
	w := world.New(t)
	w.NeedTUN()
	return &net{
		t: t, w: w, home: w.Found("home"), ids: map[string]string{},
		run: map[string]*world.Process{},
	}
}

// sites is the world of the story without nodes.
func sites(t *testing.T) *net {
	t.Helper()
	n := empty(t)
	world.Story(n.w)
	return n
}

// story starts public, gateway and technician, all of one network, and more nodes by name.
func story(t *testing.T, more ...string) *net {
	t.Helper()
	n := sites(t)
	n.node("public", "")
	for _, name := range append([]string{"gateway", "technician"}, more...) {
		n.node(name, "203.0.113.1")
	}
	return n
}

// node makes a host a node and waits for its parent.
func (n *net) node(name, parents string, conf ...string) {
	n.t.Helper()
	h := n.w.Host(name)
	n.ids[name] = n.home.Init(h, parents, append(conf, world.DNSConf)...)
	h.Stub()
	n.start(name)
	if parents != "" {
		n.attached(name)
	}
}

func (n *net) start(name string) { n.run[name] = n.w.Host(name).Daemon("/etc/mcc") }

func (n *net) attached(name string) {
	n.t.Helper()
	n.w.Until(name+" finds its parent", 20*time.Second, func() bool {
		r := n.w.Host(name).Try("mcc", "parent")
		return r.OK() && strings.TrimSpace(r.Stdout) != ""
	})
}

// camera makes the tunnel of the story: one port of the camera for the technician.
func (n *net) camera(gateway, name string) {
	n.t.Helper()
	n.home.Tunnel(n.w.Host(gateway), n.w.Host("technician"), name, n.ids["technician"],
		"--targets", "tcp:80", "--external-ip-address", "192.168.1.10")
}

// page fetches a page at a host, once.
func (n *net) page(host, url string) string {
	ctx, cancel := context.WithTimeout(n.t.Context(), 5*time.Second)
	defer cancel()
	return n.w.Host(host).Get(ctx, url).Stdout
}

// opens waits until the technician sees a marker at a URL.
func (n *net) opens(url, marker string, within time.Duration) {
	n.t.Helper()
	n.w.Until("the technician opens "+url, within, func() bool {
		return strings.Contains(n.page("technician", url), marker)
	})
}

// address is where a host's own resolver finds a name.
func (n *net) address(host, name string) netip.Addr {
	n.t.Helper()
	out := n.w.Host(host).Run("getent", "ahostsv4", name)
	a, err := netip.ParseAddr(strings.Fields(out)[0])
	if err != nil {
		n.t.Fatalf("getent ahostsv4 %s: %q", name, out)
	}
	return a
}

// open lists what a scan of TCP ports from a host finds.
func (n *net) open(host string, target netip.Addr, ports []uint16) []uint16 {
	n.t.Helper()
	found, err := scan.TCP(n.t.Context(), n.w.Host(host), target, ports, 2*time.Second)
	if err != nil {
		n.t.Fatal(err)
	}
	return scan.OpenPorts(found)
}
