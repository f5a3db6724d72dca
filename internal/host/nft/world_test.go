// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nft_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"

	"staex/internal/host/hosttest"
	"staex/internal/host/netif"
	"staex/internal/host/nft"
	"staex/internal/host/tun"
)

// world is a gateway with everything around it, each box a network namespace:
//
//	client 10.115.0.9 ===TUN=== gateway --- lan (192.168.7.2)
//	                                   \--- wan (192.168.8.2)
//
// The test itself is the overlay: it carries packets between the two TUN devices.
type world struct {
	client, gateway, lan, wan *hosttest.Namespace
	nat                       *nft.NAT
	forwarding                netif.Forwarding
}

const (
	tunName   = "staex0"
	overlay   = "10.115.0.0/16"
	clientIP  = "10.115.0.9"
	lanIP     = "192.168.7.2"
	lanGate   = "192.168.7.1"
	wanIP     = "192.168.8.2"
	patience  = 10 * time.Second
	otherPort = 9999
)

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		client: hosttest.NewNamespace(t), gateway: hosttest.NewNamespace(t),
		lan: hosttest.NewNamespace(t), wan: hosttest.NewNamespace(t),
	}
	far := device(t, w.client, clientIP+"/32", "192.168.0.0/16", "10.115.0.1/32")
	near := device(t, w.gateway, "10.115.0.1/32", overlay)
	carry(t, far, near)
	carry(t, near, far)
	w.cable(t, w.lan, "lan", lanGate+"/24", lanIP+"/24")
	w.cable(t, w.wan, "wan", "192.168.8.1/24", wanIP+"/24")
	w.gateway.Do(t, func() {
		for _, dev := range []string{tunName, "lan"} {
			if err := w.forwarding.Enable(dev, false); err != nil {
				t.Fatal(err)
			}
		}
		var err error
		if w.nat, err = nft.Open("staex"); err != nil {
			t.Fatal(err)
		}
	})
	return w
}

// device opens a TUN in a namespace.
func device(t *testing.T, ns *hosttest.Namespace, addr string, routes ...string) *tun.Device {
	t.Helper()
	var via []netip.Prefix
	for _, r := range routes {
		via = append(via, netip.MustParsePrefix(r))
	}
	var d *tun.Device
	ns.Do(t, func() {
		var err error
		if d, err = tun.Open(tunName, 1400); err != nil {
			t.Fatal(err)
		}
		_, err = netif.Up(tunName, 1400, []netip.Prefix{netip.MustParsePrefix(addr)}, via)
		if err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// carry is the overlay in one direction, until a device is closed.
func carry(t *testing.T, from, to *tun.Device) {
	t.Helper()
	go func() {
		buf := make([]byte, tun.MaxPacket)
		for {
			n, err := from.Read(buf)
			if err != nil {
				return
			}
			if err := to.Write(buf[:n]); errors.Is(err, os.ErrClosed) {
				return
			}
		}
	}()
}

// cable connects a namespace to the gateway, which is its way to everywhere.
func (w *world) cable(t *testing.T, far *hosttest.Namespace, name, near, there string) {
	t.Helper()
	w.gateway.Do(t, func() {
		err := netlink.LinkAdd(&netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: "eth0",
			PeerNamespace: netlink.NsFd(far.FD()),
		})
		if err != nil {
			t.Fatal(err)
		}
		prefix := []netip.Prefix{netip.MustParsePrefix(near)}
		if _, err := netif.Up(name, 0, prefix, nil); err != nil {
			t.Fatal(err)
		}
	})
	far.Do(t, func() {
		prefix := []netip.Prefix{netip.MustParsePrefix(there)}
		link, err := netif.Up("eth0", 0, prefix, nil)
		if err != nil {
			t.Fatal(err)
		}
		dev, err := netlink.LinkByName(link.Name())
		if err != nil {
			t.Fatal(err)
		}
		err = netlink.RouteAdd(&netlink.Route{
			LinkIndex: dev.Attrs().Index, Gw: net.ParseIP(near[:len(near)-len("/24")]),
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// set, protect and confine change the gateway's rules.
func (w *world) set(t *testing.T, all ...nft.External) {
	t.Helper()
	w.gateway.Do(t, func() {
		if err := w.nat.Set(all); err != nil {
			t.Fatal(err)
		}
	})
}

func (w *world) protect(t *testing.T, all ...nft.Guard) {
	t.Helper()
	w.gateway.Do(t, func() {
		if err := w.nat.Protect(all); err != nil {
			t.Fatal(err)
		}
	})
}

func (w *world) confine(t *testing.T, all ...nft.Confined) {
	t.Helper()
	w.gateway.Do(t, func() {
		if err := w.nat.Confine(all); err != nil {
			t.Fatal(err)
		}
	})
}

func target(proto uint8, port uint16) nft.External {
	return nft.External{
		Tun: tunName, Target: netip.MustParseAddr(lanIP), Proto: proto, Port: port,
	}
}

// listen opens a UDP socket in a namespace.
func listen(t *testing.T, ns *hosttest.Namespace, ip string, port int) *net.UDPConn {
	t.Helper()
	var c *net.UDPConn
	ns.Do(t, func() {
		var err error
		c, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(ip), Port: port})
		if err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

func send(t *testing.T, c *net.UDPConn, ip string, port int, payload string) {
	t.Helper()
	to := &net.UDPAddr{IP: net.ParseIP(ip), Port: port}
	if _, err := c.WriteToUDP([]byte(payload), to); err != nil {
		t.Fatal(err)
	}
}

// expect waits for one datagram.
func expect(t *testing.T, c *net.UDPConn, payload string) *net.UDPAddr {
	t.Helper()
	buf := make([]byte, 2000)
	n, from, err := c.ReadFromUDP(buf)
	if err != nil || string(buf[:n]) != payload {
		t.Fatalf("received %q (%v), want %q", buf[:n], err, payload)
	}
	return from
}

// settle returns when everything sent before it has arrived or is lost: a packet the rules cannot
// touch follows the others on the same cable.
func (w *world) settle(t *testing.T, from *hosttest.Namespace, fromIP string) {
	t.Helper()
	gate := listen(t, w.gateway, "0.0.0.0", 7)
	defer gate.Close()
	c := listen(t, from, fromIP, 0)
	defer c.Close()
	gateIP := lanGate
	if fromIP == wanIP {
		gateIP = "192.168.8.1"
	}
	send(t, c, gateIP, 7, "settled")
	expect(t, gate, "settled")
}

// silent reports an error when a datagram is there.
func silent(t *testing.T, c *net.UDPConn, why string) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(5 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 2000)
	if n, from, err := c.ReadFromUDP(buf); err == nil {
		t.Errorf("%s: received %q from %v", why, buf[:n], from)
	}
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
}

func addAddress(t *testing.T, dev, prefix string) {
	t.Helper()
	if _, err := netif.Up(dev, 0, []netip.Prefix{netip.MustParsePrefix(prefix)}, nil); err != nil {
		t.Fatal(err)
	}
}

func addRoute(t *testing.T, dev, prefix string) {
	t.Helper()
	if _, err := netif.Up(dev, 0, nil, []netip.Prefix{netip.MustParsePrefix(prefix)}); err != nil {
		t.Fatal(err)
	}
}

// tables names what is in the kernel, ours with its number of rules.
func tables(t *testing.T, conn *nftables.Conn) string {
	t.Helper()
	all, err := conn.ListTables()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, table := range all {
		name := table.Name
		if name == "staex" {
			name += ":" + strconv.Itoa(rules(t, conn, table))
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

func rules(t *testing.T, conn *nftables.Conn, table *nftables.Table) (n int) {
	t.Helper()
	chains, err := conn.ListChains()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range chains {
		if c.Table.Name != table.Name {
			continue
		}
		in, err := conn.GetRules(table, c)
		if err != nil {
			t.Fatal(err)
		}
		n += len(in)
	}
	return n
}

// routeIPv6 makes the namespace a router: IPv6 has no other switch on most kernels.
func routeIPv6(t *testing.T) {
	t.Helper()
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/all/forwarding", []byte("1"), 0); err != nil {
		t.Skipf("this kernel does not route IPv6 (%v); run this test on one that does", err)
	}
}
