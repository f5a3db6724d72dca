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

// listeners are the TCP ports of one address at which a host's programs listen.
func (n *net) listeners(host string, at netip.Addr) (ports []uint16) {
	n.t.Helper()
	for line := range strings.SplitSeq(n.at(host, "ss", "-Hltn"), "\n") {
		for field := range strings.FieldsSeq(line) {
			if a, err := netip.ParseAddrPort(field); err == nil && a.Addr() == at {
				ports = append(ports, a.Port())
			}
		}
	}
	return ports
}

func TestADeviceWithALinkLocalAddressOnlyIsReached(t *testing.T) {
	n := clients(t, "curl", "nft", "ss", python)
	camera := n.w.Host("camera")
	camera.Run("ip", "address", "flush", "dev", "eth0")
	camera.Run("ip", "address", "add", "fe80::1/64", "dev", "eth0", "nodad")
	n.w.Host("gateway").Run("ip", "address", "add", "fe80::2/64", "dev", "eth0", "nodad")
	n.mirror("camera", "7")
	lan := camera.Capture("eth0")
	n.home.Tunnel(n.w.Host("gateway"), n.w.Host("technician"), "bare", n.ids["technician"],
		"--targets", "tcp:80,tcp:81,udp:7", "--external-ip-address", "fe80::1%eth0")
	n.opens("http://bare/", world.Marker1, 20*time.Second)
	address := n.address6("bare")
	n.mirrored("["+address+"]:7", []int{1, 100, 1200, 1232, 1233, 1400, 4000, 30000})
	target := netip.MustParseAddr(address)
	ports := append(scan.Ports(1, 79), 82, 8081, 61000, 65535)
	if got := n.open("technician", target, append(ports, 80)); !slices.Equal(got, []uint16{80}) {
		t.Errorf("the technician finds %v, want 80 alone", got)
	}
	own := n.six("gateway", "gateway")
	proxies := n.listeners("gateway", own)
	if len(proxies) != 2 {
		t.Errorf("the gateway listens at %v, want a port for each of the TCP targets", proxies)
	}
	for _, host := range []string{"gateway", "technician"} {
		if got := n.open(host, own, proxies); len(got) != 0 {
			t.Errorf("%s finds the proxies at %v", host, got)
		}
	}
	if c := world.Count(lan.Stop(), target.AsSlice()); c != 0 {
		t.Errorf("the camera's LAN shows an address of the overlay %d times", c)
	}

	n.home.Tunnel(n.w.Host("gateway"), n.w.Host("technician"), "twin", n.ids["technician"],
		"--targets", "tcp:80", "--external-ip-address", "fe80::1%lan1")
	n.w.Until("the gateway refuses the same address on another interface", 20*time.Second,
		func() bool {
			return strings.Contains(n.w.Host("gateway").Try("mcc", "health").Stdout,
				"fe80::1%lan1: another tunnel leads to the same address on eth0")
		})
	n.opens("http://bare/", world.Marker1, 20*time.Second)
	n.w.Host("gateway").MCC("delete-tunnel", "twin")

	n.w.Host("gateway").MCC("disable-tunnel", "bare")
	if strings.Contains(n.page("technician", "http://bare/"), world.Marker1) {
		t.Error("disabled, the page still opens")
	}
	if rules := n.at("gateway", "nft", "list", "table", "inet", "mcc"); strings.Contains(rules,
		"dnat") {
		t.Errorf("disabled, the filter still leads to the camera:\n%s", rules)
	}
	n.w.Host("gateway").MCC("enable-tunnel", "bare")
	n.opens("http://bare/", world.Marker1, 20*time.Second)
	n.run["gateway"].Stop()
	if left := n.at("gateway", "nft", "list", "tables"); strings.Contains(left, "mcc") {
		t.Errorf("the daemon is gone and leaves %s", left)
	}
	n.start("gateway")
	n.opens("http://bare/", world.Marker1, 45*time.Second)
}
