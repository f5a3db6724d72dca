// SPDX-License-Identifier: Apache-2.0

package conf

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"staex/internal/ident"
)

// Longest names of the DNS (RFC 1035, section 2.3.4), in bytes.
const (
	maxLabel = 63
	maxName  = 253
)

// ParseName reads the DNS name of a node or an endpoint: one label that ident.CheckName
// accepts, in either case; the result is lower case.
func ParseName(s string) (string, error) {
	name := strings.ToLower(s)
	if strings.Contains(name, ".") {
		return "", fmt.Errorf("%w: write %q without a domain", ident.ErrName, clip(s))
	}
	return name, ident.CheckName(name)
}

// ParseNames reads a comma list of DNS names without duplicates, at most ident.MaxNames:
// a node and an endpoint have the same bound.
func ParseNames(s string) ([]string, error) {
	return parseList(s, ident.MaxNames, ParseName)
}

// checkLabel accepts one DNS label: letters, digits and hyphens, none at the ends.
func checkLabel(s string) error {
	switch {
	case s == "":
		return errors.New("a name is empty")
	case len(s) > maxLabel:
		return fmt.Errorf("name %q is longer than %d characters", clip(s), maxLabel)
	case s[0] == '-' || s[len(s)-1] == '-':
		return fmt.Errorf("name %q starts or ends with a hyphen", s)
	}
	for i := range len(s) {
		if b := s[i]; b != '-' && (b < '0' || b > '9') && (b < 'a' || b > 'z') {
			return fmt.Errorf("name %q: only letters, digits and hyphens are allowed", clip(s))
		}
	}
	return nil
}

// checkHostName accepts a name that a resolver can be asked for. A last label of digits
// only would be an IPv4 address gone wrong (RFC 1123, section 2.1).
func checkHostName(s string) error {
	if len(s) > maxName {
		return fmt.Errorf("host %q is longer than %d characters", clip(s), maxName)
	}
	labels := strings.Split(s, ".")
	for _, l := range labels {
		if err := checkLabel(strings.ReplaceAll(l, "_", "x")); err != nil {
			return fmt.Errorf("host %q is neither an address nor a host name", clip(s))
		}
	}
	if strings.Trim(labels[len(labels)-1], "0123456789") == "" {
		return fmt.Errorf("host %q is neither an address nor a host name", clip(s))
	}
	return nil
}

// parseDomain reads the domain under which names resolve and gives it one leading dot.
func parseDomain(s string) (string, error) {
	name := strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(s, "."), "."))
	if err := checkHostName(name); err != nil {
		return "", fmt.Errorf("%q is not a domain such as .home.arpa", clip(s))
	}
	return "." + name, nil
}

// StaticNetwork is the range that static addresses of the overlay are taken from. The
// range itself, where an address is expected, means "no static address".
func StaticNetwork() netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 115, 0, 0}), 16)
}

// ParseStatic reads a static address, "10.115.1.2" or "10.115.1.2/16". The range itself
// gives the zero Addr: none.
func ParseStatic(s string) (netip.Addr, error) {
	all := StaticNetwork()
	text, bits, masked := strings.Cut(s, "/")
	addr, err := netip.ParseAddr(text)
	if err != nil || masked && bits != "16" {
		return netip.Addr{}, fmt.Errorf("%q is not an address of %v", clip(s), all)
	}
	if masked && addr == all.Addr() {
		return netip.Addr{}, nil
	}
	if !all.Contains(addr) {
		return netip.Addr{}, fmt.Errorf("%v is not an address of %v", addr, all)
	}
	if addr == all.Addr() || addr == lastOf(all) {
		return netip.Addr{}, fmt.Errorf("%v cannot be used: it stands for the whole range", addr)
	}
	return addr, nil
}

// lastOf returns the broadcast address of an IPv4 range.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}

// formatStatic is the inverse of ParseStatic.
func formatStatic(a netip.Addr) string {
	if !a.IsValid() {
		return StaticNetwork().String()
	}
	return a.String()
}
