// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"staex/internal/api"
	"staex/internal/conf"
)

// lookupTime is how long one name may take: longer than any program would wait for it.
const lookupTime = 5 * time.Second

// A machine is what the doctor looks at beside files of its own and the daemon.
type machine struct {
	root   string // in front of the paths of the system's files: empty but in tests
	now    func() time.Time
	lookup func(name string) error                        // as every program here does it
	dns    func(server netip.AddrPort, name string) error // at one server
	bind   func(at netip.AddrPort) error                  // whether a UDP port is free
}

func thisMachine() machine {
	return machine{now: time.Now, lookup: lookupHere, dns: lookupAt, bind: bindUDP}
}

// lookupHere looks a name up by the C library's rules, which ours do not know: with its own
// program where there is one.
func lookupHere(name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), lookupTime)
	defer cancel()
	if path, err := exec.LookPath("getent"); err == nil {
		if exec.CommandContext(ctx, path, "ahosts", name).Run() != nil {
			return errors.New("no such name")
		}
		return nil
	}
	_, err := net.DefaultResolver.LookupHost(ctx, name)
	return err
}

// lookupAt asks one DNS server.
func lookupAt(server netip.AddrPort, name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), lookupTime)
	defer cancel()
	r := net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, server.String())
		},
	}
	_, err := r.LookupHost(ctx, name+".")
	return err
}

func bindUDP(at netip.AddrPort) error {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return err
	}
	return c.Close()
}

func (d *doctor) systemFile(path string) string { return filepath.Join(d.machine.root, path) }

func (d *doctor) lookAtTUN() {
	if runtime.GOOS != "linux" {
		return
	}
	const check, path = "device", "/dev/net/tun"
	switch _, err := os.Stat(d.systemFile(path)); {
	case errors.Is(err, fs.ErrNotExist):
		d.problem(check, "there is no "+path+": this kernel makes no TUN devices",
			"modprobe tun; on OpenWrt: opkg install kmod-tun; in a container: --device "+path)
	case err != nil:
		d.problem(check, err.Error(), "")
	case d.status != nil && d.status.Device != "":
		device := filepath.Join("/sys/class/net", d.status.Device)
		if _, err := os.Stat(d.systemFile(device)); err != nil {
			d.problem(check, "the device "+d.status.Device+" is gone", "systemctl restart mcc")
			return
		}
		d.ok(check, "%s", d.status.Device)
	default:
		d.ok(check, "%s", path)
	}
}

// lookAtPort tries the UDP port of a daemon that does not run: it may be the reason.
func (d *doctor) lookAtPort() {
	if !d.down {
		return
	}
	at := d.cfg.Link.Listen
	if !at.Addr().IsValid() {
		at = netip.AddrPortFrom(netip.IPv4Unspecified(), at.Port())
	}
	switch err := d.machine.bind(at); {
	case errors.Is(err, syscall.EADDRINUSE) && !d.cfg.Socket.Enable:
		d.ok("port", "UDP port %d is in use: by the daemon, if it runs", at.Port())
	case errors.Is(err, syscall.EADDRINUSE):
		d.problem("port", fmt.Sprintf("another program uses UDP port %d", at.Port()),
			"find it with: ss -ulpn; or choose another port for listen-addr in "+d.configPath())
	case err != nil:
		d.problem("port", "listen-addr: "+err.Error(), "change listen-addr in "+d.configPath())
	default:
		d.ok("port", "UDP %d is free", at.Port())
	}
}

// lookAtRoutes compares the overlay's ranges with the routes of now: one that came after the
// start of the daemon takes addresses away from it.
func (d *doctor) lookAtRoutes() {
	const check = "routes"
	routes := append(d.routes4(), d.routes6()...)
	for _, r := range []struct {
		key   string
		value netip.Prefix
	}{
		{"resolver.ipv4-network", d.cfg.Resolver.IPv4},
		{"resolver.ipv6-network", d.cfg.Resolver.IPv6},
	} {
		for _, other := range d.rivals(routes, r.value) {
			d.problem(check, fmt.Sprintf("the route %v of device %s overlaps %s = %v",
				other.prefix, other.device, r.key, r.value),
				"choose another range for "+r.key+" in "+d.configPath())
		}
	}
	say := d.warn // as long as no tunnel here needs them
	if slices.ContainsFunc(d.tunnels, missesStatic) {
		say = d.problem
	}
	for _, other := range d.rivals(routes, conf.StaticNetwork()) {
		say(check, fmt.Sprintf("the route %v of device %s overlaps %v, the range of static "+
			"addresses, which cannot be reached from here", other.prefix, other.device,
			conf.StaticNetwork()), "no key changes this range: renumber that network and restart "+
			"mccd, or make tunnels without --static-ip-address")
	}
	if d.quiet(check) && len(routes) > 0 {
		d.ok(check, "%v, %v and %v are free", d.cfg.Resolver.IPv4, d.cfg.Resolver.IPv6,
			conf.StaticNetwork())
	}
}

// rivals are the routes of others that share addresses with a range.
func (d *doctor) rivals(routes []route, p netip.Prefix) []route {
	return slices.DeleteFunc(slices.Clone(routes), func(r route) bool {
		return r.prefix.Bits() == 0 || r.device == d.cfg.Device.Name || !r.prefix.Overlaps(p)
	})
}

// missesStatic tells whether programs here would reach a tunnel at its static address.
func missesStatic(t api.Tunnel) bool { return t.Side == api.SideClient && t.Static.IsValid() }

// A route is one of the kernel's.
type route struct {
	prefix netip.Prefix
	device string
}

// routes4 reads /proc/net/route: device, destination, ..., mask in the eighth column, numbers in
// hexadecimal as they lie in memory.
func (d *doctor) routes4() (all []route) {
	for _, f := range d.fields("/proc/net/route", 8) {
		destination, err1 := strconv.ParseUint(f[1], 16, 32)
		mask, err2 := strconv.ParseUint(f[7], 16, 32)
		if errors.Join(err1, err2) != nil {
			continue // the line of titles
		}
		var a, m [4]byte
		binary.NativeEndian.PutUint32(a[:], uint32(destination))
		binary.NativeEndian.PutUint32(m[:], uint32(mask))
		ones, _ := net.IPMask(m[:]).Size()
		all = append(all, route{netip.PrefixFrom(netip.AddrFrom4(a), ones), f[0]})
	}
	return all
}

// routes6 reads /proc/net/ipv6_route: destination, length, ..., device in the tenth column.
func (d *doctor) routes6() (all []route) {
	const reject = 0x0200 // RTF_REJECT: what no route leads to
	for _, f := range d.fields("/proc/net/ipv6_route", 10) {
		raw, err1 := hex.DecodeString(f[0])
		bits, err2 := strconv.ParseUint(f[1], 16, 8)
		flags, err3 := strconv.ParseUint(f[8], 16, 32)
		if errors.Join(err1, err2, err3) != nil || len(raw) != 16 || flags&reject != 0 {
			continue
		}
		addr := netip.AddrFrom16([16]byte(raw))
		all = append(all, route{netip.PrefixFrom(addr, int(bits)), f[9]})
	}
	return all
}

// fields are the lines of a table of the kernel, without those that are too short.
func (d *doctor) fields(path string, atLeast int) (all [][]string) {
	text, err := os.ReadFile(d.systemFile(path))
	if err != nil {
		return nil
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if f := strings.Fields(lines.Text()); len(f) >= atLeast {
			all = append(all, f)
		}
	}
	return all
}

// lookAtForwarding sees whether the kernel still forwards to devices beside this node.
func (d *doctor) lookAtForwarding() {
	const check = "forwarding"
	wanted := false
	for _, t := range d.tunnels {
		here := t.Side == api.SideServer && t.State == api.StateActive
		wanted = wanted || here && t.External.Is4()
	}
	if !wanted {
		return
	}
	path := filepath.Join("/proc/sys/net/ipv4/conf", d.status.Device, "forwarding")
	text, err := os.ReadFile(d.systemFile(path))
	switch {
	case err != nil:
		d.warn(check, "forwarding to external devices: "+err.Error(), "")
	case strings.TrimSpace(string(text)) != "1":
		d.problem(check, "forwarding from "+d.status.Device+" was switched off, so external "+
			"devices are not reached",
			"another program changed "+path+"; find it, then: systemctl restart mcc")
	default:
		d.ok(check, "on, to external devices only")
	}
}

// lookAtNames finds out whether programs of this machine find nodes by their names.
func (d *doctor) lookAtNames() {
	const check = "names"
	if d.cfg == nil {
		return
	}
	res := d.cfg.Resolver
	name := d.status.ID.String() + res.Domain
	if res.DNSEnable {
		if err := d.machine.dns(res.DNSAddr, name); err != nil {
			d.problem(check, fmt.Sprintf("the daemon's DNS server at %v does not answer: %v",
				res.DNSAddr, err), "does a packet filter block it? Or choose another dns-addr in "+
				d.configPath())
		}
	}
	if d.machine.lookup(name) == nil {
		d.ok(check, "programs here find %s", res.Domain)
		return
	}
	text := "programs here do not find names below " + res.Domain
	line := d.hostsLine()
	switch {
	case line == "":
		d.warn(check, text, "let this machine's resolver ask "+res.DNSAddr.String()+" for "+
			res.Domain+": see the manual page mccd(8)")
	case strings.Contains(" "+line+" ", " mcc "):
		d.warn(check, text+", although /etc/nsswitch.conf says: hosts: "+line,
			"is libnss_mcc.so.2 installed, and does it find the daemon's socket "+
				"(MCC_UNIX_SOCKET_PATH)?")
	default:
		d.warn(check, text+": /etc/nsswitch.conf says: hosts: "+line,
			"install libnss_mcc.so.2 and write: hosts: files mcc [SUCCESS=return] dns")
	}
}

// hostsLine is the line "hosts:" of nsswitch.conf; empty where there is none.
func (d *doctor) hostsLine() string {
	text, err := os.ReadFile(d.systemFile("/etc/nsswitch.conf"))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		if hosts, ok := strings.CutPrefix(strings.TrimSpace(line), "hosts:"); ok {
			return strings.Join(strings.Fields(hosts), " ")
		}
	}
	return ""
}
