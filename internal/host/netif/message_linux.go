// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netif

import (
	"encoding/binary"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// The headers of the three kinds of messages (linux/rtnetlink.h, linux/if_addr.h), in the byte
// order of the machine, by the offset of their fields:
//
//	ifinfomsg  0 family   2 type     4 index    8 flags      12 mask of flags
//	ifaddrmsg  0 family   1 length   2 flags    3 scope       4 index
//	rtmsg      0 family   1 length   2 source's length        3 service
//	           4 table    5 protocol 6 scope    7 type        8 flags
//
// Attributes follow: length, type, value, each filled up to four bytes.

func linkHead(index, flags, mask uint32) []byte {
	b := make([]byte, 4, unix.SizeofIfInfomsg)
	b = binary.NativeEndian.AppendUint32(b, index)
	b = binary.NativeEndian.AppendUint32(b, flags)
	return binary.NativeEndian.AppendUint32(b, mask)
}

func addressHead(p netip.Prefix, flags uint8, index uint32) []byte {
	b := []byte{family(p.Addr()), uint8(max(0, p.Bits())), flags, unix.RT_SCOPE_UNIVERSE}
	return binary.NativeEndian.AppendUint32(b, index)
}

// routeFields is what a request says in a route's header.
type routeFields struct {
	prefix                       netip.Prefix
	table, protocol, scope, kind uint8
}

func routeHead(f routeFields) []byte {
	return []byte{
		family(f.prefix.Addr()), uint8(max(0, f.prefix.Bits())), 0, 0,
		f.table, f.protocol, f.scope, f.kind, 0, 0, 0, 0,
	}
}

// family is that of an address; the zero address has none, which means all.
func family(a netip.Addr) uint8 {
	switch {
	case a.Is4():
		return unix.AF_INET
	case a.Is6():
		return unix.AF_INET6
	}
	return unix.AF_UNSPEC
}

func appendAttr(b []byte, kind uint16, value []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(unix.SizeofRtAttr+len(value)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, value...)
	return append(b, make([]byte, -len(value)&3)...)
}

func appendNumber(b []byte, kind uint16, v uint32) []byte {
	return appendAttr(b, kind, binary.NativeEndian.AppendUint32(nil, v))
}

// attrsOf reads the attributes of a message behind the header of its kind. Unknown ones are no
// error: every kernel has new ones.
func attrsOf(m syscall.NetlinkMessage, head int) ([]syscall.NetlinkRouteAttr, error) {
	if len(m.Data) < head || len(m.Data)%4 != 0 {
		return nil, errShort
	}
	return syscall.ParseNetlinkRouteAttr(&m)
}

// addrOf reads an address of a family; it is invalid where the two disagree.
func addrOf(of uint8, b []byte) netip.Addr {
	if a, _ := netip.AddrFromSlice(b); family(a) == of {
		return a
	}
	return netip.Addr{}
}

// numberOf reads a number; it is 0 where the kernel sends something else.
func numberOf(b []byte) uint32 {
	if len(b) != 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(b)
}

// device is what is of interest here about a device.
type device struct {
	index uint32
	flags uint32
	mtu   uint32
	name  string
}

func (d device) up() bool { return d.flags&unix.IFF_UP != 0 }

// carrier tells whether the device can send.
func (d device) carrier() bool { return d.flags&unix.IFF_RUNNING != 0 }

func parseDevice(m syscall.NetlinkMessage) (d device, err error) {
	attrs, err := attrsOf(m, unix.SizeofIfInfomsg)
	if err != nil {
		return d, err
	}
	d.index = binary.NativeEndian.Uint32(m.Data[4:])
	d.flags = binary.NativeEndian.Uint32(m.Data[8:])
	for _, a := range attrs {
		switch a.Attr.Type {
		case unix.IFLA_IFNAME:
			d.name = unix.ByteSliceToString(a.Value)
		case unix.IFLA_MTU:
			d.mtu = numberOf(a.Value)
		}
	}
	return d, err
}

// address is an address of a device.
type address struct {
	index  uint32
	prefix netip.Prefix // invalid: neither IPv4 nor IPv6
}

func parseAddress(m syscall.NetlinkMessage) (a address, err error) {
	attrs, err := attrsOf(m, unix.SizeofIfAddrmsg)
	if err != nil {
		return a, err
	}
	a.index = binary.NativeEndian.Uint32(m.Data[4:])
	var own, far netip.Addr // the same where there is only one
	for _, attr := range attrs {
		switch attr.Attr.Type {
		case unix.IFA_LOCAL:
			own = addrOf(m.Data[0], attr.Value)
		case unix.IFA_ADDRESS:
			far = addrOf(m.Data[0], attr.Value)
		}
	}
	if !own.IsValid() {
		own = far
	}
	a.prefix = netip.PrefixFrom(own, int(m.Data[1]))
	return a, err
}

// entry is one of the kernel's routes.
type entry struct {
	prefix  netip.Prefix // invalid: neither IPv4 nor IPv6
	listed  bool         // unicast, not learnt, and not to an address of the host's own
	devices []uint32     // several share the packets
	gateway netip.Addr
	source  netip.Addr
}

// parseEntry returns the zero entry for families that are not ours: their headers may differ.
func parseEntry(m syscall.NetlinkMessage) (e entry, err error) {
	b := m.Data
	if len(b) == 0 || b[0] != unix.AF_INET && b[0] != unix.AF_INET6 {
		return e, nil
	}
	attrs, err := attrsOf(m, unix.SizeofRtMsg)
	if err != nil {
		return e, err
	}
	table := uint32(b[4])
	to := netip.IPv4Unspecified() // what no attribute stands for
	if b[0] == unix.AF_INET6 {
		to = netip.IPv6Unspecified()
	}
	for _, a := range attrs {
		switch a.Attr.Type {
		case unix.RTA_DST:
			to = addrOf(b[0], a.Value)
		case unix.RTA_OIF:
			e.devices = append(e.devices, numberOf(a.Value))
		case unix.RTA_MULTIPATH:
			e.devices = appendHops(e.devices, a.Value)
		case unix.RTA_GATEWAY:
			e.gateway = addrOf(b[0], a.Value)
		case unix.RTA_PREFSRC:
			e.source = addrOf(b[0], a.Value)
		case unix.RTA_TABLE:
			table = numberOf(a.Value)
		}
	}
	e.prefix = netip.PrefixFrom(to, int(b[1]))
	e.listed = b[7] == unix.RTN_UNICAST && table != unix.RT_TABLE_LOCAL &&
		binary.NativeEndian.Uint32(b[8:])&unix.RTM_F_CLONED == 0
	return e, err
}

// appendHops reads the devices of a route that has several (rtnexthop: 0 length, 2 flags, 3 weight,
// 4 index, 8 attributes).
func appendHops(devices []uint32, b []byte) []uint32 {
	for len(b) >= unix.SizeofRtNexthop {
		size := int(binary.NativeEndian.Uint16(b))
		if size < unix.SizeofRtNexthop || size > len(b) {
			break
		}
		devices = append(devices, binary.NativeEndian.Uint32(b[4:]))
		b = b[min(len(b), (size+3)&^3):]
	}
	return devices
}
