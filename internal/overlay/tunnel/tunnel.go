// SPDX-License-Identifier: Apache-2.0

// Package tunnel is the permission: which flows may enter or leave this node, as agreed with the
// node at the other end. It never sees a packet, and it offers or stores nothing by itself.
package tunnel

import (
	"fmt"
	"net/netip"
	"slices"

	"staex/internal/ident"
)

// Side says which end of a tunnel this node is. Zero is not a side.
type Side uint8

const (
	// Server is the end where the targets are.
	Server Side = 1
	// Client is the end that asks.
	Client Side = 2
)

// String names the side.
func (s Side) String() string {
	switch s {
	case Server:
		return "server"
	case Client:
		return "client"
	default:
		return fmt.Sprintf("side-%d", uint8(s))
	}
}

// Tunnel is one permission, as this end knows it.
type Tunnel struct {
	// ID is the server endpoint's key, the same at both ends.
	ID   ident.NodeID
	Side Side

	// Local is the private key of this end's endpoint: nil until this end has accepted.
	Local *ident.Secret
	// LocalCert is this end's endpoint certificate, encoded, as the other end is to receive it.
	LocalCert []byte
	// RemoteKey is the other endpoint's key, zero until the other end has accepted.
	RemoteKey ident.NodeID
	// RemoteNode is the node at the other end.
	RemoteNode ident.NodeID
	// Network is that of the server endpoint's certificate.
	Network ident.NetworkHash
	// RemoteNetwork is that of the other node's certificate, zero until the other end has accepted.
	RemoteNetwork ident.NetworkHash

	// Name is what people call the tunnel on this machine: the name of its files.
	Name string
	// Targets are what the client may reach, in the order of the certificate: the position is the
	// index on the wire.
	Targets []ident.Target
	// External is where the server end sends the flows on to; the zero address means this machine.
	External netip.Addr
	// No4 and No6 say that the server end has no address of that family.
	No4, No6 bool
	// Names are the DNS names of the endpoint, lower case. That of a network that is not the
	// client's own stands behind a dot.
	Names []string
	// Wanted are the names that the server end asked for, if another tunnel has some of them; else
	// there are none.
	Wanted []string
	// Static is the fixed overlay address of the endpoint; zero means none.
	Static netip.Addr
	// Expires is the last Unix second in which the tunnel works; 0 means never.
	Expires uint32

	State
	// Offer names the exchange in which the tunnel was offered.
	Offer [8]byte
	// Seq counts the statements made about the tunnel by its server end.
	Seq uint32
	// Revoked says that a key of the tunnel was taken back. It is not stored: it follows from the
	// revocations, which are.
	Revoked bool
}

// State is what people did to a tunnel. The zero State forbids nothing.
type State struct {
	DisabledHere  bool // by a person at this end
	DisabledThere bool // by a person at the other end
	Pending       bool // waits until a person at this end accepts it
	Auto          bool // was accepted without a person
	Deleted       bool // kept only so that the other end learns of it
}

// Active reports whether packets may pass: both ends have accepted, neither has disabled or
// deleted the tunnel, no key of it is revoked, and it has not expired. now is in Unix seconds; 0
// means that no clock can be trusted, and then nothing has expired.
func (t *Tunnel) Active(now uint32) bool {
	return t.Local != nil && !t.RemoteKey.IsZero() &&
		!t.DisabledHere && !t.DisabledThere && !t.Pending && !t.Deleted && !t.Revoked &&
		!t.Expired(now)
}

// Expired reports whether the tunnel's last second has passed. now is in Unix seconds; 0 means that
// no clock can be trusted.
func (t *Tunnel) Expired(now uint32) bool {
	return now != 0 && t.Expires != 0 && now > t.Expires
}

// TargetIndex returns the position of a target; ok is false when the tunnel does not lead there.
func (t *Tunnel) TargetIndex(proto uint8, port uint16) (index uint8, ok bool) {
	for i, target := range t.Targets {
		if target.Proto == proto && target.Port == port {
			return uint8(i), true
		}
	}
	return 0, false
}

// AllNames are the DNS names that the server end asked for.
func (t *Tunnel) AllNames() []string {
	if len(t.Wanted) > 0 {
		return t.Wanted
	}
	return t.Names
}

// HasName reports whether the tunnel is called name: by its file or as a DNS name, in lower case.
func (t *Tunnel) HasName(name string) bool {
	return name != "" && (t.Name == name || slices.Contains(t.Names, name))
}
