// SPDX-License-Identifier: Apache-2.0

//go:build linux

package daemon_test

import (
	"net/netip"
	"strings"
	"testing"

	"staex/internal/api"
)

func TestStaticAddressesThatAnotherNetworkHasAreSaidToBeOutOfReach(t *testing.T) {
	needDevices(t)
	server, client := pair(t)
	taken := occupy(t, "10.115.3.1/24")
	defer taken.Close()
	c, s := client.start(t), server.start(t)
	health := func() (r api.HealthReply) {
		c.ask(t, api.OpHealth, nil, &r)
		return r
	}
	names := func(list []string) bool {
		text := strings.Join(list, "\n")
		return strings.Contains(text, "the route 10.115.3.0/24 of device other") &&
			strings.Contains(text, "renumber that network")
	}
	if r := health(); !r.OK || !names(r.Warnings) {
		t.Errorf("where nothing needs them: %+v", r)
	}
	server.static = netip.MustParseAddr("10.115.3.7")
	server.offer(t, "plc", "tcp:502", client.id)
	s.ask(t, api.OpReloadTunnels, nil, nil)
	until(t, "the tunnel is up", func() bool { return c.states(t) == "plc active" })
	if r := health(); r.OK || !names(r.Problems) {
		t.Errorf("where a tunnel has one: %+v", r)
	}
	c.end(t)
	s.end(t)
}
