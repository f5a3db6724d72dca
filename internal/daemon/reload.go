// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"slices"

	"staex/internal/conf"
	"staex/internal/overlay/node"
)

// followReloads is the goroutine that reads the files again when somebody asks (SIGHUP).
func (d *daemon) followReloads(ctx context.Context) error {
	now := d.files.cfg
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.opts.Reload:
		}
		next, err := readConfig(d.files.path, d.files.cfg.Dir)
		if err != nil {
			d.log.Error("configuration not reloaded", "error", err.Error())
			continue
		}
		d.applyConfig(ctx, now, next)
		now = next
		d.reloadRules(next)
		_, err = d.reloadTunnels(ctx)
		d.log.problem("reading the tunnels directory", err)
		d.log.Info("configuration reloaded")
	}
}

// applyConfig changes what can change while the daemon runs and says what cannot.
func (d *daemon) applyConfig(ctx context.Context, now, next *conf.Config) {
	d.log.level.Set(levels[next.Log.Level])
	d.log.problem("opening the log", d.log.out.use(next.Log.File))
	if !slices.Equal(now.Link.Parents, next.Link.Parents) {
		list := parentAddrs(next.Link.Parents)
		for i, e := range list {
			if named(e) {
				list[i].addrs = d.parents.known(e.Parent)
			}
		}
		d.parents.set(list)
		err := d.loop.apply(ctx, node.SetParents{Parents: forNode(list)})
		d.log.problem("changing parents", err)
		d.parents.lookAgain(0)
	}
	for _, f := range fixed {
		if !f.same(d.files.cfg, next) {
			d.log.Warn("a changed key takes effect after a restart", "key", f.key)
		}
	}
}

// fixed are the keys that only a restart changes.
var fixed = []struct {
	key  string
	same func(a, b *conf.Config) bool
}{
	{"listen-addr", func(a, b *conf.Config) bool { return a.Link.Listen == b.Link.Listen }},
	{"keep-alive-period", func(a, b *conf.Config) bool {
		return a.Link.KeepAlive == b.Link.KeepAlive && a.Link.KeepAliveAuto == b.Link.KeepAliveAuto
	}},
	{"post-quantum", func(a, b *conf.Config) bool {
		return a.Link.PostQuantum == b.Link.PostQuantum
	}},
	{"dscp", func(a, b *conf.Config) bool { return a.Link.DSCP == b.Link.DSCP }},
	{"rejoin-period", func(a, b *conf.Config) bool { return a.Link.Rejoin == b.Link.Rejoin }},
	{"parents-resolve-period", func(a, b *conf.Config) bool {
		return a.Link.ParentsResolve == b.Link.ParentsResolve
	}},
	{"one of resolver.* or dns-*", func(a, b *conf.Config) bool {
		return a.Resolver == b.Resolver
	}},
	{"one of dnsmasq-*", func(a, b *conf.Config) bool { return a.Dnsmasq == b.Dnsmasq }},
	{"one of unix-*", func(a, b *conf.Config) bool { return a.Socket == b.Socket }},
	{"tun-device-name, tun-device-mtu or firewall-chain-name", func(a, b *conf.Config) bool {
		return a.Device == b.Device
	}},
	{"node-certificate, node-private-key or network-certificates", func(a, b *conf.Config) bool {
		return a.Certs.Node == b.Certs.Node && a.Certs.PrivateKey == b.Certs.PrivateKey &&
			slices.Equal(a.Certs.Networks, b.Certs.Networks)
	}},
	{"tunnels", func(a, b *conf.Config) bool { return a.Tunnels.Dir == b.Tunnels.Dir }},
	{"dependent-nodes", func(a, b *conf.Config) bool {
		return a.Tunnels.DependentNodes == b.Tunnels.DependentNodes
	}},
	{"accept-tunnels", func(a, b *conf.Config) bool {
		return a.Tunnels.Accept == b.Tunnels.Accept
	}},
	{"node-traffic", func(a, b *conf.Config) bool {
		return a.Trust.NodeTraffic == b.Trust.NodeTraffic
	}},
	{"trusted-nodes", func(a, b *conf.Config) bool {
		return slices.Equal(a.Trust.Nodes, b.Trust.Nodes)
	}},
	{"trusted-networks", func(a, b *conf.Config) bool {
		return slices.Equal(a.Trust.Networks, b.Trust.Networks)
	}},
	{"relay-networks", func(a, b *conf.Config) bool {
		return slices.Equal(a.Trust.Relay, b.Trust.Relay)
	}},
	{"trusted-authorities", func(a, b *conf.Config) bool {
		return slices.Equal(a.Trust.Authorities, b.Trust.Authorities)
	}},
	{"data-dir", func(a, b *conf.Config) bool { return a.Process.DataDir == b.Process.DataDir }},
	{"profile", func(a, b *conf.Config) bool {
		return a.Process.Profile == b.Process.Profile
	}},
	{"user or group", func(a, b *conf.Config) bool {
		return a.Process.User == b.Process.User && a.Process.Group == b.Process.Group
	}},
	{"metrics-listen", func(a, b *conf.Config) bool {
		return a.Process.Metrics == b.Process.Metrics
	}},
	{"tags", func(a, b *conf.Config) bool { return slices.Equal(a.Node.Tags, b.Node.Tags) }},
}
