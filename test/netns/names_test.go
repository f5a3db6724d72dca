// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import (
	"strings"
	"testing"
	"time"

	"staex/test/world"
)

func TestANodesNameAndStaticAddressResolveOnAnotherNode(t *testing.T) {
	n := sites(t)
	w := n.w
	n.node("public", "")
	n.node("gateway", "203.0.113.1", "dns-names = node1", "static-addr = 10.115.0.7",
		"resolver.domain = .staex")
	n.node("technician", "203.0.113.1", "resolver.domain = .staex")
	technician := w.Host("technician")
	for _, text := range []string{"node1", "node1.staex", "10.115.0.7", n.ids["gateway"]} {
		if got := technician.MCC("resolve", "-t", "node-id", text); got != n.ids["gateway"] {
			t.Errorf("resolve -t node-id %s gives %s, want %s", text, got, n.ids["gateway"])
		}
	}
	lease := technician.MCC("resolve", "node1")
	if got := n.address("technician", "node1.staex"); got.String() != lease {
		t.Errorf("the resolver finds node1.staex at %v, mcc resolve at %s", got, lease)
	}
	if r := technician.Try("mcc", "resolve", "node2"); r.Code != 4 {
		t.Errorf("resolve of a name that nobody has: exit code %d, %s", r.Code, r.Stdout)
	}
	if out := technician.MCC("ping", "-c", "1", "node1"); !strings.Contains(out, n.ids["gateway"]) {
		t.Errorf("mcc ping node1: %s", out)
	}
}

func TestATunnelIsFoundAtItsStaticAddress(t *testing.T) {
	n := story(t)
	n.home.Tunnel(n.w.Host("gateway"), n.w.Host("technician"), "camera1", n.ids["technician"],
		"--targets", "tcp:80", "--external-ip-address", "192.168.1.10",
		"--static-ip-address", "10.115.0.80")
	n.opens("http://10.115.0.80/", world.Marker1, 10*time.Second)
	n.opens("http://camera1/", world.Marker1, 10*time.Second)
}
