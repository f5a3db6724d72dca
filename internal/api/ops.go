// SPDX-License-Identifier: Apache-2.0

package api

import (
	"net/netip"
	"time"

	"staex/internal/ident"
)

// The operations: name, arguments, result. An operation without a named type has none.
const (
	OpID            = "id"             // IDReply
	OpParent        = "parent"         // ParentReply
	OpHealth        = "health"         // HealthReply
	OpNodes         = "nodes"          // NodesArgs, NodesReply
	OpResolve       = "resolve"        // ResolveArgs, ResolveReply
	OpLookup        = "lookup"         // LookupArgs, LookupReply
	OpRoute         = "route"          // RouteArgs, RouteReply
	OpTunnels       = "tunnels"        // TunnelsReply
	OpAcceptTunnel  = "accept-tunnel"  // TunnelArgs, TunnelReply
	OpRejectTunnel  = "reject-tunnel"  // TunnelArgs, TunnelReply
	OpDisableTunnel = "disable-tunnel" // TunnelArgs, TunnelReply
	OpEnableTunnel  = "enable-tunnel"  // TunnelArgs, TunnelReply
	OpDeleteTunnel  = "delete-tunnel"  // TunnelArgs, TunnelReply
	OpReloadTunnels = "reload-tunnels" // ReloadReply
	OpPing          = "ping"           // PingArgs, PingReply
	OpDir           = "dir"            // DirReply
	OpStatus        = "status"         // StatusReply
)

// Changes tells whether an operation changes something. An unknown one counts as such.
func Changes(op string) bool {
	switch op {
	case OpID, OpParent, OpHealth, OpNodes, OpResolve, OpLookup, OpRoute, OpTunnels, OpPing,
		OpDir, OpStatus, OpRevocations:
		return false
	}
	return true
}

// Public tells whether every user of this machine may ask for an operation. Names are asked for
// by every program, and the DNS server tells them to everybody, too.
func Public(op string) bool { return op == OpLookup }

// IDReply is this node's id.
type IDReply struct {
	ID ident.NodeID `json:"id"`
}

// ParentReply is the active parent. At a root, and while there is none, all of it is empty.
type ParentReply struct {
	ID      ident.NodeID `json:"id,omitzero"`
	Address string       `json:"address,omitempty"` // ip:port
}

// HealthReply is what is wrong. Warnings do not make a node unhealthy.
type HealthReply struct {
	OK       bool     `json:"ok"`
	Problems []string `json:"problems,omitempty"` // sentences
	Warnings []string `json:"warnings,omitempty"` // sentences
}

// MaxNodes is how many nodes one reply holds: less than MaxLine with every field in use.
const MaxNodes = 500

// NodesArgs asks for known nodes in the order of their ids.
type NodesArgs struct {
	All   bool         `json:"all,omitempty"`  // relays of other networks too
	After ident.NodeID `json:"after,omitzero"` // continue behind this id
}

// NodesReply is at most MaxNodes nodes.
type NodesReply struct {
	Nodes []Node `json:"nodes"`
	More  bool   `json:"more,omitempty"` // ask again, After the last of these
}

// Types of nodes in a NodesReply. A plain node has none.
const (
	TypeServerEndpoint = "server-endpoint"
	TypeClientEndpoint = "client-endpoint"
)

// Node is one row of what this node knows.
type Node struct {
	ID       ident.NodeID `json:"id"`
	Address  string       `json:"address,omitempty"` // ip:port, or the ip of a device
	LastSeen time.Time    `json:"last_seen,omitzero"`
	Parent   ident.NodeID `json:"parent,omitzero"`
	Tags     []string     `json:"tags,omitempty"`
	Type     string       `json:"type,omitempty"`
	Self     bool         `json:"self,omitempty"`
}

// Formats that resolve translates into.
const (
	FormatIPv4   = "ipv4"
	FormatIPv6   = "ipv6"
	FormatMAC6   = "mac6"
	FormatNodeID = "node-id"
)

// ResolveArgs asks what an address is in another format.
type ResolveArgs struct {
	Address string `json:"address"` // IPv4, IPv6, MAC, node id or name
	Target  string `json:"target"`  // one of the formats
}

// ResolveReply is the translated address.
type ResolveReply struct {
	Address string `json:"address"`
}

// LookupArgs asks for the addresses of a name, or, without one, for the name of an address. It is
// how the name service module asks, which knows this form and order of the JSON by heart.
type LookupArgs struct {
	Name    string     `json:"name,omitempty"`
	Address netip.Addr `json:"address,omitzero"`
}

// LookupReply is what there is. Fields are strings without escapes; more may follow one day.
type LookupReply struct {
	V4   netip.Addr `json:"v4,omitzero"`
	V6   netip.Addr `json:"v6,omitzero"`
	Name string     `json:"name,omitempty"` // with the domain
}

// RouteArgs asks for the way between two nodes. A zero source is this node.
type RouteArgs struct {
	Destination ident.NodeID `json:"destination"`
	Source      ident.NodeID `json:"source,omitzero"`
}

// RouteReply is every node of the way, both ends included, the source first.
type RouteReply struct {
	Path []ident.NodeID `json:"path"`
}

// States of a tunnel, in the order in which one excludes the next.
const (
	StateOffered  = "offered"  // by another node; waits for accept-tunnel here
	StatePending  = "pending"  // the other node has not accepted yet
	StateRejected = "rejected" // by the other node
	StateExpired  = "expired"
	StateDisabled = "disabled" // at this end, the other, or both
	StateActive   = "active"
)

// Sides of a tunnel.
const (
	SideServer = "server"
	SideClient = "client"
)

// TunnelsReply is every tunnel of this node, in the order of names, then ids.
type TunnelsReply struct {
	Tunnels []Tunnel `json:"tunnels"`
	// Endless is how many of them do not end on time, because the machine's clock is not believed.
	Endless int `json:"endless,omitempty"`
}

// Tunnel is one tunnel as one of its ends knows it.
type Tunnel struct {
	ID            ident.NodeID   `json:"id"` // the server endpoint's key
	Name          string         `json:"name,omitempty"`
	Side          string         `json:"side"`
	State         string         `json:"state"`
	Local         ident.NodeID   `json:"local,omitzero"`  // this end's endpoint key
	Remote        ident.NodeID   `json:"remote,omitzero"` // the other end's endpoint key
	RemoteNode    ident.NodeID   `json:"remote_node"`
	Network       string         `json:"network"` // of the other node: 16 hexadecimal digits
	Targets       []ident.Target `json:"targets,omitempty"`
	Names         []string       `json:"names,omitempty"`
	Static        netip.Addr     `json:"static,omitzero"`
	External      netip.Addr     `json:"external,omitzero"` // server side only
	IPv4          netip.Addr     `json:"ipv4,omitzero"`     // the other end's local address
	IPv6          netip.Addr     `json:"ipv6,omitzero"`
	Expires       time.Time      `json:"expires,omitzero"` // zero: never
	DisabledHere  bool           `json:"disabled_here,omitempty"`
	DisabledThere bool           `json:"disabled_there,omitempty"`
}

// TunnelArgs names one tunnel by its name, its id, or the id of either endpoint.
type TunnelArgs struct {
	Tunnel string `json:"tunnel"`
}

// TunnelReply is the tunnel after the change; State is empty for one that is gone.
type TunnelReply struct {
	ID    ident.NodeID `json:"id"`
	Name  string       `json:"name,omitempty"`
	State string       `json:"state,omitempty"`
}

// ReloadReply says what reading the tunnels directory again has changed.
type ReloadReply struct {
	Added    []ident.NodeID `json:"added,omitempty"`
	Changed  []ident.NodeID `json:"changed,omitempty"`
	Removed  []ident.NodeID `json:"removed,omitempty"`
	Problems []string       `json:"problems,omitempty"` // files that were not understood
}

// PingArgs asks one node, named by its id or name, for one answer.
type PingArgs struct {
	Node    string        `json:"node"`
	Timeout time.Duration `json:"timeout,omitempty"` // nanoseconds; 0: the daemon's choice
}

// PingReply is the answer. Members of other networks on the way are not named.
type PingReply struct {
	ID        ident.NodeID   `json:"id"`
	RoundTrip time.Duration  `json:"round_trip"` // nanoseconds
	Hops      int            `json:"hops"`       // links on the way
	Path      []ident.NodeID `json:"path,omitempty"`
}

// DirReply says which files the daemon uses.
type DirReply struct {
	Dir                 string   `json:"dir"`    // CONFIG-DIR
	Config              string   `json:"config"` // the main configuration file
	Tunnels             string   `json:"tunnels"`
	NetworkCertificates []string `json:"network_certificates"` // its own network's first
}

// StatusReply is one look at the whole node.
type StatusReply struct {
	Version string        `json:"version"`
	ID      ident.NodeID  `json:"id"`
	Network string        `json:"network"`
	Dir     string        `json:"dir"`
	Device  string        `json:"device,omitempty"`
	Uptime  time.Duration `json:"uptime"` // nanoseconds
	Parent  ParentReply   `json:"parent,omitzero"`
	Health  HealthReply   `json:"health"`

	Children int `json:"children"`
	Nodes    int `json:"nodes"` // known, this one included
	Tunnels  int `json:"tunnels"`
	Sessions int `json:"sessions"`

	Drops []Drop `json:"drops,omitempty"` // in the order of reasons, without zeros
}

// Drop is how many packets were dropped for one reason since the start.
type Drop struct {
	Reason string `json:"reason"`
	Count  uint64 `json:"count"`
}
