// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"net"
	"net/netip"
)

// ownAddress is where others reach this node, as far as it can know: what it listens at; where it
// listens at every address, the one it would send from, or else the first of the machine. It runs
// in the node's goroutine.
func (d *daemon) ownAddress() string {
	listen := d.files.cfg.Link.Listen
	if a := listen.Addr(); a.IsValid() && !a.IsUnspecified() {
		return listen.String()
	}
	toward := netip.MustParseAddrPort("192.0.2.1:9") // any address outside tells (RFC 5737)
	if _, addr, ok := d.node.Parent(); ok {
		toward = addr
	}
	from, ok := sourceToward(toward)
	if !ok {
		from, ok = d.firstAddress()
	}
	if !ok {
		return ""
	}
	return netip.AddrPortFrom(from, listen.Port()).String()
}

// sourceToward is the address that the machine would send from. Nothing is sent.
func sourceToward(to netip.AddrPort) (netip.Addr, bool) {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		return netip.Addr{}, false
	}
	defer conn.Close() //nolint:errcheck // nothing was sent
	from, ok := conn.LocalAddr().(*net.UDPAddr)
	if !ok {
		return netip.Addr{}, false
	}
	return from.AddrPort().Addr().Unmap(), true
}

// firstAddress is the first address of the machine that others may use, outside the overlay.
func (d *daemon) firstAddress() (netip.Addr, bool) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return netip.Addr{}, false
	}
	res := d.files.cfg.Resolver
	for _, x := range all {
		p, err := netip.ParsePrefix(x.String())
		if err != nil {
			continue
		}
		a := p.Addr().Unmap()
		if a.IsGlobalUnicast() && !res.IPv4.Contains(a) && !res.IPv6.Contains(a) {
			return a, true
		}
	}
	return netip.Addr{}, false
}
