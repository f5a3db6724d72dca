// SPDX-License-Identifier: Apache-2.0

package conf

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"staex/internal/ident"
)

// mainKeys is every key of the main file, in the order of the reference file.
var mainKeys = slices.Concat(coreKeys, edgeKeys)

// edgeKeys is the rest of the main file: what leaves the overlay, what enters a trust
// store, and how the daemon runs.
var edgeKeys = []key[Config]{
	{
		name:  "dnsmasq-enable",
		doc:   "Write a file for Dnsmasq: true, false, or empty: when its directory exists.",
		field: maybe(func(c *Config) *string { return &c.Dnsmasq.Enable }),
	},
	{
		name: "dnsmasq-directory", def: "/etc/dnsmasq.d",
		doc:   "Directory where Dnsmasq looks for more files.",
		field: path(func(c *Config) *string { return &c.Dnsmasq.Dir }),
	},
	{
		name:  "dnsmasq-restart-command",
		doc:   "Shell command that restarts Dnsmasq. Empty: it is not restarted.",
		field: shell(func(c *Config) *string { return &c.Dnsmasq.Restart }),
	},
	{
		name: "exit-node", def: "false",
		doc:   "Let trusted nodes reach the outside through this node.",
		field: boolean(func(c *Config) *bool { return &c.Gateway.ExitNode }),
	},
	{
		name: "gateway",
		doc:  "Node id of the exit node that takes all outside traffic. Empty: none.",
		field: optional(func(c *Config) *ident.NodeID { return &c.Gateway.Node },
			ident.ParseNodeID, ident.NodeID.String),
	},
	{
		name:  "gateway-post-add-hook",
		doc:   "Shell command that runs after the gateway's rules were added.",
		field: shell(func(c *Config) *string { return &c.Gateway.PostAdd }),
	},
	{
		name:  "gateway-post-delete-hook",
		doc:   "Shell command that runs after the gateway's rules were removed.",
		field: shell(func(c *Config) *string { return &c.Gateway.PostDelete }),
	},
	{
		name: "kill-switch", def: "false",
		doc:   "Block outside traffic while the daemon is not running.",
		field: boolean(func(c *Config) *bool { return &c.Gateway.KillSwitch }),
	},
	{
		name: "nat-table-expiry", def: "60s",
		doc:   "How long an idle translated connection is remembered.",
		field: duration(func(c *Config) *time.Duration { return &c.Gateway.NATExpiry }),
	},
	{
		name: "reroute-dns",
		doc:  "Node and port (node-id:port) that takes everything sent to port 53.",
		field: optional(func(c *Config) *NodePort { return &c.Gateway.RerouteDNS },
			parseNodePort, NodePort.String),
	},
	{
		name: "reroute-ntp",
		doc:  "Node and port (node-id:port) that takes everything sent to port 123.",
		field: optional(func(c *Config) *NodePort { return &c.Gateway.RerouteNTP },
			parseNodePort, NodePort.String),
	},
	{
		name: "trusted-nodes",
		doc:  "Ids of nodes outside this network that tunnels are agreed with.",
		field: list(func(c *Config) *[]ident.NodeID { return &c.Trust.Nodes },
			ident.ParseNodeID, ident.NodeID.String),
	},
	{
		name: "trusted-networks",
		doc:  "Public keys (BASE64) of other networks that tunnels are agreed with.",
		field: list(func(c *Config) *[]ident.NetworkKey { return &c.Trust.Networks },
			ident.ParseNetworkKey, ident.NetworkKey.String),
	},
	{
		name: "node-traffic", def: "deny",
		doc: "Traffic between nodes of this network outside tunnels, where both allow it:\n" +
			"deny, allow.",
		field: enum(func(c *Config) *string { return &c.Trust.NodeTraffic }, "deny", "allow"),
	},
	{
		name: "ssl-install", def: "false",
		doc:   "Install certificate authorities that this network distributes.",
		field: boolean(func(c *Config) *bool { return &c.SSL.Install }),
	},
	{
		name:  "ssl-manage-script",
		doc:   "Program that adds authorities to the system's trust store and removes them.",
		field: optionalPath(func(c *Config) *string { return &c.SSL.Script }),
	},
	{
		name:  "ssl-certificates",
		doc:   "Files with the authorities (PEM) that this node distributes.",
		field: paths(func(c *Config) *[]string { return &c.SSL.Certificates }),
	},
	{
		name: "ssl-publishers",
		doc:  "Ids of the nodes that may distribute authorities.",
		field: list(func(c *Config) *[]ident.NodeID { return &c.SSL.Publishers },
			ident.ParseNodeID, ident.NodeID.String),
	},
	{
		name: "ssl-storage-timeout", def: "24h",
		doc:   "How long an authority is kept without being heard of.",
		field: duration(func(c *Config) *time.Duration { return &c.SSL.StorageTimeout }),
	},
	{
		name: "ssl-storage-cleanup-period", def: "1h",
		doc:   "How often authorities are checked for having been kept too long.",
		field: duration(func(c *Config) *time.Duration { return &c.SSL.CleanupPeriod }),
	},
	{
		name: "ssl-certificates-ttl", def: "64",
		doc:   "How many nodes a distributed authority may pass.",
		field: integer(func(c *Config) *uint8 { return &c.SSL.Hops }, 1, 255),
	},
	{
		name: "ssl-update-batch-size", def: "10",
		doc:   "How many messages about authorities are sent to children at once.",
		field: integer(func(c *Config) *int { return &c.SSL.UpdateBatchSize }, 1, 1000),
	},
	{
		name: "ssl-update-send-period", def: "30s",
		doc:   "How often such messages are sent to children.",
		field: duration(func(c *Config) *time.Duration { return &c.SSL.UpdatePeriod }),
	},
	{
		name: "post-quantum", def: "prefer",
		doc: "Key exchange that also stands against quantum computers: off, prefer, require.",
		field: enum(func(c *Config) *string { return &c.Link.PostQuantum },
			"off", "prefer", "require"),
	},
	{
		name: "dscp", def: "0",
		doc: "Service class (DSCP) of what leaves for other nodes, 0 to 63: 46 for expedited\n" +
			"forwarding. What is inside a tunnel keeps its own.",
		field: integer(func(c *Config) *uint8 { return &c.Link.DSCP }, 0, 63),
	},
	{
		name: "direct-paths", def: "off",
		doc:   "Let nodes talk past their parents: off, on.",
		field: enum(func(c *Config) *string { return &c.Link.DirectPaths }, "off", "on"),
	},
	{
		name: "metrics-listen",
		doc: "Address (ip:port) or socket path that serves metrics at /metrics, for Prometheus.\n" +
			"They tell the parent and how much is sent. Empty: off.",
		field: metricsListen(func(c *Config) *string { return &c.Process.Metrics }),
	},
	{
		name: "profile", def: "auto",
		doc: "Bounds and buffers: small for a device with 64 MB, relay for the root of a large\n" +
			"network, else normal. auto: small where the machine has 128 MB or less.",
		field: enum(func(c *Config) *string { return &c.Process.Profile },
			"auto", "small", "normal", "relay"),
	},
	{
		name: "user",
		doc: "Whom to become after start, a name or a number. Empty: mcc when it exists; root\n" +
			"stays root.",
		field: word(func(c *Config) *string { return &c.Process.User }, maxWord, optionalWord),
	},
	{
		name:  "group",
		doc:   "Which group to take with that. Empty: the user's own.",
		field: word(func(c *Config) *string { return &c.Process.Group }, maxWord, optionalWord),
	},
}

// String gives "NODEID:port", or nothing for the zero value.
func (p NodePort) String() string {
	if p.Node.IsZero() {
		return ""
	}
	return p.Node.String() + ":" + strconv.Itoa(int(p.Port))
}

func parseNodePort(s string) (NodePort, error) {
	id, service, found := cutLast(s, ':')
	if !found {
		return NodePort{}, fmt.Errorf("%q is not of the form node-id:port", clip(s))
	}
	node, err := ident.ParseNodeID(id)
	if err != nil {
		return NodePort{}, err
	}
	port, err := parsePort(service)
	if err != nil {
		return NodePort{}, err
	}
	if port == 0 {
		return NodePort{}, errors.New("port 0 cannot be reached")
	}
	return NodePort{node, port}, nil
}

// parseHostPort reads the address of a server, whose port cannot be guessed.
func parseHostPort(s string) (string, error) {
	if _, _, err := net.SplitHostPort(s); err != nil {
		return "", fmt.Errorf("%q is not of the form host:port", clip(s))
	}
	host, port, err := splitHostPort(s)
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port))), nil
}

// metricsListen is the path of a socket, which has a slash, or one address and port.
func metricsListen(at func(*Config) *string) field[Config] {
	f := optionalPath(at)
	set := f.set
	f.set = func(c *Config, text string) error {
		if text == "" || strings.Contains(text, "/") {
			return set(c, text)
		}
		if port, bare := strings.CutPrefix(text, ":"); bare {
			return fmt.Errorf("%q names no address: write 127.0.0.1:%s for this machine alone, "+
				"0.0.0.0:%s for everybody", clip(text), clip(port), clip(port))
		}
		a, err := netip.ParseAddrPort(text)
		if err != nil || a.Addr().IsMulticast() || a.Port() == 0 {
			return fmt.Errorf("%q is neither ip:port nor the path of a socket", clip(text))
		}
		*at(c) = a.String()
		return nil
	}
	return f
}

// MaxTags bounds a node's tags: they travel with its answers.
const MaxTags = 16

// parseTags reads words that a table can show in one column.
func parseTags(s string) ([]string, error) {
	return parseList(s, MaxTags, func(tag string) (string, error) {
		if len(tag) > maxLabel || strings.ContainsAny(tag, " \t") {
			return "", fmt.Errorf("tag %q is not one word of at most %d bytes",
				clip(tag), maxLabel)
		}
		return tag, nil
	})
}

func names[T any](at func(*T) *[]string) field[T] {
	return value(at, ParseNames, formatNames)
}

func formatNames(all []string) string { return strings.Join(all, ", ") }
