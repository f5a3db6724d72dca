// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"cmp"
	"errors"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"syscall"

	"staex/internal/conf"
	"staex/internal/host/netif"
	"staex/internal/host/nft"
	"staex/internal/host/tun"
	"staex/internal/host/udp"
	"staex/internal/overlay/pool"
)

// host is what the daemon holds of the machine.
type host struct {
	sockets sockets
	probes  sockets     // second ones, which may lose their mapping; for keep-alive-period = auto
	lanes   []sockets   // the first has the sockets above; each has a queue of the device, too
	asides  []*udp.Conn // of shapers
	device  device
	link    *netif.Link  // addresses and routes of the device
	watch   *netif.Watch // nil where the system cannot tell that somebody changes the device
	filter  *nft.NAT     // nil where the kernel has none
	forward netif.Forwarding
	lacks   []string       // what this machine cannot do, in sentences
	statics []netip.Prefix // the range of static addresses, where the machine leaves it to us
	taken   string         // else why not, in a sentence
}

// close ends sockets and device, and with them their readers.
func (h *host) close() error {
	return errors.Join(h.closeSockets(), h.probes.close(), h.device.Close())
}

func (h *host) closeSockets() error {
	err := h.sockets.close()
	for i := range h.lanes {
		err = errors.Join(err, h.lanes[i].close())
	}
	for _, c := range h.asides {
		err = errors.Join(err, (&sockets{v4: c}).close())
	}
	return err
}

// checkRanges compares the overlay's ranges with the routes that the machine has now.
func (d *daemon) checkRanges() error {
	routes, err := netif.Routes()
	if err != nil {
		d.log.problem("reading the machine's routes", err)
		return nil
	}
	res := d.files.cfg.Resolver
	for _, r := range []struct {
		key   string
		value netip.Prefix
	}{{"resolver.ipv4-network", res.IPv4}, {"resolver.ipv6-network", res.IPv6}} {
		if hit, there := overlap(routes, r.value, d.files.cfg.Device.Name); there {
			return failf(ExitInUse, "%s: %v overlaps the route %v of device %s",
				r.key, r.value, hit.Prefix, hit.Device).
				withHint("choose another range for %s in %s", r.key, d.files.path)
		}
	}
	// The range of static addresses is fixed, no key changes it: a site that uses it does without.
	if hit, there := overlap(routes, conf.StaticNetwork(), d.files.cfg.Device.Name); there {
		d.host.taken = "static addresses (" + conf.StaticNetwork().String() + ") cannot be " +
			"reached from here: the route " + hit.Prefix.String() + " of device " + hit.Device +
			" is among them; renumber that network and restart mccd, or make tunnels without " +
			"static-ip-address"
		d.log.Warn("configuration", "warning", d.host.taken)
	} else {
		d.host.statics = []netip.Prefix{conf.StaticNetwork()}
	}
	return nil
}

// overlap finds a route, other than the default one and our own, that shares addresses with p.
func overlap(routes []netif.Route, p netip.Prefix, own string) (netif.Route, bool) {
	for _, r := range routes {
		if r.Prefix.Bits() > 0 && r.Device != own && r.Prefix.Overlaps(p) {
			return r, true
		}
	}
	return netif.Route{}, false
}

// openSockets opens the underlay: both families unless listen-addr names one.
func (d *daemon) openSockets() error {
	listen := d.files.cfg.Link.Listen
	addrs := []netip.Addr{listen.Addr()}
	if !listen.Addr().IsValid() {
		addrs = []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	}
	d.later(d.host.closeSockets)
	o := udp.Options{
		Unreachable: d.refused, Doubt: d.doubts, BufferBytes: d.profile.socketBytes,
		DSCP: d.files.cfg.Link.DSCP,
	}
	var missing error
	for _, a := range addrs {
		at := netip.AddrPortFrom(a, listen.Port())
		c, err := udp.Listen(at, o)
		switch {
		case err == nil && a.Unmap().Is4():
			d.host.sockets.v4 = c
		case err == nil:
			d.host.sockets.v6 = c
		case len(addrs) == 2 && noFamily(err):
			missing = err
			d.host.lacks = append(d.host.lacks, "one address family is not available: "+err.Error())
		default:
			return d.listenFailure(at, err)
		}
	}
	if len(d.host.sockets.all()) == 0 {
		return d.listenFailure(listen, missing)
	}
	d.openLanes(o)
	d.openGates(o)
	return nil
}

// openLanes opens more sockets where there are processors to carry what comes from them.
func (d *daemon) openLanes(o udp.Options) {
	h := &d.host
	h.lanes = []sockets{h.sockets}
	most := cmp.Or(d.opts.lanes, d.profile.lanes(runtime.GOMAXPROCS(0)))
	if os.Geteuid() != 0 {
		most = 1 // any program of this user could share the port, too
	}
	for len(h.lanes) < most {
		more, err := h.sockets.beside(o)
		if err != nil {
			d.log.problem("sharing the work between processors", err)
			return
		}
		h.lanes = append(h.lanes, more)
	}
}

// refused is told by the sockets, from the goroutines that read and write: those start after the
// loop exists.
func (d *daemon) refused(a netip.AddrPort) { d.loop.frames.refused(unmapped(a)) }

// doubts is told what the kernel claims to be able to do with many packets at once, and cannot.
func (d *daemon) doubts(offload string) {
	d.log.Warn("the kernel gets an offload wrong, so packets go one by one for a while",
		"offload", offload)
}

// noFamily tells whether the machine lacks an address family altogether.
func noFamily(err error) bool {
	return errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL)
}

func (d *daemon) listenFailure(at netip.AddrPort, err error) error {
	switch {
	case taken(err):
		return failf(ExitInUse, "listen-addr: UDP port %d is in use (%v)", at.Port(), at.Addr()).
			withHint("another mccd may run; stop it, or choose another port for listen-addr in %s",
				d.files.path)
	case denied(err):
		return failf(ExitPermission, "listen-addr: no permission to listen at %v", at).
			withHint("run as root, or choose a port above 1023 for listen-addr in %s", d.files.path)
	}
	return d.unbound("listen-addr", err)
}

// unbound is the failure of an address that cannot be listened at. One that the machine does not
// have may come yet, with a lease or a tunnel of somebody else's, so it is worth another start.
func (d *daemon) unbound(key string, err error) *Failure {
	f := failf(ExitConfig, "%s: %v", key, err)
	if errors.Is(err, syscall.EADDRNOTAVAIL) {
		f.Exit = ExitInUse
	}
	return f.withHint("is there such an address, or directory, on this machine? The service tries "+
		"again until an address is there; else change %s in %s", key, d.files.path)
}

// openDevice makes the virtual device. It stays down until the filter stands.
func (d *daemon) openDevice() error {
	dev := d.files.cfg.Device
	queues, err := tun.OpenQueues(dev.Name, dev.MTU, len(d.host.lanes))
	switch {
	case err == nil:
		d.host.device.put(queues)
		d.later(func() error { _ = d.host.device.Close(); return nil }) // usually closed already
		d.host.watch, err = netif.NewWatch(queues[0].Name())
		d.log.problem("watching the device", err)
		d.host.device.kept = err == nil
		return nil
	case denied(err):
		return failf(ExitPermission, "no permission to make the device %s", dev.Name).
			withHint("run as root or give CAP_NET_ADMIN: " +
				"setcap cap_net_admin+ep $(command -v mccd)")
	case taken(err):
		return failf(ExitInUse, "tun-device-name: another program uses the device %s", dev.Name).
			withHint("another mccd may run; stop it, or choose another tun-device-name in %s",
				d.files.path)
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENODEV),
		errors.Is(err, syscall.ENXIO):
		return failf(ExitFailed, "this machine has no TUN devices: %v", err).
			withHint("%s", driverHint())
	case runtime.GOOS != "linux": // these have errors of their own for a driver or name they lack
		return failf(ExitFailed, "%v", err).withHint("%s", driverHint())
	}
	return failf(ExitFailed, "%v", err)
}

// driverHint says what this system wants before it makes a device.
func driverHint() string {
	switch runtime.GOOS {
	case "darwin":
		return "tun-device-name has to be utun0, utun1 and so on, and one that nobody uses"
	case "freebsd":
		return "load the driver: kldload if_tuntap; and tun-device-name has to be one nobody uses"
	case "openbsd":
		return "tun-device-name has to be tun0, tun1 and so on; make it: cd /dev && sh MAKEDEV tun0"
	case "windows":
		return "put wintun.dll, from https://www.wintun.net, beside mccd.exe"
	default:
		return "load the module: modprobe tun"
	}
}

// openFilter raises the wall around the overlay's addresses before the device comes up.
// A kernel without packet filter can still be a plain node.
func (d *daemon) openFilter() error {
	res, table := d.files.cfg.Resolver, tableName(d.files.cfg.Device.Chain)
	claim, err := nft.NewClaim(table)
	switch {
	case err == nil:
		d.later(claim.Close)
	case taken(err):
		return failf(ExitInUse, "firewall-chain-name: another mccd uses the table %s", table).
			withHint("stop it, or choose another firewall-chain-name in %s", d.files.path)
	default:
		d.log.problem("claiming the packet filter's table", err)
	}
	filter, err := nft.Open(table, nft.Guard{
		Tun:    d.host.device.Name(),
		Ranges: append([]netip.Prefix{res.IPv4, res.IPv6}, d.host.statics...),
	})
	switch {
	case err == nil:
		d.later(filter.Close)
		d.host.filter = filter
		d.later(d.host.forward.Restore)
		d.later(func() error { d.loop.gateway.proxies.set.Close(); return nil })
	case denied(err):
		return failf(ExitPermission, "no permission to change the packet filter").
			withHint("run as root or give CAP_NET_ADMIN")
	default:
		d.host.lacks = append(d.host.lacks,
			"the packet filter cannot be used, so external devices cannot be reached: "+err.Error())
	}
	return nil
}

// tableName makes the name of the filter's table out of firewall-chain-name.
func tableName(chain string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(chain))
	if name[0] < 'a' || name[0] > 'z' {
		name = "mcc_" + name
	}
	return name
}

// configureDevice gives the device this node's own addresses and the routes to all others.
func (d *daemon) configureDevice() error {
	name, mtu := d.host.device.Name(), d.files.cfg.Device.MTU
	res := d.files.cfg.Resolver
	lease, ok := d.node.Lease(reading(), d.node.Self())
	if !ok {
		return failf(ExitConfig, "resolver.ipv4-network: %v has no room for this node", res.IPv4).
			withHint("choose a larger range in %s", d.files.path)
	}
	addrs := ownAddrs(lease)
	routes := append([]netip.Prefix{res.IPv4}, append(d.host.statics, res.IPv6)...)
	link, err := netif.Up(name, mtu, addrs, routes)
	if err != nil {
		// A machine that has switched IPv6 off still has IPv4.
		if four, retry := netif.Up(name, mtu, addrs[:1], routes[:len(routes)-1]); retry == nil {
			d.host.lacks = append(d.host.lacks, "IPv6 cannot be used on the device: "+err.Error())
			link, err = four, nil
		}
	}
	switch {
	case err == nil:
		d.host.link = link
		d.later(link.Down)
		return nil
	case denied(err):
		return failf(ExitPermission, "no permission to configure the device %s: %v", name, err).
			withHint("run as root or give CAP_NET_ADMIN")
	case errors.Is(err, syscall.EEXIST): // one that carries nothing, which checkRanges leaves out
		return failf(ExitInUse, "resolver.ipv4-network, resolver.ipv6-network: %v", err).
			withHint("remove that route, or choose another range in %s", d.files.path)
	case errors.Is(err, netif.ErrUnsupported):
		return failf(ExitFailed, "mccd cannot give a device addresses and routes on %s yet: %v",
			runtime.GOOS, err).withHint("run this node on Linux")
	}
	return failf(ExitFailed, "%v", err)
}

func ownAddrs(l pool.Lease) []netip.Prefix {
	var all []netip.Prefix
	for _, a := range []netip.Addr{l.V4, l.V6} {
		if a.IsValid() {
			all = append(all, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	return all
}
