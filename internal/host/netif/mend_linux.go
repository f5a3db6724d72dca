// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netif

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// Mend gives the device again what Up gave it and somebody took away since: its addresses, its
// routes, its MTU, being up. It says in a few words what that was; nothing means that all was
// well. A device that was deleted and made again under the same name counts as new. Without a
// device of the name the error satisfies errors.Is(err, ErrNoDevice).
func (l *Link) Mend() (mended []string, err error) {
	err = withKernel(func(k *rtnl) error {
		mended, err = l.mend(k)
		return err
	})
	return mended, err
}

func (l *Link) mend(k *rtnl) (mended []string, err error) {
	dev, err := k.deviceNamed(l.name)
	if errors.Is(err, unix.ENODEV) {
		return nil, fmt.Errorf("%w: %s", ErrNoDevice, l.name)
	}
	if err != nil {
		return nil, fmt.Errorf("netif: find device %s: %w", l.name, err)
	}
	l.succeed(dev)
	if !l.rightMTU() {
		if err := l.setMTU(k); err != nil {
			return nil, err
		}
		mended = append(mended, "MTU")
	}
	if !l.dev.up() {
		if err := l.raise(k); err != nil {
			return mended, err
		}
		mended = append(mended, "up")
	}
	addrs, routes, err := l.missing(k)
	if err != nil {
		return mended, err
	}
	// One family may be refused where the other is not.
	var errs []error
	note := func(what string, err error) {
		if err != nil {
			errs = append(errs, err)
			return
		}
		mended = append(mended, what)
	}
	for _, p := range addrs {
		note(p.Addr().String(), l.addAddr(k, p))
	}
	for _, p := range routes {
		note(p.String(), l.addRoute(k, p))
	}
	return mended, errors.Join(errs...)
}

// succeed takes the device as it is now; what an earlier one of the name had is gone with it.
func (l *Link) succeed(dev device) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if dev.index != l.dev.index {
		l.addrs, l.routes, l.sysctls = nil, nil, nil
		l.wasUp = dev.up()
	}
	l.dev = dev
}

// missing lists what the device should have and has not, and forgets that it was added.
func (l *Link) missing(k *rtnl) (addrs, routes []netip.Prefix, err error) {
	has, err := k.addresses(l.dev.index)
	if err != nil {
		return nil, nil, fmt.Errorf("netif: list addresses of %s: %w", l.name, err)
	}
	for _, p := range l.wantAddrs {
		there := slices.ContainsFunc(has, func(a netip.Prefix) bool {
			return a.Addr() == p.Addr().Unmap()
		})
		if !there {
			addrs = append(addrs, p)
		}
	}
	entries, err := k.entries()
	if err != nil {
		return nil, nil, fmt.Errorf("netif: list routes of %s: %w", l.name, err)
	}
	leads := map[netip.Prefix]bool{}
	for _, e := range entries {
		if slices.Contains(e.devices, l.dev.index) {
			leads[e.prefix] = true
		}
	}
	for _, p := range l.wantRoutes {
		if !leads[p.Masked()] {
			routes = append(routes, p)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	lacks := func(list []netip.Prefix) func(netip.Prefix) bool {
		return func(p netip.Prefix) bool { return slices.Contains(list, p) }
	}
	l.addrs = slices.DeleteFunc(l.addrs, lacks(addrs))
	l.routes = slices.DeleteFunc(l.routes, lacks(routes))
	return addrs, routes, nil
}
