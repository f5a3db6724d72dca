// SPDX-License-Identifier: Apache-2.0

// Package conf is the configuration file: it turns the bytes of mcc.conf and of a
// tunnel's file into typed values, and it never touches the file system.
package conf

import (
	"net/netip"
	"time"

	"staex/internal/ident"
)

// DefaultPort is the UDP port a node listens on and a parent is expected at.
const DefaultPort = 9376

// DefaultDir is the directory used when a program is not told another one.
const DefaultDir = "/etc/mcc"

// FileName is the name of the main configuration file inside its directory.
const FileName = "mcc.conf"

// Config is everything the main configuration file can say. Every field holds either the
// file's value or the documented default; paths are already joined to their directory.
type Config struct {
	Dir      string    // CONFIG-DIR: what documented defaults are relative to
	Warnings []Problem // deprecated keys that were used; never fatal

	Link     Link
	Resolver Resolver
	Socket   Socket
	Log      Log
	Device   Device
	Certs    Certs
	Tunnels  Tunnels
	Trust    Trust
	Node     Node
	Gateway  Gateway
	Dnsmasq  Dnsmasq
	SSL      SSL
	Process  Process

	base string // what relative paths are joined to while this value is being filled
}

// Link says how this node reaches its parent and is reached by its children.
type Link struct {
	Listen         netip.AddrPort // an invalid address means every IPv4 and IPv6 address
	Parents        []Parent       // in the order of preference; empty for a root
	ParentsResolve time.Duration  // how often host names of parents are looked up again
	KeepAlive      time.Duration  // 0 when KeepAliveAuto
	KeepAliveAuto  bool           // learn the NAT's timeout instead of using a fixed period
	Rejoin         time.Duration  // how often the first parent is tried again
	TopologyUpdate time.Duration  // longest time changes are gathered before they go up
	Compression    string         // "none" or "lz4"
	PostQuantum    string         // "off", "prefer" or "require"
	DSCP           uint8          // of outer packets, 0..63
	DirectPaths    string         // "off" or "on"
}

// Resolver says which local addresses stand for node ids and who may ask for them.
type Resolver struct {
	IPv4          netip.Prefix  // masked
	IPv6          netip.Prefix  // masked
	MAC           [6]byte       // the fixed first bytes; the zero bytes at the end vary
	Domain        string        // with its leading dot, lower case
	TTL           time.Duration // whole seconds
	DNSAddr       netip.AddrPort
	DNSEnable     bool
	LookupHops    uint8 // 1..255
	LookupTimeout time.Duration
}

// Socket says where the control socket is.
type Socket struct {
	Path   string // empty: the default pair, see package api
	Enable bool
}

// Log says what is logged and where.
type Log struct {
	Level string // "off", "error", "warn", "info", "debug" or "trace"
	File  string // empty: standard error
}

// Device is the virtual network interface and the firewall chain beside it.
type Device struct {
	Name  string
	MTU   int    // 1280..65535
	Chain string // the firewall chain this node owns
}

// Certs says where this node's key and certificates are and how they are renewed.
type Certs struct {
	Node         string
	PrivateKey   string
	Networks     []string // at least one
	UpdateAddr   string   // empty: nobody is asked
	UpdateEnable bool
	UpdatePeriod time.Duration
}

// Tunnels says where tunnel files are and who has to agree to an offered tunnel.
type Tunnels struct {
	Dir                    string
	DependentNodes         string // deprecated
	ForwardingRules        string
	ForwardingRulesTimeout time.Duration
	Accept                 string // "trusted" or "manual"
}

// Trust says whom this node talks to besides its own network.
type Trust struct {
	Nodes       []ident.NodeID
	Networks    []ident.NetworkKey
	Relay       []ident.NetworkKey // whose children are carried; opens no tunnel
	Authorities []ident.NetworkKey // whose networks' children are carried; opens no tunnel
	NodeTraffic string             // "deny" or "allow"
}

// Node is what this node says about itself.
type Node struct {
	Names  []string
	Static netip.Addr // invalid: none
	Tags   []string
}

// Gateway is the routing of traffic that leaves the overlay.
type Gateway struct {
	ExitNode   bool
	Node       ident.NodeID // zero: none
	PostAdd    string
	PostDelete string
	KillSwitch bool
	NATExpiry  time.Duration
	RerouteDNS NodePort // zero: none
	RerouteNTP NodePort // zero: none
}

// Dnsmasq is the integration with that resolver.
type Dnsmasq struct {
	Enable  string // "true", "false" or empty: enabled when Dir exists
	Dir     string
	Restart string
}

// SSL is the distribution of certificate authorities for applications.
type SSL struct {
	Install         bool
	Script          string
	Certificates    []string
	Publishers      []ident.NodeID
	StorageTimeout  time.Duration
	CleanupPeriod   time.Duration
	Hops            uint8 // 1..255
	UpdateBatchSize int   // 1..1000
	UpdatePeriod    time.Duration
}

// Process is how the daemon runs on its machine.
type Process struct {
	DataDir string
	Metrics string // empty: off
	Profile string // "auto", "small", "normal" or "relay"
	User    string // empty: mcc when it exists
	Group   string // empty: mcc when it exists
}

// NodePort is a port of a node. The zero value means none.
type NodePort struct {
	Node ident.NodeID
	Port uint16
}

// Default returns the documented configuration of a node whose CONFIG-DIR is dir.
func Default(dir string) *Config {
	c := &Config{Dir: dir, base: dir}
	for i := range mainKeys {
		k := &mainKeys[i]
		if err := k.set(c, k.def); err != nil {
			panic("conf: default of " + k.name + ": " + err.Error())
		}
	}
	return c
}

// Parse reads the main configuration file. The name file is used in messages and is the
// place relative paths start from; it may be a bare name, then they start from dir.
// The error is a *ProblemList with every problem of the file.
func Parse(data []byte, file, dir string) (*Config, error) {
	c := Default(dir)
	c.base = baseOf(file, dir)
	p := parser[Config]{file: file, keys: mainKeys, unbuilt: unbuilt}
	if p.parse(data, c, Default(dir)); len(p.problems) == 0 {
		p.check(c.checkRanges())
	}
	c.Warnings = p.warnings
	if len(p.problems) > 0 {
		return nil, &ProblemList{Problems: p.problems}
	}
	return c, nil
}
