// SPDX-License-Identifier: Apache-2.0

package hosttest_test

import (
	"net/netip"
	"testing"

	"staex/internal/host/hosttest"
)

func TestTheTUNTwinPassesTheSuite(t *testing.T) {
	here := netip.MustParseAddrPort("10.9.0.1:4000")
	there := netip.MustParseAddrPort("10.9.0.2:4000")
	hosttest.TestTUN(t, func(t *testing.T) hosttest.TUNHost {
		dev := hosttest.NewTUN("staex0")
		t.Cleanup(func() { _ = dev.Close() })
		return hosttest.TUNHost{
			Device: dev, Here: here, There: there,
			Emit: func(payload []byte) {
				if !dev.Emit(hosttest.Datagram(here, there, payload)) {
					t.Error("the packet was lost")
				}
			},
			Absorb: func() []byte {
				from, to, payload, ok := hosttest.ParseDatagram(dev.Absorb())
				if !ok || from != there || to != here {
					t.Errorf("the host received a packet from %v to %v", from, to)
				}
				return payload
			},
		}
	})
}
