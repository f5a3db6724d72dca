// SPDX-License-Identifier: Apache-2.0

package conf

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
)

// TunnelSuffix ends the names of the files in the tunnels directory that are read.
const TunnelSuffix = ".conf"

// A Tunnel is the server side of a tunnel as its file describes it. The targets and the
// remote node are in the certificate.
type Tunnel struct {
	Name        string // the file's name without its suffix
	File        string
	Certificate string // path
	PrivateKey  string // path
	External    netip.Addr
	Names       []string
	Static      netip.Addr

	base string // what relative paths are joined to
}

// tunnelKeys is every key of a tunnel's file.
var tunnelKeys = []key[Tunnel]{
	{
		name:  "certificate",
		doc:   "Certificate of the server endpoint.",
		field: tunnelPath(func(t *Tunnel) *string { return &t.Certificate }),
	},
	{
		name:  "private-key",
		doc:   "Private key of the server endpoint. Only its owner may read the file.",
		field: tunnelPath(func(t *Tunnel) *string { return &t.PrivateKey }),
	},
	{
		name: "external-ip-address", def: "0.0.0.0",
		doc: "Private address of the device behind this node; a link-local one with its " +
			"interface (fe80::1%eth0). 0.0.0.0 means this node.",
		field: value(func(t *Tunnel) *netip.Addr { return &t.External },
			ParseExternal, formatExternal),
	},
	{
		name:  "dns-names",
		doc:   "DNS names of the server endpoint.",
		field: names(func(t *Tunnel) *[]string { return &t.Names }),
	},
	{
		name: "static-addr", def: "10.115.0.0/16",
		doc: "Static address of the server endpoint. The range itself means none.",
		field: value(func(t *Tunnel) *netip.Addr { return &t.Static },
			ParseStatic, formatStatic),
	},
}

// ParseTunnel reads one file of the tunnels directory. Relative paths start at the file's
// directory, or at dir when file is a bare name. The error is a *ProblemList.
func ParseTunnel(data []byte, file, dir string) (*Tunnel, error) {
	t := &Tunnel{File: file, base: baseOf(file, dir)}
	t.Name = strings.TrimSuffix(filepath.Base(file), TunnelSuffix)
	p := parser[Tunnel]{file: file, keys: tunnelKeys}
	if err := CheckTunnelName(t.Name); err != nil {
		p.problem(0, "", err.Error())
	}
	p.parse(data, t, &Tunnel{})
	for _, name := range []string{"certificate", "private-key"} {
		if _, there := p.lines[name]; !there {
			p.problem(0, name, name+" is missing")
		}
	}
	if len(p.problems) > 0 {
		return nil, &ProblemList{Problems: p.problems}
	}
	return t, nil
}

// Format gives the text of the file, which ParseTunnel reads back. Paths are written
// relative to the file's directory where they are in it, so that the directory can move.
func (t *Tunnel) Format() []byte {
	var b strings.Builder
	b.WriteString("# Server side of a tunnel. " +
		"Its targets and its remote node are in the certificate.\n")
	dir := filepath.Dir(t.File)
	for i := range tunnelKeys {
		k := &tunnelKeys[i]
		text := k.get(t)
		if text == "" || text == k.def {
			continue
		}
		if k.name == "certificate" || k.name == "private-key" {
			inside, found := strings.CutPrefix(text, dir+string(filepath.Separator))
			if found && inside[0] != '#' {
				text = inside
			}
		}
		b.WriteString(line(k.name, text) + "\n")
	}
	return []byte(b.String())
}

// CheckTunnelName tells whether a tunnel may have this name, which is also the name of
// its files: letters, digits, dots, hyphens and underscores, not starting with the first
// two, at most 63 bytes.
func CheckTunnelName(name string) error {
	if name == "" || name[0] == '.' || name[0] == '-' || len(name) > maxLabel {
		return fmt.Errorf("%q cannot be the name of a tunnel", clip(name))
	}
	for i := range len(name) {
		b := name[i]
		letter := b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
		if digit := b >= '0' && b <= '9'; !letter && !digit && strings.IndexByte("._-", b) < 0 {
			return fmt.Errorf("%q cannot be the name of a tunnel: %q is not allowed", name, b)
		}
	}
	return nil
}

// tunnelPath is a file; relative ones start at the tunnel file's directory.
func tunnelPath(at func(*Tunnel) *string) field[Tunnel] {
	return field[Tunnel]{
		set: func(t *Tunnel, text string) error {
			if text == "" {
				return errNoPath
			}
			*at(t) = join(t.base, text)
			return nil
		},
		get: func(t *Tunnel) string { return *at(t) },
	}
}

// ParseExternal reads the address of a device behind a node: IPv4 of RFC 1918, IPv6 of
// RFC 4193, or IPv6 link-local with its interface (fe80::1%eth0). "0.0.0.0" gives the
// zero Addr: no device, the node itself. Config.CheckExternal knows more.
func ParseExternal(s string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(s)
	switch {
	case err != nil:
		return netip.Addr{}, fmt.Errorf("%q is not an IP address", clip(s))
	case addr == netip.IPv4Unspecified() || addr == netip.IPv6Unspecified():
		return netip.Addr{}, nil
	case addr.Is4In6() || strings.ContainsAny(addr.Zone(), " \t/#"):
		return netip.Addr{}, fmt.Errorf("%q is not an address of one family", clip(s))
	case addr.IsPrivate() && addr.Zone() == "":
		return addr, nil
	case addr.Is6() && addr.IsLinkLocalUnicast():
		if addr.Zone() == "" {
			return netip.Addr{}, fmt.Errorf("%v needs its interface: %v%%eth0", addr, addr)
		}
		return addr, nil
	}
	return netip.Addr{}, fmt.Errorf("%v is not a private address (RFC 1918, RFC 4193)", addr)
}

func formatExternal(a netip.Addr) string {
	if !a.IsValid() {
		return "0.0.0.0"
	}
	return a.String()
}

// CheckExternal tells whether a device with this address can be reached: the overlay has ranges
// of its own in private space, and nobody is beside a node on its virtual device.
func (c *Config) CheckExternal(a netip.Addr) error {
	if zone := a.Zone(); zone == c.Device.Name && zone != "" {
		return fmt.Errorf("%v is on %s, the device of the overlay; "+
			"name the interface of the LAN that the address is on", a, zone)
	}
	for _, r := range []netip.Prefix{c.Resolver.IPv4, c.Resolver.IPv6, StaticNetwork()} {
		if r.Contains(a) {
			return fmt.Errorf("%v is inside %v, which belongs to the overlay", a, r)
		}
	}
	return nil
}

// checkRanges finds overlay ranges that overlap each other.
func (c *Config) checkRanges() []Problem {
	if !c.Resolver.IPv4.Overlaps(StaticNetwork()) {
		return nil
	}
	return []Problem{{Key: "resolver.ipv4-network", Text: fmt.Sprintf(
		"%v overlaps %v, the range of static addresses", c.Resolver.IPv4, StaticNetwork())}}
}
