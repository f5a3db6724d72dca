// SPDX-License-Identifier: Apache-2.0

// Package dnsmasq is the file that makes Dnsmasq ask our DNS server for names of the overlay. It
// only makes the text; it starts nothing and writes nothing.
package dnsmasq

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// FileName is the name of the file in Dnsmasq's directory.
const FileName = "mcc.conf"

// Config is what Dnsmasq has to be told.
type Config struct {
	Server netip.AddrPort // of our DNS server; an unspecified address means this machine
	Domain string         // under which names resolve, with or without its leading dot
	Ranges []netip.Prefix // whose addresses have names
}

// Text is the file: the domain, single labels and reverse names go to our server and nowhere else.
func (c Config) Text() string {
	server := at(c.Server)
	domain := strings.Trim(c.Domain, ".")
	var b strings.Builder
	b.WriteString("# Made by mccd: names of the network are asked for at its DNS server.\n")
	for _, name := range append([]string{domain, ""}, reverse(c.Ranges)...) {
		fmt.Fprintf(&b, "server=/%s/%s\n", name, server)
	}
	// The addresses are private ones, which Dnsmasq refuses from servers it does not know.
	fmt.Fprintf(&b, "rebind-domain-ok=/%s/\n", domain)
	return b.String()
}

// at is a server in Dnsmasq's way of writing.
func at(a netip.AddrPort) string {
	ip := a.Addr().Unmap()
	switch {
	case !ip.IsValid() || ip == netip.IPv4Unspecified():
		ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	case ip == netip.IPv6Unspecified():
		ip = netip.IPv6Loopback()
	}
	return ip.String() + "#" + strconv.Itoa(int(a.Port()))
}

// reverse are the domains of the reverse names of ranges (RFC 1035 section 3.5, RFC 3596 section
// 2.5). A range that ends inside a label has several.
func reverse(ranges []netip.Prefix) (names []string) {
	for _, r := range ranges {
		bits, base, zone := 8, 10, "in-addr.arpa"
		var labels []byte
		if r.Addr().Is4() {
			four := r.Addr().As4()
			labels = four[:]
		} else {
			bits, base, zone = 4, 16, "ip6.arpa"
			for _, x := range r.Addr().As16() {
				labels = append(labels, x>>4, x&15)
			}
		}
		whole, rest := r.Bits()/bits, r.Bits()%bits
		suffix := zone
		for _, l := range labels[:whole] {
			suffix = strconv.FormatUint(uint64(l), base) + "." + suffix
		}
		if rest == 0 {
			names = append(names, suffix)
			continue
		}
		first := int(labels[whole])
		for l := first; l < first+1<<(bits-rest); l++ {
			names = append(names, strconv.FormatUint(uint64(l), base)+"."+suffix)
		}
	}
	return names
}
