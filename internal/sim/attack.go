// SPDX-License-Identifier: Apache-2.0

package sim

import "net/netip"

// attacker is who sits on the wire beside the nodes. The zero value is nobody.
type attacker struct {
	// saw is shown every datagram that a host sends.
	saw func(h *Host, from, to netip.AddrPort, b []byte)
	// held is asked about every datagram that a host sends; what it holds does not travel on.
	held func(h *Host, from, to netip.AddrPort, b []byte) bool
	// ears take what arrives at addresses where no host lives.
	ears map[netip.AddrPort]func(from netip.AddrPort, b []byte)
}

// takes shows a datagram that leaves a host and reports whether it goes no further.
func (a *attacker) takes(h *Host, from, to netip.AddrPort, b []byte) bool {
	if a.saw != nil {
		a.saw(h, from, to, b)
	}
	return a.held != nil && a.held(h, from, to, b)
}

// hears takes a datagram that arrived at an address of the attacker's.
func (a *attacker) hears(from, to netip.AddrPort, b []byte) bool {
	ear := a.ears[to]
	if ear != nil {
		ear(from, b)
	}
	return ear != nil
}
