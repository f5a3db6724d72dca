// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netif

import (
	"errors"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// skipStats keeps the kernel from counting up the statistics of each device that it tells of
// (RTEXT_FILTER_SKIP_STATS of linux/rtnetlink.h).
const skipStats = 1 << 3

// deviceNamed finds a device; without one the error satisfies errors.Is(err, unix.ENODEV).
func (k *rtnl) deviceNamed(name string) (device, error) {
	return k.device(0, appendAttr(nil, unix.IFLA_IFNAME, append([]byte(name), 0)))
}

// device finds a device by its index or, where that is 0, by an attribute.
func (k *rtnl) device(index uint32, attrs []byte) (d device, err error) {
	err = k.ask(request{
		kind: unix.RTM_GETLINK, head: linkHead(index, 0, 0),
		attrs: appendNumber(attrs, unix.IFLA_EXT_MASK, skipStats),
	}, func(m syscall.NetlinkMessage) error {
		d, err = parseDevice(m)
		return err
	})
	return d, err
}

// devices returns the names of all devices by their index.
func (k *rtnl) devices() (names map[uint32]string, err error) {
	err = k.list(request{
		kind: unix.RTM_GETLINK, head: linkHead(0, 0, 0),
		attrs: appendNumber(nil, unix.IFLA_EXT_MASK, skipStats),
	}, func() { names = map[uint32]string{} }, func(m syscall.NetlinkMessage) error {
		d, err := parseDevice(m)
		names[d.index] = d.name
		return err
	})
	return names, err
}

// setDevice changes attributes of a device.
func (k *rtnl) setDevice(index uint32, attrs []byte) error {
	return k.change(request{
		kind: unix.RTM_SETLINK, head: linkHead(index, 0, 0), attrs: attrs,
	})
}

// setUp brings a device up (IFF_UP) or down (0).
func (k *rtnl) setUp(index, flags uint32) error {
	return k.change(request{
		kind: unix.RTM_SETLINK, head: linkHead(index, flags, unix.IFF_UP),
	})
}

// addresses lists the addresses of one device.
func (k *rtnl) addresses(index uint32) (all []netip.Prefix, err error) {
	err = k.list(request{
		kind: unix.RTM_GETADDR, head: addressHead(netip.Prefix{}, 0, 0),
	}, func() { all = nil }, func(m syscall.NetlinkMessage) error {
		a, err := parseAddress(m)
		if a.index == index && a.prefix.IsValid() {
			all = append(all, a.prefix)
		}
		return err
	})
	return all, err
}

// changeAddress adds or removes an address, as the kind says.
func (k *rtnl) changeAddress(kind uint16, index uint32, p netip.Prefix) error {
	r, own := request{kind: kind}, p.Addr().AsSlice()
	r.attrs = appendAttr(appendAttr(nil, unix.IFA_LOCAL, own), unix.IFA_ADDRESS, own)
	flags := uint8(0)
	if kind == unix.RTM_NEWADDR {
		r.flags = unix.NLM_F_CREATE | unix.NLM_F_EXCL
		if p.Addr().Is6() {
			flags = unix.IFA_F_NODAD
		}
	}
	r.head = addressHead(p, flags, index)
	return k.change(r)
}

// entries lists the unicast routes of all tables, IPv4 first.
func (k *rtnl) entries() (all []entry, err error) {
	for _, of := range []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
		before := len(all)
		err := k.list(request{
			kind: unix.RTM_GETROUTE,
			head: routeHead(routeFields{prefix: netip.PrefixFrom(of, 0)}),
		}, func() { all = all[:before] }, func(m syscall.NetlinkMessage) error {
			e, err := parseEntry(m)
			// A kernel without the family tells of all others instead.
			if e.listed && e.prefix.IsValid() && e.prefix.Addr().Is4() == of.Is4() {
				all = append(all, e)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// entryTo finds the route by which a packet to the address would leave; the zero entry is none.
func (k *rtnl) entryTo(a netip.Addr) (e entry, err error) {
	err = k.ask(request{
		kind:  unix.RTM_GETROUTE,
		head:  routeHead(routeFields{prefix: netip.PrefixFrom(a, a.BitLen())}),
		attrs: appendAttr(nil, unix.RTA_DST, a.AsSlice()),
	}, func(m syscall.NetlinkMessage) error {
		e, err = parseEntry(m)
		return err
	})
	if errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EHOSTUNREACH) {
		return entry{}, nil
	}
	return e, err
}

// changeRoute adds or removes, as the kind says, a route of the main table that leads to a device
// and no further.
func (k *rtnl) changeRoute(kind uint16, index uint32, p netip.Prefix) error {
	r, f := request{kind: kind}, routeFields{prefix: p, table: unix.RT_TABLE_MAIN}
	if p.Addr().Is4() {
		f.scope = unix.RT_SCOPE_LINK
	}
	if kind == unix.RTM_NEWROUTE {
		r.flags = unix.NLM_F_CREATE | unix.NLM_F_EXCL
		f.protocol, f.kind = unix.RTPROT_BOOT, unix.RTN_UNICAST
	}
	r.head = routeHead(f)
	r.attrs = appendAttr(nil, unix.RTA_DST, p.Addr().AsSlice())
	r.attrs = appendNumber(r.attrs, unix.RTA_OIF, index)
	return k.change(r)
}
