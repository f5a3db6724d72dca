// SPDX-License-Identifier: Apache-2.0

package node

import (
	"net/netip"
	"time"

	"staex/internal/ident"
	"staex/internal/overlay/drop"
)

// EventKind says what happened. Numbers are stable: they are metrics labels.
type EventKind uint8

// What a node reports. Logs, metrics and screens are views of these.
const (
	EventParentUp       EventKind = iota + 1 // this parent is active now (Key, Addr, Text = entry)
	EventParentDown                          // the active parent is gone (Key, Text = entry)
	EventParentSilent                        // a parent does not answer (Text = entry)
	EventParentRefused                       // a parent was refused by us (Text says why)
	EventChildUp                             // a child attached (Key, Addr)
	EventChildDown                           // a child is gone (Key)
	EventChildRefused                        // a child was refused (Addr, Text)
	EventTunnelOffered                       // an offer waits for a person (Tunnel, Key = offerer)
	EventTunnelUp                            // both ends hold the tunnel (Tunnel, Key)
	EventTunnelRefused                       // an offer was refused (Tunnel, Key, Text)
	EventTunnelChanged                       // enabled, disabled or deleted (Tunnel, Text)
	EventSessionUp                           // keys agreed (Key = remote endpoint or node)
	EventSessionDown                         // a session ended (Key, Text)
	EventProbe                               // a probe ended (Token, Trail, Took, Text)
	EventExternals                           // the set of external devices changed
	EventLookup                              // a name has an owner or not (Token, Key, Text)
	EventRevoked                             // a list of revoked keys was taken (Text)
	EventWithheld                            // somebody has a list that we lack (Key = who, Text)
	EventSessionMoved                        // a session goes on over another path (Key)
	EventSessionRefused                      // no session, by the other end's setting (Key, Text)
	EventKeepAlive                           // how often the parent hears of us changed (Took)
	EventNameClash                           // several nodes claim a name (Key = who lost it, Text)
	EventCloned                              // two devices use one key (Key, Text)
	EventTunnelDeleted                       // the client end deleted it (Tunnel, Key, Text = name)
)

// Event is one typed fact. Fields that a kind does not name are zero.
type Event struct {
	Kind   EventKind
	Key    ident.NodeID
	Tunnel ident.NodeID
	Addr   netip.AddrPort
	Text   string
	Token  uint64
	Trail  []ident.NodeID
	Took   time.Duration
}

// event reports something. In line at every caller it would be 12 kB of program.
//
//go:noinline
func (n *Node) event(e Event) { n.events = append(n.events, e) }

// count adds one to a drop reason of the slow path.
// In line at every caller it would be 11 kB of program.
//
//go:noinline
func (n *Node) count(r drop.Reason) { n.fast.C.Drops[r].Add(1) }
