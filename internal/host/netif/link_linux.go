// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netif

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// Link is a device this process brought up, with a memory of what it added.
type Link struct {
	name string
	dev  device

	// What Up was asked for, so that Mend can ask again.
	mtu                   uint32
	wantAddrs, wantRoutes []netip.Prefix

	mu      sync.Mutex     // guards what follows
	wasUp   bool           // the device was up before us
	addrs   []netip.Prefix // added by us, in order
	routes  []netip.Prefix // added by us, in order
	sysctls []setting      // changed by us, with the values from before
}

// Up brings the device up with the MTU in bytes (0 leaves it alone), the addresses with the prefix
// lengths they carry, and routes through it. IPv6 self-configuration is turned off first, so an
// idle device sends nothing. An error undoes what was done. Addresses and routes that exist
// already are used and not removed later.
func Up(name string, mtu int, addrs, routes []netip.Prefix) (*Link, error) {
	l := &Link{
		name: name, mtu: uint32(max(0, mtu)), wantAddrs: slices.Clone(addrs),
		wantRoutes: slices.Clone(routes), wasUp: true, // until we know
	}
	if err := withKernel(l.up); err != nil {
		return nil, errors.Join(err, l.Down())
	}
	return l, nil
}

func (l *Link) up(k *rtnl) (err error) {
	if l.dev, err = k.deviceNamed(l.name); err != nil {
		return fmt.Errorf("netif: find device %s: %w", l.name, err)
	}
	l.wasUp = l.dev.up()
	if err := l.setMTU(k); err != nil {
		return err
	}
	if err := l.raise(k); err != nil {
		return err
	}
	for _, a := range l.wantAddrs {
		if err := l.addAddr(k, a); err != nil {
			return err
		}
	}
	for _, r := range l.wantRoutes {
		if err := l.addRoute(k, r); err != nil {
			return err
		}
	}
	return nil
}

// rightMTU tells whether the device has the MTU that Up was asked for.
func (l *Link) rightMTU() bool { return l.mtu == 0 || l.mtu == l.dev.mtu }

func (l *Link) setMTU(k *rtnl) error {
	if l.rightMTU() {
		return nil
	}
	if err := k.setDevice(l.dev.index, appendNumber(nil, unix.IFLA_MTU, l.mtu)); err != nil {
		return fmt.Errorf("netif: set MTU of %s to %d: %w", l.name, l.mtu, err)
	}
	return nil
}

// raise brings the device up, with the settings that have to stand before.
func (l *Link) raise(k *rtnl) error {
	// Old kernels lack one or both; super-packets are then a little larger than one send.
	gso := appendNumber(nil, unix.IFLA_GSO_MAX_SIZE, GSOMaxSize)
	_ = k.setDevice(l.dev.index, appendNumber(gso, unix.IFLA_GSO_IPV4_MAX_SIZE, GSOMaxSize))
	l.silence()
	if err := k.setUp(l.dev.index, unix.IFF_UP); err != nil {
		return fmt.Errorf("netif: bring up %s: %w", l.name, err)
	}
	return nil
}

// silence turns off what would make the kernel speak on the device unasked: link-local addresses,
// router solicitations, duplicate address detection. A kernel without IPv6 has none of these
// settings and is silent anyway.
func (l *Link) silence() {
	dir := "net/ipv6/conf/" + l.name + "/"
	for _, s := range []struct{ name, value string }{
		{"addr_gen_mode", "1"}, // none
		{"autoconf", "0"},
		{"accept_ra", "0"},
		{"router_solicitations", "0"},
		{"accept_dad", "0"},
		{"dad_transmits", "0"},
		{"mldv1_unsolicited_report_interval", "0"},
	} {
		if before, err := swapSysctl(dir+s.name, s.value); err == nil && before.value != s.value {
			l.sysctls = append(l.sysctls, before)
		}
	}
}

// Name returns the name of the device.
func (l *Link) Name() string { return l.name }

// AddAddr gives the device an address; the prefix length decides which neighbours the kernel
// believes to be behind it (a full length: none).
func (l *Link) AddAddr(p netip.Prefix) error {
	return withKernel(func(k *rtnl) error { return l.addAddr(k, p) })
}

func (l *Link) addAddr(k *rtnl, p netip.Prefix) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := k.changeAddress(unix.RTM_NEWADDR, l.dev.index, p)
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("netif: add address %v to %s: %w", p, l.name, err)
	}
	l.addrs = append(l.addrs, p)
	return nil
}

// DelAddr takes back an address given by AddAddr or Up; others are left alone.
func (l *Link) DelAddr(p netip.Prefix) error {
	return withKernel(func(k *rtnl) error { return l.delAddr(k, p) })
}

func (l *Link) delAddr(k *rtnl, p netip.Prefix) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.addrs, p)
	if i < 0 {
		return nil
	}
	l.addrs = slices.Delete(l.addrs, i, i+1)
	err := k.changeAddress(unix.RTM_DELADDR, l.dev.index, p)
	if err != nil && !gone(err) {
		return fmt.Errorf("netif: remove address %v from %s: %w", p, l.name, err)
	}
	return nil
}

// AddRoute sends packets for the prefix through the device.
func (l *Link) AddRoute(p netip.Prefix) error {
	return withKernel(func(k *rtnl) error { return l.addRoute(k, p) })
}

func (l *Link) addRoute(k *rtnl, p netip.Prefix) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := k.changeRoute(unix.RTM_NEWROUTE, l.dev.index, p.Masked())
	if errors.Is(err, unix.EEXIST) {
		return l.sameRoute(k, p)
	}
	if err != nil {
		return fmt.Errorf("netif: add route %v through %s: %w", p, l.name, err)
	}
	l.routes = append(l.routes, p)
	return nil
}

// sameRoute accepts an existing route only when it leads to this device, as the kernel's own route
// of an address does.
func (l *Link) sameRoute(k *rtnl, p netip.Prefix) error {
	all, err := k.routes()
	if err != nil {
		return err
	}
	if slices.Contains(all, Route{Prefix: p.Masked(), Device: l.name}) {
		return nil
	}
	return fmt.Errorf("netif: add route %v through %s: another device has it: %w",
		p, l.name, unix.EEXIST)
}

// DelRoute takes back a route made by AddRoute or Up; others are left alone.
func (l *Link) DelRoute(p netip.Prefix) error {
	return withKernel(func(k *rtnl) error { return l.delRoute(k, p) })
}

func (l *Link) delRoute(k *rtnl, p netip.Prefix) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.routes, p)
	if i < 0 {
		return nil
	}
	l.routes = slices.Delete(l.routes, i, i+1)
	err := k.changeRoute(unix.RTM_DELROUTE, l.dev.index, p.Masked())
	if err != nil && !gone(err) {
		return fmt.Errorf("netif: remove route %v through %s: %w", p, l.name, err)
	}
	return nil
}

// Down takes back routes, addresses and settings this Link added, and brings the device down
// unless it was up before. What vanished meanwhile, perhaps with the device, is no error.
func (l *Link) Down() error {
	errs := []error{withKernel(l.withdraw)}
	for _, s := range slices.Backward(l.sysctls) {
		errs = append(errs, s.restore())
	}
	l.sysctls = nil
	if !l.wasUp {
		errs = append(errs, withKernel(l.hush))
	}
	return errors.Join(errs...)
}

func (l *Link) withdraw(k *rtnl) error {
	var errs []error
	for _, p := range slices.Backward(slices.Clone(l.routes)) {
		errs = append(errs, l.delRoute(k, p))
	}
	for _, p := range slices.Backward(slices.Clone(l.addrs)) {
		errs = append(errs, l.delAddr(k, p))
	}
	if l.wasUp {
		return errors.Join(errs...)
	}
	if err := k.setUp(l.dev.index, 0); err != nil && !gone(err) {
		errs = append(errs, fmt.Errorf("netif: bring down %s: %w", l.name, err))
	}
	return errors.Join(errs...)
}

// hush removes the link-local addresses that the kernel invents when addr_gen_mode is put back,
// although the device is down and has lost all others.
func (l *Link) hush(k *rtnl) error {
	addrs, _ := k.addresses(l.dev.index) // none: it is gone
	for _, p := range addrs {
		if p.Addr().Is6() && p.Addr().IsLinkLocalUnicast() {
			_ = k.changeAddress(unix.RTM_DELADDR, l.dev.index, p) // as above
		}
	}
	return nil
}

// gone tells errors about things that no longer exist.
func gone(err error) bool {
	return errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ESRCH) ||
		errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.ENETDOWN)
}

// Routes lists unicast routes of all tables, IPv4 first, without those the kernel keeps for the
// host's own and broadcast addresses.
func Routes() (routes []Route, err error) {
	err = withKernel(func(k *rtnl) error {
		routes, err = k.routes()
		return err
	})
	return routes, err
}

func (k *rtnl) routes() (routes []Route, err error) {
	names, err := k.devices()
	if err != nil {
		return nil, fmt.Errorf("netif: list devices: %w", err)
	}
	entries, err := k.entries()
	if err != nil {
		return nil, fmt.Errorf("netif: list routes: %w", err)
	}
	for _, e := range entries {
		for _, index := range e.devices {
			if name := names[index]; name != "" {
				routes = append(routes, Route{Prefix: e.prefix, Device: name})
			}
		}
	}
	return routes, nil
}
