// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netif_test

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"staex/internal/host/netif"
)

func TestAChangedWayOutIsHeardOfAndOthersAreNot(t *testing.T) {
	device(t, "d0", func() {
		far := netip.MustParseAddr("192.0.2.1")
		if w, err := netif.WayTo(far); w != (netif.Way{}) || err != nil {
			t.Fatalf("without any route the way is %v, %v", w, err)
		}
		w, err := netif.NewWayWatch()
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		heard := func(what string, want bool) {
			t.Helper()
			limit := 10 * time.Second
			if !want {
				limit = time.Millisecond
			}
			if got, err := w.Wait(limit); got != want || err != nil {
				t.Errorf("%s: heard %v, %v; want %v", what, got, err, want)
			}
			drain(t, w)
		}
		l, err := netif.Up("d0", 0, prefixes("10.9.0.1/24"), nil)
		if err != nil {
			t.Fatal(err)
		}
		heard("a device with an address came up", true)
		if err := l.AddRoute(prefixes("198.51.100.0/24")[0]); err != nil {
			t.Fatal(err)
		}
		heard("a route to somewhere", false)
		def := prefixes("0.0.0.0/0")[0]
		if err := l.AddRoute(def); err != nil {
			t.Fatal(err)
		}
		heard("a default route", true)
		way, err := netif.WayTo(far)
		if way.Device != "d0" || way.Source != netip.MustParseAddr("10.9.0.1") || err != nil {
			t.Errorf("the way is %v, %v", way, err)
		}
		before := way
		err = errors.Join(l.AddAddr(prefixes("10.9.1.2/24")[0]),
			l.DelAddr(prefixes("10.9.0.1/24")[0]))
		if err != nil {
			t.Fatal(err)
		}
		heard("another address", true)
		if way, err = netif.WayTo(far); way == before || err != nil {
			t.Errorf("with another address the way is still %v, %v", way, err)
		}
		if err := l.Down(); err != nil {
			t.Fatal(err)
		}
		heard("the device went down", true)
	})
}
