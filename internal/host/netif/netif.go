// SPDX-License-Identifier: Apache-2.0

// Package netif gives a network device its addresses and routes and takes back exactly what it
// gave; it carries no packet and decides no policy.
package netif

import (
	"errors"
	"net/netip"
)

// GSOMaxSize is the largest super-packet in bytes the kernel may build for the device: with the
// overlay's headers added per segment it still fits one send of the underlay socket (65,000
// bytes).
const GSOMaxSize = 61000

// ErrUnsupported is returned where this product cannot configure devices yet.
var ErrUnsupported = errors.New("netif: this system is not supported yet")

// ErrNoForwarding is returned when IPv6 cannot be forwarded for one device only: kernels before
// 6.17 have a single switch for the whole machine, which also stops it from accepting router
// advertisements, so it is left to the administrator.
var ErrNoForwarding = errors.New("netif: this kernel cannot forward IPv6 for one device only; " +
	"set net.ipv6.conf.all.forwarding=1 if the whole machine may be a router")

// ErrNoDevice is returned when there is no device of the name.
var ErrNoDevice = errors.New("netif: no such device")

// Route is one entry of the host's routing tables.
type Route struct {
	Prefix netip.Prefix // destination; the default route has zero bits
	Device string       // name of the device it leaves by; empty for blackholes and the like
}

// Way is how the host reaches an address. The zero value is no way at all.
type Way struct {
	Device  string
	Carrier bool       // the device can send: its cable is plugged in
	Gateway netip.Addr // invalid on a direct way
	Source  netip.Addr // the own address that a packet would carry
}

// String describes the way in a few words.
func (w Way) String() string {
	if w.Device == "" {
		return "none"
	}
	s := "from " + w.Source.String() + " by " + w.Device
	if w.Gateway.IsValid() {
		s += " and " + w.Gateway.String()
	}
	if !w.Carrier {
		s += " (no carrier)"
	}
	return s
}
