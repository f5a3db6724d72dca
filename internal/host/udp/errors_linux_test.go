// SPDX-License-Identifier: Apache-2.0

package udp_test

import (
	"net/netip"
	"testing"

	"staex/internal/host/udp"
)

func TestAClosedPortIsReportedWithItsAddress(t *testing.T) {
	for _, loopback := range []string{"127.0.0.1:0", "[::1]:0"} {
		gone, err := udp.Listen(netip.MustParseAddrPort(loopback), udp.Options{})
		if err != nil {
			t.Skipf("SKIPPED: no %s here: %v", loopback, err)
		}
		target := gone.LocalAddr()
		if err := gone.Close(); err != nil {
			t.Fatal(err)
		}
		reported := make(chan netip.AddrPort, 8)
		c, err := udp.Listen(netip.MustParseAddrPort(loopback), udp.Options{
			Unreachable: func(a netip.AddrPort) {
				select {
				case reported <- a:
				default:
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		go func() { // the reader is who hears
			b := make([]byte, udp.MaxBatch)
			for {
				if _, _, _, err := c.Read(b); err != nil {
					return
				}
			}
		}()
		if err := c.Write([]byte("x"), 0, target); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-reported:
			if got != target {
				t.Errorf("%v was reported, want %v", got, target)
			}
		case <-t.Context().Done():
			t.Fatal("nothing was reported")
		}
	}
}
