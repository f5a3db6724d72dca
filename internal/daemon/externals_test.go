// SPDX-License-Identifier: Apache-2.0

//go:build linux

package daemon_test

import (
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"staex/internal/api"
)

func TestAnInterfaceThatComesEndsTheComplaintAboutIt(t *testing.T) {
	needDevices(t)
	server, client := pair(t)
	server.offer(t, "plc", "tcp:502", client.id)
	file := server.path("tunnels/plc.conf")
	server.write(t, "tunnels/plc.conf",
		[]byte(read(t, file)+"external-ip-address = fe80::1%late0\n"))
	c, s := client.start(t), server.start(t)
	complains := func() bool {
		var h api.HealthReply
		s.ask(t, api.OpHealth, nil, &h)
		return strings.Contains(strings.Join(h.Problems, " "), "there is no interface late0")
	}
	until(t, "health misses the interface", complains)

	link := &netlink.Tuntap{
		LinkAttrs: netlink.LinkAttrs{Name: "late0"}, Mode: netlink.TUNTAP_MODE_TAP,
	}
	if err := netlink.LinkAdd(link); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = netlink.LinkDel(link) })
	until(t, "health misses it no more", func() bool { return !complains() })
	c.end(t)
	s.end(t)
}
