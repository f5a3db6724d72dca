// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netif_test

import (
	"errors"
	"testing"

	"staex/internal/host/hosttest"
	"staex/internal/host/netif"
)

// What a daemon spends in this room: at its start, with a device that has nothing yet, and later.
func BenchmarkADeviceOfADaemon(b *testing.B) {
	addrs := prefixes("10.115.0.1/32", "fd00::1/128")
	routes := prefixes("10.115.0.0/16", "10.116.0.0/16", "200::/7")
	for _, c := range []struct {
		name string
		do   func(b *testing.B, l **netif.Link) error
	}{
		{"up", func(b *testing.B, l **netif.Link) error {
			b.StopTimer()
			err := (*l).Down()
			b.StartTimer()
			next, again := netif.Up((*l).Name(), 1380, addrs, routes)
			*l = next
			return errors.Join(err, again)
		}},
		{"routes", func(*testing.B, **netif.Link) error {
			_, err := netif.Routes()
			return err
		}},
		{"way", func(*testing.B, **netif.Link) error {
			_, err := netif.WayTo(routes[0].Addr().Next())
			return err
		}},
		{"mend", func(_ *testing.B, l **netif.Link) error {
			_, err := (*l).Mend()
			return err
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			hosttest.NewNamespace(b).Do(b, func() {
				addDummy(b, "d0")
				l, err := netif.Up("d0", 1380, addrs, routes)
				if err != nil {
					b.Fatal(err)
				}
				for b.Loop() {
					if err := c.do(b, &l); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
