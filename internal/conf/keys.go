// SPDX-License-Identifier: Apache-2.0

package conf

import (
	"fmt"
	"net/netip"
	"time"

	"staex/internal/ident"
)

// Lengths that the kernel sets: an interface name (IFNAMSIZ) and an nftables chain name.
const (
	maxDeviceName = 15
	maxChainName  = 31
	maxWord       = 63
)

// coreKeys is the overlay itself, in the order of the reference file.
var coreKeys = []key[Config]{
	{
		name: "listen-addr", def: ":9376",
		doc:   "Address and UDP port to listen on (ip:port). Without an address: IPv4 and IPv6.",
		field: listenAddr(func(c *Config) *netip.AddrPort { return &c.Link.Listen }),
	},
	{
		name: "parents",
		doc: "Parents in the order of preference: host, host:port, [v6]:port, each with\n" +
			"NODEID@ in front to accept that node only. The port defaults to 9376.",
		field: list(func(c *Config) *[]Parent { return &c.Link.Parents },
			ParseParent, Parent.String),
	},
	{
		name: "parents-resolve-period", def: "1h",
		doc:   "How often the host names of parents are looked up again.",
		field: duration(func(c *Config) *time.Duration { return &c.Link.ParentsResolve }),
	},
	{
		name: "relay-networks",
		doc: "Public keys (BASE64) of other networks whose nodes may join here. They are\n" +
			"carried, not trusted.",
		field: list(func(c *Config) *[]ident.NetworkKey { return &c.Trust.Relay },
			ident.ParseNetworkKey, ident.NetworkKey.String),
	},
	{
		name: "trusted-authorities",
		doc: "Public keys (BASE64) of authorities: nodes of every network that one of them has\n" +
			"signed may join here. They are carried, not trusted.",
		field: list(func(c *Config) *[]ident.NetworkKey { return &c.Trust.Authorities },
			ident.ParseNetworkKey, ident.NetworkKey.String),
	},
	{
		name: "resolver.ipv4-network", def: "10.83.0.0/16",
		doc:   "IPv4 range from which this node gives local addresses to node ids.",
		field: prefix(func(c *Config) *netip.Prefix { return &c.Resolver.IPv4 }, 32, 8, 29),
	},
	{
		name: "resolver.ipv6-network", def: "200::/7",
		doc:   "IPv6 range from which this node gives local addresses to node ids (RFC 4048).",
		field: prefix(func(c *Config) *netip.Prefix { return &c.Resolver.IPv6 }, 128, 7, 112),
	},
	{
		name: "resolver.mac-address-mask", def: "AE:00:00:00:00:00",
		doc:   "Start of the MAC addresses that stand for node ids; zero bytes at its end vary.",
		field: macMask(func(c *Config) *[6]byte { return &c.Resolver.MAC }),
	},
	{
		name: "resolver.domain", def: ".home.arpa",
		doc:   "Domain under which node ids and names resolve (RFC 8375).",
		field: value(func(c *Config) *string { return &c.Resolver.Domain }, parseDomain, same),
	},
	{
		name: "resolver.ttl", def: "0",
		doc:   "Time to live of DNS answers in seconds.",
		field: seconds(func(c *Config) *time.Duration { return &c.Resolver.TTL }),
	},
	{
		name: "unix-socket-path",
		doc: "Control socket. Empty: /run/mcc/mcc.sock, and /tmp/.mcc-socket where that\n" +
			"cannot be made.",
		field: optionalPath(func(c *Config) *string { return &c.Socket.Path }),
	},
	{
		name: "unix-enable", def: "true",
		doc:   "Serve the control socket. The mcc commands need it.",
		field: boolean(func(c *Config) *bool { return &c.Socket.Enable }),
	},
	{
		name: "keep-alive-period", def: "30s",
		doc:   "How often the parent is checked. auto: as seldom as the network permits.",
		field: keepAlive(),
	},
	{
		name: "topology-update-period", def: "2m",
		doc:   "Longest time that changes are gathered before they are sent to the parent.",
		field: duration(func(c *Config) *time.Duration { return &c.Link.TopologyUpdate }),
	},
	{
		name: "rejoin-period", def: "1m",
		doc:   "How often a node on another parent tries to return to the first one.",
		field: duration(func(c *Config) *time.Duration { return &c.Link.Rejoin }),
	},
	{
		name: "log-level", def: "info",
		doc: "How much is logged: off, error, warn, info, debug, trace.",
		field: enum(func(c *Config) *string { return &c.Log.Level },
			"off", "error", "warn", "info", "debug", "trace"),
	},
	{
		name:  "log-file",
		doc:   "File that takes the log. Empty: standard error.",
		field: optionalPath(func(c *Config) *string { return &c.Log.File }),
	},
	{
		name: "data-dir", def: "/var/lib/mcc",
		doc:   "Directory where the daemon keeps what it must not forget.",
		field: path(func(c *Config) *string { return &c.Process.DataDir }),
	},
	{
		name: "tun-device-name", def: deviceName,
		doc: "Name of the virtual network device (mcc0; on macOS utun83, on OpenBSD tun0).",
		field: word(func(c *Config) *string { return &c.Device.Name },
			maxDeviceName, requiredWord),
	},
	{
		name: "tun-device-mtu", def: "1280",
		doc:   "Largest packet of the virtual network device in bytes.",
		field: integer(func(c *Config) *int { return &c.Device.MTU }, 1280, 65535),
	},
	{
		name: "firewall-chain-name", def: "MCC",
		doc: "Firewall chain that the daemon owns.",
		field: word(func(c *Config) *string { return &c.Device.Chain },
			maxChainName, requiredWord),
	},
	{
		name: "dns-addr", def: "127.0.0.1:8353",
		doc:   "Address and port of the built-in DNS server.",
		field: addrPort(func(c *Config) *netip.AddrPort { return &c.Resolver.DNSAddr }),
	},
	{
		name: "dns-enable", def: "true",
		doc:   "Run the built-in DNS server.",
		field: boolean(func(c *Config) *bool { return &c.Resolver.DNSEnable }),
	},
	{
		name: "node-certificate", def: "node-certificate.txt",
		doc:   "This node's certificate.",
		field: path(func(c *Config) *string { return &c.Certs.Node }),
	},
	{
		name: "node-private-key", def: "node-private-key.txt",
		doc:   "This node's private key. Only its owner may read the file.",
		field: path(func(c *Config) *string { return &c.Certs.PrivateKey }),
	},
	{
		name: "network-certificates", def: "network-certificate.txt",
		doc:   "Files with the certificates of trusted networks, this node's own first.",
		field: requiredPaths(func(c *Config) *[]string { return &c.Certs.Networks }),
	},
	{
		name: "compression", def: "none",
		doc:   "Compression of tunnelled packets: none, lz4.",
		field: enum(func(c *Config) *string { return &c.Link.Compression }, "none", "lz4"),
	},
	{
		name: "cert-update-addr",
		doc:  "Certificate service (host:port) to ask for renewals. Empty: nobody is asked.",
		field: optional(func(c *Config) *string { return &c.Certs.UpdateAddr },
			parseHostPort, same),
	},
	{
		name: "cert-update-enable", def: "true",
		doc:   "Renew certificates automatically where a service is named.",
		field: boolean(func(c *Config) *bool { return &c.Certs.UpdateEnable }),
	},
	{
		name: "cert-update-period", def: "3h",
		doc:   "How often the certificate service is asked.",
		field: duration(func(c *Config) *time.Duration { return &c.Certs.UpdatePeriod }),
	},
	{
		name:  "dns-names",
		doc:   "DNS names of this node.",
		field: names(func(c *Config) *[]string { return &c.Node.Names }),
	},
	{
		name: "tags",
		doc:  "Words that mcc nodes shows beside this node.",
		field: value(func(c *Config) *[]string { return &c.Node.Tags },
			parseTags, formatNames),
	},
	{
		name: "tunnels", def: "tunnels",
		doc:   "Directory of tunnel files.",
		field: path(func(c *Config) *string { return &c.Tunnels.Dir }),
	},
	{
		name: "accept-tunnels", def: "trusted",
		doc: "Which offered tunnels are taken: trusted (from trusted nodes and networks,\n" +
			"without asking, up to 16 of one node) or manual (after mcc accept-tunnel).",
		field: enum(func(c *Config) *string { return &c.Tunnels.Accept }, "trusted", "manual"),
	},
	{
		name: "dependent-nodes", def: "dependent-nodes", deprecated: "tunnels",
		doc: "Directory of dependent node files, read like tunnel files. Deprecated: use\n" +
			"tunnels.",
		field: path(func(c *Config) *string { return &c.Tunnels.DependentNodes }),
	},
	{
		name: "static-addr", def: "10.115.0.0/16",
		doc: "Static address of this node. The range itself means none.",
		field: value(func(c *Config) *netip.Addr { return &c.Node.Static },
			ParseStatic, formatStatic),
	},
	{
		name: "network-lookup-ttl", def: "64",
		doc:   "How many nodes a lookup of a name or a static address may pass.",
		field: integer(func(c *Config) *uint8 { return &c.Resolver.LookupHops }, 1, 255),
	},
	{
		name: "network-lookup-timeout", def: "20s",
		doc:   "How long a lookup of a name or a static address may take.",
		field: duration(func(c *Config) *time.Duration { return &c.Resolver.LookupTimeout }),
	},
	{
		name: "forwarding-rules", def: "forwarding-rules.conf",
		doc: "File of port forwarding rules: ports of this machine that lead to addresses\n" +
			"of the overlay.",
		field: path(func(c *Config) *string { return &c.Tunnels.ForwardingRules }),
	},
	{
		name: "forwarding-rules-commit-timeout", def: "7s",
		doc: "How long mcc apply-forwarding-rules waits before it takes new rules back.",
		field: duration(func(c *Config) *time.Duration {
			return &c.Tunnels.ForwardingRulesTimeout
		}),
	},
}

// keepAlive is a duration or the word auto.
func keepAlive() field[Config] {
	f := duration(func(c *Config) *time.Duration { return &c.Link.KeepAlive })
	set, get := f.set, f.get
	f.set = func(c *Config, text string) error {
		if c.Link.KeepAliveAuto = text == "auto"; c.Link.KeepAliveAuto {
			c.Link.KeepAlive = 0
			return nil
		}
		if err := set(c, text); err != nil {
			return fmt.Errorf("%w, or auto", err)
		}
		if c.Link.KeepAlive > MaxKeepAlive {
			return fmt.Errorf("%q is longer than %s: no network keeps a path open for that long",
				clip(text), FormatDuration(MaxKeepAlive))
		}
		return nil
	}
	f.get = func(c *Config) string {
		if c.Link.KeepAliveAuto {
			return "auto"
		}
		return get(c)
	}
	return f
}

// MaxKeepAlive is the longest fixed keep-alive period; nodes tell each other theirs in
// sixteen bits of seconds.
const MaxKeepAlive = 18 * time.Hour
