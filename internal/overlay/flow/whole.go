// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"net/netip"

	"staex/internal/overlay/drop"
)

// Carried reports whether packets of an IP protocol cross as they are between two nodes. Protocols
// that have a kind of their own do not, nor what is no protocol but a header of IPv6, nor those
// whose checksum covers the addresses, which differ at the two ends.
func Carried(proto uint8) bool {
	switch proto {
	case ProtoICMP, ProtoTCP, ProtoUDP, ProtoICMPv6:
		return false
	case 0, 43, 44, 51, 59, 60, 135, 139, 140, 253, 254: // IANA: IPv6 extension headers, no header
		return false
	case 33, 136: // DCCP, UDP-Lite
		return false
	}
	return true
}

// ElideWhole fills c with what v says of a packet for which View.Parse gave drop.Protocol. It gives
// that again for one that is not carried.
func (c *Compact) ElideWhole(v *View) drop.Reason {
	if !Carried(v.Proto) {
		return drop.Protocol
	}
	*c = Compact{Kind: KindWhole, ECN: v.ECN, DSCP: v.DSCP, V6: v.V6, Proto: v.Proto}
	return drop.None
}

// decodeCarried reads what follows the context of a KindWhole from b[n:].
func (c *Compact) decodeCarried(b []byte, n int) (int, drop.Reason) {
	if len(b) < n+1 {
		return 0, drop.Short
	}
	if c.Proto = b[n]; !Carried(c.Proto) || b[0]&contextAnnounce != 0 {
		return 0, drop.BadContext
	}
	return n + 1, drop.None
}

// Destination is where an IP packet goes, as far as it is one.
func Destination(p []byte) (a netip.Addr, ok bool) {
	switch {
	case len(p) >= ip4HeaderLen && p[0]>>4 == 4:
		return netip.AddrFrom4([4]byte(p[16:20])), true
	case len(p) >= ip6HeaderLen && p[0]>>4 == 6:
		return netip.AddrFrom16([16]byte(p[24:40])), true
	}
	return a, false
}
