// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netif

import (
	"fmt"
	"net/netip"

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
func WayTo(a netip.Addr) (w Way, err error) {
	err = withKernel(func(k *rtnl) error {
		w, err = k.wayTo(a.Unmap())
		return err
	})
	return w, err
}

func (k *rtnl) wayTo(a netip.Addr) (Way, error) {
	e, err := k.entryTo(a)
	if err != nil {
		return Way{}, fmt.Errorf("netif: route to %v: %w", a, err)
	}
	if len(e.devices) == 0 {
		return Way{}, nil
	}
	dev, err := k.device(e.devices[0], nil)
	if err != nil {
		return Way{}, fmt.Errorf("netif: device of the route to %v: %w", a, err)
	}
	return Way{
		Device: dev.name, Carrier: dev.carrier(), Gateway: e.gateway, Source: e.source,
	}, nil
}
