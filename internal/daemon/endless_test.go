// SPDX-License-Identifier: Apache-2.0

//go:build linux

package daemon_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"staex/internal/api"
	"staex/internal/host/uptime"
)

// A kernel whose clock nothing keeps right, as in most containers, cannot end a tunnel. Where this
// runs on one with a good clock, the same tunnel ends and nothing is to be said.
func TestATunnelThatDoesNotEndOnTimeIsNamed(t *testing.T) {
	needDevices(t)
	server, client := pair(t)
	server.expires = uint32(time.Now().Add(-time.Hour).Unix())
	server.offer(t, "plc", "tcp:502", client.id)
	server.expires = 0
	server.offer(t, "light", "tcp:80", client.id)
	c, s := client.start(t), server.start(t)
	want, count := "light active, plc active", 1
	if _, _, synced := uptime.Now(); synced {
		want, count = "light active, plc expired", 0
	}
	until(t, "both are there", func() bool { return s.states(t) == want })

	var list api.TunnelsReply
	s.ask(t, api.OpTunnels, nil, &list)
	var health api.HealthReply
	s.ask(t, api.OpHealth, nil, &health)
	told := slices.ContainsFunc(health.Warnings, func(w string) bool {
		return strings.Contains(w, "clock") && strings.HasSuffix(w, "do not end on time: 1")
	})
	if list.Endless != count || told != (count == 1) || !health.OK {
		t.Errorf("%d are said not to end, want %d; health %+v", list.Endless, count, health)
	}
	c.end(t)
	s.end(t)
}
