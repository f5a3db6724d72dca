// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"net/netip"
	"time"

	"staex/internal/clock"
	"staex/internal/ident"
)

// Filter says who may write back through a mapping (RFC 4787, section 5).
type Filter uint8

// The filters. The zero filter is the strictest and the usual one.
const (
	FilterAddressAndPort Filter = iota // exactly the ports that were written to
	FilterAddress                      // any port of an address that was written to
	FilterNothing                      // anybody
)

// String names the filter as the RFC does.
func (f Filter) String() string {
	switch f {
	case FilterAddress:
		return "address-dependent"
	case FilterNothing:
		return "endpoint-independent"
	default:
		return "address-and-port-dependent"
	}
}

// admits reports whether a mapping lets a datagram in.
func (n *NAT) admits(m *mapping, from netip.AddrPort) bool {
	if n.Filter == FilterNothing {
		return true
	}
	if _, ok := m.peers[from]; ok || n.Filter == FilterAddressAndPort {
		return ok
	}
	for peer := range m.peers {
		if peer.Addr() == from.Addr() {
			return true
		}
	}
	return false
}

// SetLinkBetween changes how the underlay treats datagrams between two hosts from now on, in both
// directions, whatever SetLink says.
func (w *World) SetLinkBetween(a, b string, l Link) {
	if w.between == nil {
		w.between = map[[2]string]Link{}
	}
	w.between[cutKey(a, b)] = l
}

// linkTo is how a datagram from a host to an address is treated.
func (w *World) linkTo(h *Host, to netip.AddrPort) Link {
	if len(w.between) == 0 {
		return w.link
	}
	if x := w.hostAt(to); x != nil {
		if l, ok := w.between[cutKey(h.Name, x.Name)]; ok {
			return l
		}
	}
	return w.link
}

// reading is what the host's own clocks show.
func (h *Host) reading() clock.Reading {
	r := h.w.reading()
	if h.Unset {
		r.Wall, r.Synced = time.Unix(0, 0).Add(r.Up), false
	}
	return r
}

// MoveTo gives the host another address on the underlay; its node is not told.
func (h *Host) MoveTo(addr string) {
	h.w.logf("%s moves to %s", h.Name, addr)
	delete(h.w.byAddr, h.Addr)
	h.Addr = netip.MustParseAddrPort(addr)
	h.w.byAddr[h.Addr] = h
}

// Suspend stops the host's programs, while its Up clock runs on; Resume lets them go on.
func (h *Host) Suspend() (resume func()) {
	h.w.logf("%s is suspended", h.Name)
	n := h.Node
	h.Node = nil
	return func() {
		h.w.logf("%s wakes up", h.Name)
		h.Node = n
		h.plan()
	}
}

// TunnelIn is Tunnel for a host of another network than the world's own.
func (h *Host) TunnelIn(n *Network, name string, client *Host, targets ...ident.Target) {
	own := h.w.network
	h.w.network = n
	h.Tunnel(name, client, targets...)
	h.w.network = own
}
