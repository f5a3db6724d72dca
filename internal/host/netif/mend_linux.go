// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netif

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Mend gives the device again what Up gave it and somebody took away since: its addresses, its
// routes, its MTU, being up. It says in a few words what that was; nothing means that all was
// well. A device that was deleted and made again under the same name counts as new. Without a
// device of the name the error satisfies errors.Is(err, ErrNoDevice).
func (l *Link) Mend() (mended []string, err error) {
	link, err := netlink.LinkByName(l.name)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil, fmt.Errorf("%w: %s", ErrNoDevice, l.name)
	}
	if err != nil {
		return nil, fmt.Errorf("netif: find device %s: %w", l.name, err)
	}
	l.succeed(link)
	attrs := link.Attrs()
	if l.mtu > 0 && attrs.MTU != l.mtu {
		if err := netlink.LinkSetMTU(link, l.mtu); err != nil {
			return nil, fmt.Errorf("netif: set MTU of %s to %d: %w", l.name, l.mtu, err)
		}
		mended = append(mended, "MTU")
	}
	if attrs.Flags&net.FlagUp == 0 {
		l.prepare()
		if err := netlink.LinkSetUp(link); err != nil {
			return mended, fmt.Errorf("netif: bring up %s: %w", l.name, err)
		}
		mended = append(mended, "up")
	}
	addrs, routes, err := l.missing()
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
		note(p.Addr().String(), l.AddAddr(p))
	}
	for _, p := range routes {
		note(p.String(), l.AddRoute(p))
	}
	return mended, errors.Join(errs...)
}

// succeed takes the device as it is now; what an earlier one of the name had is gone with it.
func (l *Link) succeed(link netlink.Link) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if link.Attrs().Index != l.link.Attrs().Index {
		l.addrs, l.routes, l.sysctls = nil, nil, nil
		l.wasUp = link.Attrs().Flags&net.FlagUp != 0
	}
	l.link = link
}

// missing lists what the device should have and has not, and forgets that it was added.
func (l *Link) missing() (addrs, routes []netip.Prefix, err error) {
	has, err := netlink.AddrList(l.link, netlink.FAMILY_ALL)
	if err != nil {
		return nil, nil, fmt.Errorf("netif: list addresses of %s: %w", l.name, err)
	}
	for _, p := range l.wantAddrs {
		there := slices.ContainsFunc(has, func(a netlink.Addr) bool {
			addr, ok := netip.AddrFromSlice(a.IP)
			return ok && addr.Unmap() == p.Addr().Unmap()
		})
		if !there {
			addrs = append(addrs, p)
		}
	}
	leads := map[netip.Prefix]bool{}
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		list, err := netlink.RouteListFiltered(family,
			&netlink.Route{LinkIndex: l.link.Attrs().Index, Table: unix.RT_TABLE_UNSPEC},
			netlink.RT_FILTER_OIF|netlink.RT_FILTER_TABLE)
		if err != nil {
			return nil, nil, fmt.Errorf("netif: list routes of %s: %w", l.name, err)
		}
		for _, r := range appendRoutes(nil, list, family, map[int]string{
			l.link.Attrs().Index: l.name,
		}) {
			leads[r.Prefix] = true
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
