// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netif

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Link is a device this process brought up, with a memory of what it added.
type Link struct {
	name string
	link netlink.Link

	// What Up was asked for, so that Mend can ask again.
	mtu                   int
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
	link, err := netlink.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("netif: find device %s: %w", name, err)
	}
	l := &Link{
		name: name, link: link, wasUp: link.Attrs().Flags&net.FlagUp != 0,
		mtu: mtu, wantAddrs: slices.Clone(addrs), wantRoutes: slices.Clone(routes),
	}
	if err := l.up(mtu, addrs, routes); err != nil {
		return nil, errors.Join(err, l.Down())
	}
	return l, nil
}

func (l *Link) up(mtu int, addrs, routes []netip.Prefix) error {
	if mtu > 0 {
		if err := netlink.LinkSetMTU(l.link, mtu); err != nil {
			return fmt.Errorf("netif: set MTU of %s to %d: %w", l.name, mtu, err)
		}
	}
	l.prepare()
	if err := netlink.LinkSetUp(l.link); err != nil {
		return fmt.Errorf("netif: bring up %s: %w", l.name, err)
	}
	for _, a := range addrs {
		if err := l.AddAddr(a); err != nil {
			return err
		}
	}
	for _, r := range routes {
		if err := l.AddRoute(r); err != nil {
			return err
		}
	}
	return nil
}

// prepare makes settings that have to stand before the device comes up.
func (l *Link) prepare() {
	// Old kernels lack one or both; super-packets are then a little larger than one send.
	_ = netlink.LinkSetGSOMaxSize(l.link, GSOMaxSize)
	_ = netlink.LinkSetGSOIPv4MaxSize(l.link, GSOMaxSize)
	l.silence()
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
	l.mu.Lock()
	defer l.mu.Unlock()
	a := &netlink.Addr{IPNet: ipNet(p), Scope: unix.RT_SCOPE_UNIVERSE}
	if p.Addr().Is6() {
		a.Flags = unix.IFA_F_NODAD
	}
	err := netlink.AddrAdd(l.link, a)
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
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.addrs, p)
	if i < 0 {
		return nil
	}
	l.addrs = slices.Delete(l.addrs, i, i+1)
	err := netlink.AddrDel(l.link, &netlink.Addr{IPNet: ipNet(p)})
	if err != nil && !gone(err) {
		return fmt.Errorf("netif: remove address %v from %s: %w", p, l.name, err)
	}
	return nil
}

// AddRoute sends packets for the prefix through the device.
func (l *Link) AddRoute(p netip.Prefix) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := netlink.RouteAdd(l.route(p))
	if errors.Is(err, unix.EEXIST) {
		return l.sameRoute(p)
	}
	if err != nil {
		return fmt.Errorf("netif: add route %v through %s: %w", p, l.name, err)
	}
	l.routes = append(l.routes, p)
	return nil
}

// sameRoute accepts an existing route only when it leads to this device, as the kernel's own route
// of an address does.
func (l *Link) sameRoute(p netip.Prefix) error {
	all, err := Routes()
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
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.routes, p)
	if i < 0 {
		return nil
	}
	l.routes = slices.Delete(l.routes, i, i+1)
	if err := netlink.RouteDel(l.route(p)); err != nil && !gone(err) {
		return fmt.Errorf("netif: remove route %v through %s: %w", p, l.name, err)
	}
	return nil
}

func (l *Link) route(p netip.Prefix) *netlink.Route {
	scope := netlink.SCOPE_LINK
	if p.Addr().Is6() {
		scope = netlink.SCOPE_UNIVERSE
	}
	return &netlink.Route{LinkIndex: l.link.Attrs().Index, Dst: ipNet(p.Masked()), Scope: scope}
}

// Down takes back routes, addresses and settings this Link added, and brings the device down
// unless it was up before. What vanished meanwhile, perhaps with the device, is no error.
func (l *Link) Down() error {
	var errs []error
	for _, p := range slices.Backward(slices.Clone(l.routes)) {
		errs = append(errs, l.DelRoute(p))
	}
	for _, p := range slices.Backward(slices.Clone(l.addrs)) {
		errs = append(errs, l.DelAddr(p))
	}
	if !l.wasUp {
		if err := netlink.LinkSetDown(l.link); err != nil && !gone(err) {
			errs = append(errs, fmt.Errorf("netif: bring down %s: %w", l.name, err))
		}
	}
	for _, s := range slices.Backward(l.sysctls) {
		errs = append(errs, s.restore())
	}
	l.sysctls = nil
	if !l.wasUp {
		l.hush()
	}
	return errors.Join(errs...)
}

// hush removes the link-local addresses that the kernel invents when addr_gen_mode is put back,
// although the device is down and has lost all others.
func (l *Link) hush() {
	addrs, err := netlink.AddrList(l.link, netlink.FAMILY_V6)
	if err != nil {
		return // it is gone
	}
	for _, a := range addrs {
		if a.IP.IsLinkLocalUnicast() {
			_ = netlink.AddrDel(l.link, &a) // as above
		}
	}
}

// gone tells errors about things that no longer exist.
func gone(err error) bool {
	return errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ESRCH) ||
		errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.ENETDOWN)
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// Routes lists unicast routes of all tables, IPv4 first, without those the kernel keeps for the
// host's own and broadcast addresses.
func Routes() ([]Route, error) {
	names := map[int]string{}
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("netif: list devices: %w", err)
	}
	for _, link := range links {
		names[link.Attrs().Index] = link.Attrs().Name
	}
	var routes []Route
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		all, err := netlink.RouteListFiltered(family,
			&netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
		if err != nil {
			return nil, fmt.Errorf("netif: list routes: %w", err)
		}
		routes = appendRoutes(routes, all, family, names)
	}
	return routes, nil
}

func appendRoutes(routes []Route, all []netlink.Route, family int, names map[int]string) []Route {
	for i := range all {
		routes = appendRoute(routes, &all[i], family, names)
	}
	return routes
}

func appendRoute(routes []Route, r *netlink.Route, family int, names map[int]string) []Route {
	if r.Table == unix.RT_TABLE_LOCAL || r.Type != unix.RTN_UNICAST {
		return routes
	}
	prefix := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	if family == netlink.FAMILY_V6 {
		prefix = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	if r.Dst != nil {
		addr, ok := netip.AddrFromSlice(r.Dst.IP)
		if !ok {
			return routes
		}
		ones, _ := r.Dst.Mask.Size()
		if family == netlink.FAMILY_V4 {
			addr = addr.Unmap()
		}
		prefix = netip.PrefixFrom(addr, ones)
	}
	devices := []int{r.LinkIndex}
	for _, hop := range r.MultiPath {
		devices = append(devices, hop.LinkIndex)
	}
	for _, index := range devices {
		if name := names[index]; name != "" {
			routes = append(routes, Route{Prefix: prefix, Device: name})
		}
	}
	return routes
}
