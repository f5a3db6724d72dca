// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import (
	"fmt"
	stdnet "net"
	"strings"
	"testing"

	"staex/test/world"
)

// chain is a line of nodes, each the child of the one before it: the gateway first, the
// technician last, and as many links in between as it has hops. Each host is prepared before its
// node starts.
func chain(t *testing.T, hops int, v6 bool, prepare func(h *world.Host)) *net {
	t.Helper()
	n := empty(t)
	w := n.w
	parent := ""
	for i := range hops + 1 {
		name := fmt.Sprint("relay", i)
		switch i {
		case 0:
			name = "gateway"
		case hops:
			name = "technician"
		}
		address, prefix := fmt.Sprintf("203.0.113.%d", 1+i), "/24"
		if v6 {
			address, prefix = fmt.Sprintf("2001:db8::%d", 1+i), "/64"
		}
		w.Host(name).Join("inet", "eth0", address+prefix)
		prepare(w.Host(name))
		n.node(name, parent)
		parent = stdnet.JoinHostPort(address, "9376")
	}
	return n
}

func TestFilesCrossOneToFiveHopsOnEitherUnderlay(t *testing.T) {
	t.Parallel()
	for hops := 1; hops <= 5; hops++ {
		for family, v6 := range map[string]bool{"IPv4": false, "IPv6": true} {
			t.Run(fmt.Sprint(hops, " over ", family), func(t *testing.T) {
				t.Parallel()
				n := chain(t, hops, v6, func(*world.Host) {})
				n.web("gateway", "8000")
				n.mirror("gateway", "7")
				n.regular("files", "tcp:8000,udp:7")
				want := n.file("gateway", "/run/files/big", bulk)
				n.fetches("-4", "technician", "http://files:8000/big", want)
				n.fetches("-6", "technician", "http://files:8000/big", want)
				four, six := n.addresses("files")
				for _, address := range []string{four, six} {
					n.mirrored(stdnet.JoinHostPort(address, "7"), []int{1, 1200, 1400, 9000})
				}
				route := n.w.Host("technician").MCC("route", n.ids["gateway"])
				if got := len(strings.Fields(route)); got != hops+1 {
					t.Errorf("the route names %d nodes, want %d:\n%s", got, hops+1, route)
				}
			})
		}
	}
}

func TestANodeWhoseOwnCableIsNarrowIsServed(t *testing.T) {
	t.Parallel()
	for family, v6 := range map[string]bool{"IPv4": false, "IPv6": true} {
		t.Run(family, func(t *testing.T) {
			t.Parallel()
			n := chain(t, 2, v6, func(h *world.Host) { h.Narrow("eth0", 1280) })
			n.web("gateway", "8000")
			n.mirror("gateway", "7")
			n.regular("files", "tcp:8000,udp:7")
			want := n.file("gateway", "/run/files/big", bulk)
			n.fetches("-4", "technician", "http://files:8000/big", want)
			n.fetches("-6", "technician", "http://files:8000/big", want)
			n.mirrored(stdnet.JoinHostPort(n.address("technician", "files").String(), "7"),
				[]int{1, 1100, 1200, 1400, 9000})
		})
	}
}

// silent drops what a router would say about packets that are too long.
const silent = `
table inet silent {
	chain out {
		type filter hook output priority filter
		icmp type destination-unreachable drop
		icmpv6 type packet-too-big drop
	}
	chain through {
		type filter hook forward priority filter
		icmp type destination-unreachable drop
		icmpv6 type packet-too-big drop
	}
}
`

func TestNarrowLinesThatSayNothingAreFoundOut(t *testing.T) {
	t.Parallel()
	for _, mtu := range []int{1280, 1400, 1500} {
		t.Run(fmt.Sprint(mtu), func(t *testing.T) {
			t.Parallel()
			n := sites(t)
			w := n.w
			w.NeedPrograms("curl", "iperf3", "ping")
			for _, router := range []string{"homenat", "officenat"} {
				w.Host(router).Narrow("wan", mtu)
				w.Host(router).Rules(silent)
			}
			const header = 28 // of IPv4 and ICMP
			ping := func(size int) bool {
				return w.Host("technician").Try("ping", "-c1", "-W1", "-Mdo",
					"-s"+fmt.Sprint(size-header), "203.0.113.1").OK()
			}
			if !ping(mtu) || mtu < 1500 && ping(mtu+4) {
				t.Fatalf("the line does not end at %d bytes", mtu)
			}
			n.node("public", "")
			n.node("gateway", "203.0.113.1")
			n.node("technician", "203.0.113.1")
			n.crowd()
		})
	}
}

// crowd moves files and datagrams of every kind over the lines of a story.
func (n *net) crowd() {
	n.t.Helper()
	for _, host := range []string{"gateway", "camera"} {
		n.web(host, "8000")
		n.mirror(host, "7")
	}
	n.serves(n.w.Host("gateway").Start("iperf3", "-s", "-p", "5201"), "gateway", "5201")
	n.regular("near", "tcp:8000,udp:7,tcp:5201")
	n.external("beside", "tcp:8000,udp:7")
	own := n.file("gateway", "/run/files/big", bulk)
	beside := n.file("camera", "/run/files/big", bulk)
	n.fetches("-4", "technician", "http://beside:8000/big", beside)
	n.fetches("-4", "technician", "http://near:8000/big", own)
	n.fetches("-6", "technician", "http://near:8000/big", own)
	n.at("technician", "iperf3", "-c", "near", "-n", "20M") // and upwards
	four, six := n.addresses("near")
	for _, address := range []string{four, six, n.address("technician", "beside").String()} {
		n.mirrored(stdnet.JoinHostPort(address, "7"),
			[]int{1, 1100, 1150, 1200, 1252, 1253, 1300, 1372, 1400, 1473, 4000, 30000})
	}
}
