// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"staex/test/world"
	"staex/test/world/scan"
)

func TestACameraOpensByNameAndTheRelayReadsNothing(t *testing.T) {
	n := story(t)
	n.camera("gateway", "camera1")
	relay, lan := n.w.Host("public").Capture("eth0"), n.w.Host("camera").Capture("eth0")
	n.opens("http://camera1/", world.Marker1, 10*time.Second)
	n.opens("http://camera1.home.arpa/", world.Marker1, 10*time.Second)
	if c := world.Count(relay.Stop(), []byte(world.Marker1)); c != 0 {
		t.Errorf("the relay's link shows the page %d times", c)
	}
	if c := world.Count(lan.Stop(), []byte(world.Marker1)); c == 0 {
		t.Error("the capture on the camera's LAN does not show the page: it does not work")
	}
}

func TestTwoSitesWithOnePrivateRangeAreOpenAtOnce(t *testing.T) {
	n := story(t, "gateway2")
	n.camera("gateway", "camera1")
	n.camera("gateway2", "camera2")
	n.opens("http://camera1/", world.Marker1, 10*time.Second)
	n.opens("http://camera2/", world.Marker2, 10*time.Second)
	n.opens("http://camera1/", world.Marker1, 10*time.Second)
}

func TestEveryOtherPortAndEveryOtherNodeGetNothing(t *testing.T) {
	n := story(t, "stranger")
	n.camera("gateway", "camera1")
	n.opens("http://camera1/", world.Marker1, 10*time.Second)
	camera := n.address("technician", "camera1")
	ports := append(scan.Ports(1, 200), 443, 554, 8080, 8081)
	if got := n.open("technician", camera, ports); !slices.Equal(got, []uint16{80}) {
		t.Errorf("the technician finds %v, want 80 alone", got)
	}
	if got := n.open("stranger", camera, []uint16{80, 8081}); len(got) != 0 {
		t.Errorf("the stranger finds %v", got)
	}
	gateway, err := netip.ParseAddr(n.w.Host("stranger").MCC("resolve", n.ids["gateway"]))
	if err != nil {
		t.Fatal(err)
	}
	if got := n.open("stranger", gateway, []uint16{22, 80, 8081}); len(got) != 0 {
		t.Errorf("the stranger finds %v at the gateway", got)
	}
	if r := n.w.Host("stranger").Try("getent", "hosts", "camera1"); r.OK() {
		t.Errorf("the stranger resolves the name: %s", r.Stdout)
	}
	// The same scanner finds both ports where nothing stands in between.
	direct := n.open("gateway", netip.MustParseAddr("192.168.1.10"), []uint16{80, 8081})
	if !slices.Equal(direct, []uint16{80, 8081}) {
		t.Errorf("on the LAN the scanner finds %v", direct)
	}
}

func TestKillingAnyOfTheThreeBringsThePageBack(t *testing.T) {
	n := story(t)
	n.camera("gateway", "camera1")
	n.opens("http://camera1/", world.Marker1, 10*time.Second)
	for _, victim := range []string{"public", "gateway", "technician"} {
		tunnels := n.w.Host("gateway").MCC("tunnels")
		n.run[victim].Kill()
		n.start(victim)
		n.opens("http://camera1/", world.Marker1, 45*time.Second)
		if now := n.w.Host("gateway").MCC("tunnels"); now != tunnels {
			t.Errorf("after killing %s the gateway shows\n%s\nbefore\n%s", victim, now, tunnels)
		}
		if id := n.w.Host(victim).MCC("id"); id != n.ids[victim] {
			t.Errorf("%s is %s now, was %s", victim, id, n.ids[victim])
		}
	}
}

func TestOneToFourHopsReachTheCamera(t *testing.T) {
	for hops := 1; hops <= 4; hops++ {
		t.Run(fmt.Sprint(hops), func(t *testing.T) {
			n := sites(t)
			w := n.w
			n.node("public", "")
			parent := "203.0.113.1"
			for i := 1; i < hops; i++ {
				name, addr := fmt.Sprint("relay", i), fmt.Sprintf("203.0.113.%d", 100+i)
				w.Host(name).Join("inet", "eth0", addr+"/24")
				n.node(name, parent)
				parent = addr
			}
			n.node("gateway", "203.0.113.1")
			n.node("technician", parent)
			n.camera("gateway", "camera1")
			n.opens("http://camera1/", world.Marker1, 10*time.Second)
			route := n.w.Host("technician").MCC("route", n.ids["gateway"])
			if got := len(strings.Fields(route)); got != hops+2 {
				t.Errorf("the route names %d nodes, want %d:\n%s", got, hops+2, route)
			}
		})
	}
}

func TestASecondParentCarriesOnWhenTheFirstIsKilled(t *testing.T) {
	n := sites(t)
	n.node("public", "")
	n.node("standby", "")
	n.node("gateway", "203.0.113.1,203.0.113.2")
	n.node("technician", "203.0.113.1,203.0.113.2")
	n.camera("gateway", "camera1")
	n.opens("http://camera1/", world.Marker1, 10*time.Second)
	n.run["public"].Kill()
	n.opens("http://camera1/", world.Marker1, 45*time.Second)
}

func TestDisablingATunnelAtEitherEndClosesItAndEnablingOpensIt(t *testing.T) {
	n := story(t)
	n.camera("gateway", "camera1")
	n.opens("http://camera1/", world.Marker1, 10*time.Second)
	for _, end := range []string{"gateway", "technician"} {
		n.w.Host(end).MCC("disable-tunnel", "camera1")
		if strings.Contains(n.page("technician", "http://camera1/"), world.Marker1) {
			t.Errorf("disabled at the %s, the page still opens", end)
		}
		n.w.Host(end).MCC("enable-tunnel", "camera1")
		n.opens("http://camera1/", world.Marker1, 20*time.Second)
	}
}

func TestThePingOfAnEndpointIsAnsweredByTheGatewayAlone(t *testing.T) {
	n := story(t)
	n.camera("gateway", "camera1")
	lan := n.w.Host("camera").Capture("eth0")
	n.w.Until("the endpoint answers", 10*time.Second, func() bool {
		return n.w.Host("technician").Try("ping", "-c1", "-W2", "camera1").OK()
	})
	for _, f := range world.Frames(lan.Stop()) {
		const etherIPv4, protocol, icmp = 12, 23, 1
		if len(f) > protocol && f[etherIPv4] == 8 && f[protocol] == icmp {
			t.Errorf("the camera's LAN saw an ICMP packet: %x", f)
		}
	}
}
