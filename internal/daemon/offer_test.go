// SPDX-License-Identifier: Apache-2.0

//go:build linux

package daemon_test

import (
	"strings"
	"testing"

	"staex/internal/api"
)

func TestAPersonDecidesAboutOffersWhereTheConfigurationSaysSo(t *testing.T) {
	needDevices(t)
	port := pages(t, "the page")
	server, client := pair(t)
	client.configure(t, append(alone(1), "accept-tunnels = manual")...)
	server.offer(t, "camera1", "tcp:"+port, client.id)
	server.offer(t, "camera2", "tcp:"+port, client.id)
	c, s := client.start(t), server.start(t)
	until(t, "both are offered", func() bool {
		return c.states(t) == "camera1 offered, camera2 offered"
	})
	if got := s.states(t); got != "camera1 pending, camera2 pending" {
		t.Errorf("the server shows %s", got)
	}
	if _, err := fetch("127.0.0.1:8401", "camera1.home.arpa", port); err == nil {
		t.Error("an offer that nobody accepted carries traffic")
	}

	var r api.TunnelReply
	c.ask(t, api.OpAcceptTunnel, api.TunnelArgs{Tunnel: "camera1"}, &r)
	if r.State != api.StateActive {
		t.Errorf("after accepting: %+v", r)
	}
	c.ask(t, api.OpRejectTunnel, api.TunnelArgs{Tunnel: "camera2"}, nil)
	until(t, "the server knows both answers", func() bool {
		return s.states(t) == "camera1 active, camera2 rejected"
	})
	until(t, "the page opens", func() bool {
		text, err := fetch("127.0.0.1:8401", "camera1.home.arpa", port)
		return err == nil && text == "the page"
	})
	err := c.call(t, api.OpAcceptTunnel, api.TunnelArgs{Tunnel: "camera1"}, nil)
	if err == nil || !strings.Contains(err.Error(), "does not wait for anybody") {
		t.Errorf("accepting twice: %v", err)
	}
	c.end(t)
	s.end(t)
}

func TestATunnelToTheNodeItselfIsRefusedAtOnceAndStopsNoOther(t *testing.T) {
	needDevices(t)
	server, client := pair(t)
	c, s := client.start(t), server.start(t)
	server.offer(t, "mine", "tcp:80", server.id)
	server.offer(t, "camera1", "tcp:80", client.id)
	var r api.ReloadReply
	s.ask(t, api.OpReloadTunnels, nil, &r)
	const why = "tunnel mine: its remote node is this node itself"
	if len(r.Problems) != 1 || !strings.Contains(r.Problems[0], why) {
		t.Errorf("the reload tells of %q", r.Problems)
	}
	var h api.HealthReply
	s.ask(t, api.OpHealth, nil, &h)
	if h.OK || !strings.Contains(strings.Join(h.Problems, " "), why) {
		t.Errorf("health: %+v", h)
	}
	until(t, "the other one is up", func() bool { return s.states(t) == "camera1 active" })
	c.end(t)
	s.end(t)
}
