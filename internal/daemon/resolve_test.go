// SPDX-License-Identifier: Apache-2.0

//go:build linux

package daemon_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"staex/internal/api"
	"staex/internal/ident"
)

func TestANameWithoutAnAddressOfOneKindSaysWhatItHas(t *testing.T) {
	needDevices(t)
	server, client := pair(t)
	server.offer(t, "plc", "tcp:502", client.id)
	file := server.path("tunnels/plc.conf")
	server.write(t, "tunnels/plc.conf",
		[]byte(read(t, file)+"external-ip-address = 192.168.77.9\n"))
	c, s := client.start(t), server.start(t)
	until(t, "the tunnel is up", func() bool { return c.states(t) == "plc active" })

	var r api.ResolveReply
	c.ask(t, api.OpResolve, api.ResolveArgs{Address: "plc", Target: api.FormatIPv4}, &r)
	err := c.call(t, api.OpResolve, api.ResolveArgs{Address: "plc", Target: api.FormatIPv6}, nil)
	e, ok := errors.AsType[*api.Error](err)
	if !ok || e.Code != api.CodeNotFound ||
		e.Message != "plc has no ipv6 address" ||
		!strings.HasPrefix(e.Hint, "it has ipv4 "+r.Address) {
		t.Errorf("resolved as %+v, and as ipv6: %+v", r, e)
	}
	c.end(t)
	s.end(t)
}

func TestARangeWithoutAnAddressLeftIsSaidToBeFull(t *testing.T) {
	needDevices(t)
	lines := alone(1)
	for i, line := range lines {
		if strings.HasPrefix(line, "resolver.ipv4-network") {
			lines[i] = "resolver.ipv4-network = 10.91.0.0/29"
		}
	}
	d := newSite(t, newNetwork(t), lines...).start(t)
	var err error
	for range 8 {
		a := api.ResolveArgs{Address: newSecret(t).ID().String(), Target: api.FormatIPv4}
		if err = d.call(t, api.OpResolve, a, nil); err != nil {
			break
		}
	}
	e, ok := errors.AsType[*api.Error](err)
	if !ok || e.Code != api.CodeRefused || !strings.Contains(e.Hint, "a larger range") ||
		e.Message != "resolver.ipv4-network: 10.91.0.0/29 is full" {
		t.Errorf("got %+v", err)
	}
	d.end(t)
}

func TestAStaticAddressOfANodeHasItsReverseName(t *testing.T) {
	needDevices(t)
	n := newNetwork(t)
	root := newSite(t, n, alone(1)...)
	meter := newSite(t, n, append(alone(2), "parents = 127.0.0.1:9401", "dns-names = meter",
		"static-addr = 10.115.0.7")...)
	r, m := root.start(t), meter.start(t)
	resolver := dnsAt("127.0.0.1:8401")
	until(t, "the name of the address", func() bool {
		names, err := resolver.LookupAddr(t.Context(), "10.115.0.7")
		return err == nil && len(names) == 1 &&
			strings.HasPrefix(names[0], meter.id.String()+".")
	})
	r.end(t)
	m.end(t)
}

func TestAWayBetweenTwoOthersIsToldWhereTheWayFromHereHasBoth(t *testing.T) {
	needDevices(t)
	n := newNetwork(t)
	root := newSite(t, n, alone(1)...)
	gateway := newSite(t, n, append(alone(2), "parents = 127.0.0.1:9401")...)
	here := newSite(t, n, append(alone(3), "parents = 127.0.0.1:9401")...)
	r, g, h := root.start(t), gateway.start(t), here.start(t)
	route := func(from, to ident.NodeID) []ident.NodeID {
		var reply api.RouteReply
		_ = h.call(t, api.OpRoute, api.RouteArgs{Source: from, Destination: to}, &reply)
		return reply.Path
	}
	all := []ident.NodeID{here.id, root.id, gateway.id}
	until(t, "the way from here", func() bool {
		return slices.Equal(route(here.id, gateway.id), all)
	})
	if got := route(root.id, gateway.id); !slices.Equal(got, all[1:]) {
		t.Errorf("away from here: %v", got)
	}
	back := []ident.NodeID{gateway.id, root.id}
	if got := route(gateway.id, root.id); !slices.Equal(got, back) {
		t.Errorf("towards here: %v", got)
	}
	h.end(t)
	g.end(t)
	r.end(t)
}
