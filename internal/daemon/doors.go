// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"net"
	"net/netip"

	"staex/internal/api"
	"staex/internal/conf"
	"staex/internal/host/dnsd"
	"staex/internal/host/page"
	"staex/internal/host/watch"
)

// doors are how programs on this machine reach the daemon; nil where the configuration closes one.
type doors struct {
	control net.Listener
	server  api.Server
	dns     *dnsd.Server
	metrics net.Listener
	page    *page.Server
}

// openDoors opens the control socket and the DNS server, and watches the tunnels directory.
func (d *daemon) openDoors() error {
	if err := d.openControl(); err != nil {
		return err
	}
	if err := d.openDNS(); err != nil {
		return err
	}
	if err := d.openMetrics(); err != nil {
		return err
	}
	var err error
	tunnels := d.files.cfg.Tunnels
	d.watch, err = watch.New([]string{tunnels.Dir, tunnels.DependentNodes},
		conf.TunnelSuffix, ".txt")
	d.later(func() error { d.watch.Close(); return nil })
	d.log.problem("watching the tunnels directory", err)
	return nil
}

func (d *daemon) openControl() error {
	cfg := d.files.cfg.Socket
	if !cfg.Enable {
		return nil
	}
	l, err := api.Listen(cfg.Path)
	switch {
	case err == nil:
		d.doors.control = l
		d.later(func() error { _ = l.Close(); return nil }) // usually closed already
		return nil
	case errors.Is(err, api.ErrInUse):
		return failf(ExitInUse, "unix-socket-path: %v", err).
			withHint("stop it, or choose another unix-socket-path in %s", d.files.path)
	case denied(err):
		return failf(ExitPermission, "unix-socket-path: %v", err).
			withHint("run as root, or choose another unix-socket-path in %s", d.files.path)
	}
	return failf(ExitConfig, "unix-socket-path: %v", err).
		withHint("choose another unix-socket-path in %s", d.files.path)
}

func (d *daemon) openDNS() error {
	cfg := d.files.cfg.Resolver
	if !cfg.DNSEnable {
		return nil
	}
	s, err := dnsd.Listen(cfg.DNSAddr)
	switch {
	case err == nil:
		d.doors.dns = s
		d.later(func() error { _ = s.Close(); return nil }) // usually closed already
		return nil
	case taken(err):
		return failf(ExitInUse, "dns-addr: %v is in use", cfg.DNSAddr).
			withHint("choose another dns-addr in %s, or write dns-enable = false", d.files.path)
	case denied(err):
		return failf(ExitPermission, "dns-addr: no permission to listen at %v", cfg.DNSAddr).
			withHint("run as root, or choose a port above 1023 for dns-addr in %s", d.files.path)
	}
	return d.unbound("dns-addr", err)
}

// startDoors starts the goroutines that answer.
func (d *daemon) startDoors() {
	if d.doors.control != nil {
		d.doors.server.Access = api.SystemAccess() // with the user who the daemon is now
		d.crew.start("control", func() error {
			err := d.doors.server.Serve(d.doors.control, &control{d})
			if errors.Is(err, api.ErrServerClosed) {
				return nil
			}
			return err
		})
	}
	if d.doors.dns != nil {
		d.crew.start("dns", func() error {
			res := d.files.cfg.Resolver
			d.doors.dns.Serve(&namer{d}, dnsd.Config{
				Suffix: res.Domain, TTL: res.TTL,
				Ranges: append([]netip.Prefix{res.IPv4, res.IPv6}, d.host.statics...),
			})
			return nil
		})
	}
	if d.doors.metrics != nil {
		d.crew.start("metrics", func() error { return d.doors.page.Serve(d.doors.metrics) })
	}
}

// closeDoors ends the goroutines that answer.
func (d *daemon) closeDoors() {
	if d.doors.control != nil {
		d.doors.server.Close()
	}
	if d.doors.dns != nil {
		d.log.problem("closing the DNS server", d.doors.dns.Close())
	}
	if d.doors.metrics != nil {
		d.log.problem("closing metrics-listen", d.doors.metrics.Close())
		d.doors.page.Close()
	}
}
