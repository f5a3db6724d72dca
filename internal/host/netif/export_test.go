// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netif

import (
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// ParseMessage reads a message of the kernel, for tests of what no kernel here sends: the prefix of
// a route or an address, and the devices.
func ParseMessage(kind uint16, b []byte) (p netip.Prefix, devices []uint32, err error) {
	m := syscall.NetlinkMessage{Header: syscall.NlMsghdr{Type: kind}, Data: b}
	switch kind {
	case unix.RTM_NEWROUTE:
		e, err := parseEntry(m)
		return e.prefix, e.devices, err
	case unix.RTM_NEWADDR:
		a, err := parseAddress(m)
		return a.prefix, []uint32{a.index}, err
	}
	d, err := parseDevice(m)
	return p, []uint32{d.index}, err
}
