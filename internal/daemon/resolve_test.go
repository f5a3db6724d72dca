// SPDX-License-Identifier: Apache-2.0

//go:build linux

package daemon_test

import (
	"errors"
	"strings"
	"testing"

	"staex/internal/api"
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
