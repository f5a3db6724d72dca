// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"staex/test/world"
	"staex/test/world/scan"
)

// six is the IPv6 address of a node as another one sees it.
func (n *net) six(host, node string) netip.Addr {
	n.t.Helper()
	a, err := netip.ParseAddr(n.w.Host(host).MCC("resolve", "-t", "ipv6", n.ids[node]))
	if err != nil || !a.Is6() {
		n.t.Fatalf("%s resolves %s: %v, %v", host, node, a, err)
	}
	return a
}

func TestEveryOtherPortAndEveryOtherNodeGetNothingOverIPv6(t *testing.T) {
	n := clients(t, "ping")
	n.home.Tunnel(n.w.Host("gateway"), n.w.Host("technician"), "meter", n.ids["technician"],
		"--targets", "tcp:80")
	n.node("stranger", "203.0.113.1")
	n.w.Host("gateway").Web("80", "<p>"+world.Marker1+"</p>\n")
	n.w.Host("gateway").Web("8081", "<p>"+world.MarkerClosed+"</p>\n")
	meter := netip.MustParseAddr(n.address6("meter"))
	ports := append(scan.Ports(1, 200), 443, 554, 8080, 8081)
	n.w.Until("the tunnel carries IPv6", 20*time.Second, func() bool {
		return slices.Equal(n.open("technician", meter, []uint16{80}), []uint16{80})
	})
	if got := n.open("technician", meter, ports); !slices.Equal(got, []uint16{80}) {
		t.Errorf("the technician finds %v, want 80 alone", got)
	}
	for _, at := range []struct {
		host   string
		target netip.Addr
	}{
		{"technician", n.six("technician", "gateway")},
		{"stranger", n.six("stranger", "gateway")},
		{"stranger", n.six("stranger", "technician")},
		{"stranger", meter},
		{"gateway", n.six("gateway", "technician")},
	} {
		if got := n.open(at.host, at.target, ports); len(got) != 0 {
			t.Errorf("%s finds %v at %v", at.host, got, at.target)
		}
		if n.w.Host(at.host).Try("ping", "-6", "-c1", "-W1", at.target.String()).OK() &&
			at.target != meter {
			t.Errorf("%s gets an echo from %v", at.host, at.target)
		}
	}
	// The same scanner finds both ports where nothing stands in between.
	own := n.six("gateway", "gateway")
	if got := n.open("gateway", own, []uint16{80, 8081}); !slices.Equal(got, []uint16{80, 8081}) {
		t.Errorf("on the gateway itself the scanner finds %v", got)
	}
}

// local gives the camera and its gateway addresses that are unique on their LAN (RFC 4193).
func (n *net) local() (camera string) {
	n.t.Helper()
	for host, address := range map[string]string{
		"gateway": "fd12:3456:789a::2/64", "camera": "fd12:3456:789a::10/64",
	} {
		n.w.Host(host).Run("ip", "-6", "address", "add", address, "dev", "eth0", "nodad")
	}
	return "fd12:3456:789a::10"
}

func TestADeviceWithAUniqueLocalAddressIsReached(t *testing.T) {
	n := clients(t, "curl", python)
	camera := n.local()
	n.mirror("camera", "7")
	lan := n.w.Host("camera").Capture("eth0")
	n.home.Tunnel(n.w.Host("gateway"), n.w.Host("technician"), "camera6", n.ids["technician"],
		"--targets", "tcp:80,udp:7,udp:5353", "--external-ip-address", camera)
	n.opens("http://camera6/", world.Marker1, 20*time.Second)
	address := n.address6("camera6")
	n.mirrored("["+address+"]:7", []int{1, 100, 1200, 1232, 1233, 1400, 4000, 30000})
	want := strings.Join([]string{"ECONNREFUSED", address, address}, " ")
	if got := n.complaint("technician", address, "5353"); got != want {
		t.Errorf("a closed port: %s, want %s\n%s", got, want, n.drops())
	}
	target := netip.MustParseAddr(address)
	ports := append(scan.Ports(1, 100), 8081)
	if got := n.open("technician", target, ports); !slices.Equal(got, []uint16{80}) {
		t.Errorf("the technician finds %v, want 80 alone", got)
	}
	if c := world.Count(lan.Stop(), target.AsSlice()); c != 0 {
		t.Errorf("the camera's LAN shows an address of the overlay %d times", c)
	}
	direct := n.open("gateway", netip.MustParseAddr(camera), []uint16{80, 8081})
	if !slices.Equal(direct, []uint16{80, 8081}) {
		t.Errorf("on the LAN the scanner finds %v", direct)
	}
}
