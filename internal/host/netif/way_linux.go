// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netif

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// DeviceTo returns the name of the device by which the host would send to an address now.
func DeviceTo(a netip.Addr) (string, error) {
	w, err := WayTo(a)
	if err == nil && w.Device == "" {
		err = fmt.Errorf("netif: route to %v: %w", a, unix.ENETUNREACH)
	}
	return w.Device, err
}

// WayTo tells how the host would send to an address now. Without any way the Way is zero, and that
// is no error.
func WayTo(a netip.Addr) (Way, error) {
	routes, err := netlink.RouteGet(a.AsSlice())
	if errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EHOSTUNREACH) ||
		err == nil && len(routes) == 0 {
		return Way{}, nil
	}
	if err != nil {
		return Way{}, fmt.Errorf("netif: route to %v: %w", a, err)
	}
	link, err := netlink.LinkByIndex(routes[0].LinkIndex)
	if err != nil {
		return Way{}, fmt.Errorf("netif: device of the route to %v: %w", a, err)
	}
	w := Way{Device: link.Attrs().Name, Carrier: link.Attrs().Flags&net.FlagRunning != 0}
	if src, ok := netip.AddrFromSlice(routes[0].Src); ok {
		w.Source = src.Unmap()
	}
	if gw, ok := netip.AddrFromSlice(routes[0].Gw); ok {
		w.Gateway = gw.Unmap()
	}
	return w, nil
}
