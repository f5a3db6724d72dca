// SPDX-License-Identifier: Apache-2.0

// Package nft keeps one table of packet-filter rules in the kernel: the gateway's way to external
// targets and the wall around the overlay's addresses. It never decides who may pass; it is told.
//
// The table has the family inet and these chains:
//
//	wall_in     prerouting   raw      packets of overlay addresses from the wrong device
//	wall_out    postrouting  filter   packets to overlay addresses by the wrong device
//	forward     forward      -10      TUN to targets, their answers back, nothing else
//	masquerade  postrouting  srcnat   TUN to targets: in the gateway's name
//	proxies     prerouting   dstnat   TUN to targets that have a proxy on this host: to the proxy
//	proxy_door  input        filter   to proxies: what was sent there by the chain above, only
//
// The last two exist only while a target has a proxy.
//
// A chain can only drop for good: other tables of the host may still refuse what is accepted here.
// Needs Linux 5.7, the first to know a packet's incoming device in the postrouting hook.
package nft

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// ErrUnsupported is returned by Open where this product has no packet filter yet.
var ErrUnsupported = errors.New("nft: this system is not supported yet")

// ErrRule is returned for a rule that makes no sense; nothing was changed then.
var ErrRule = errors.New("nft: bad rule")

const (
	// MaxExternals bounds the targets of one table: 32 for each of 1,024 tunnels of a gateway.
	MaxExternals = 32768

	// MaxProxies bounds the targets with a proxy, because each is a rule and a descriptor: 32 for
	// each of 16 tunnels. A process usually has 1,024 descriptors.
	MaxProxies = 512

	// MaxGuards bounds the walls: one a network, and the confined devices in the same way.
	MaxGuards = 64

	maxDeviceName = 15 // IFNAMSIZ less its final zero

	protoTCP = 6
	protoUDP = 17
)

// External is a target that packets from a TUN device may reach through this host, and from which
// answers may come back. It is reached in the host's own name. From the first External or Guard
// that names it until the table is closed, nothing else is forwarded from or to the TUN device.
//
// A target to which the kernel forwards nothing, such as a link-local address, is reached through a
// proxy of this host: the packets go there, and the answers look as if they came from the target.
type External struct {
	Tun    string         // device the packets come from
	Target netip.Addr     // exactly this address
	Proto  uint8          // 6 TCP or 17 UDP
	Port   uint16         // not 0
	Proxy  netip.AddrPort // IPv6, on this host; the zero AddrPort: none
}

// Guard reserves address ranges for a TUN device: packets with such a source or destination that
// arrive by another device are dropped, and so are packets to such a destination that would leave
// by another, even when the TUN device is gone. Loopback is excepted.
type Guard struct {
	Tun    string
	Ranges []netip.Prefix
}

// Confined is a device on which forwarding was switched on only for our sake: packets of one
// family that arrive there are forwarded to a TUN device or not at all.
type Confined struct {
	Device string
	V6     bool
}

// plan is everything the table says, checked and in a fixed order.
type plan struct {
	externals []External
	guards    []Guard
	confined  []Confined
	known     []string // TUN devices named by an earlier plan
	tracked   bool     // connections to targets may stand
}

// tuns lists the devices whose forwarding is restricted, sorted. One that lost its last target
// stays among them: it must not become a plain router port.
func (p *plan) tuns() []string {
	names := slices.Clone(p.known)
	for _, e := range p.externals {
		names = append(names, e.Tun)
	}
	for _, g := range p.guards {
		names = append(names, g.Tun)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// targets lists what one device may reach in one family, by forwarding or through proxies, sorted
// and without repeats.
func (p *plan) targets(tun string, v6, proxied bool) []External {
	var of []External
	for _, e := range p.externals {
		e.Target = e.Target.Unmap()
		if e.Tun == tun && e.Target.Is6() == v6 && e.Proxy.IsValid() == proxied {
			of = append(of, e)
		}
	}
	slices.SortFunc(of, func(a, b External) int {
		if c := a.Target.Compare(b.Target); c != 0 {
			return c
		}
		if a.Proto != b.Proto {
			return int(a.Proto) - int(b.Proto)
		}
		return int(a.Port) - int(b.Port)
	})
	return slices.Compact(of)
}

func (p *plan) check() error {
	if len(p.externals) > MaxExternals {
		return fmt.Errorf("%w: %d targets, at most %d", ErrRule, len(p.externals), MaxExternals)
	}
	if len(p.guards) > MaxGuards || len(p.confined) > MaxGuards || len(p.known) > MaxGuards {
		return fmt.Errorf("%w: more than %d guards or devices", ErrRule, MaxGuards)
	}
	proxies := 0
	for _, e := range p.externals {
		if e.Proxy.IsValid() {
			proxies++
		}
		switch {
		case !validDevice(e.Tun):
			return fmt.Errorf("%w: device %q", ErrRule, e.Tun)
		case !e.Target.IsValid() || e.Target.IsUnspecified() || e.Target.Zone() != "":
			return fmt.Errorf("%w: target address %v", ErrRule, e.Target)
		case e.Proto != protoTCP && e.Proto != protoUDP:
			return fmt.Errorf("%w: protocol %d of %v", ErrRule, e.Proto, e.Target)
		case e.Port == 0:
			return fmt.Errorf("%w: port 0 of %v", ErrRule, e.Target)
		case e.Proxy != netip.AddrPort{} && !goodProxy(e):
			return fmt.Errorf("%w: proxy %v of %v", ErrRule, e.Proxy, e.Target)
		case proxies > MaxProxies:
			return fmt.Errorf("%w: more than %d proxies", ErrRule, MaxProxies)
		}
	}
	for _, g := range p.guards {
		if !validDevice(g.Tun) {
			return fmt.Errorf("%w: device %q", ErrRule, g.Tun)
		}
		for _, r := range g.Ranges {
			if !r.IsValid() || r.Bits() == 0 || r.Addr().Is4In6() {
				return fmt.Errorf("%w: range %v", ErrRule, r)
			}
		}
	}
	for _, c := range p.confined {
		if !validDevice(c.Device) {
			return fmt.Errorf("%w: device %q", ErrRule, c.Device)
		}
	}
	return nil
}

func goodProxy(e External) bool {
	a := e.Proxy.Addr()
	return a.Is6() && a.Zone() == "" && e.Proxy.Port() != 0 && e.Target.Unmap().Is6()
}

func validDevice(name string) bool {
	if name == "" || len(name) > maxDeviceName {
		return false
	}
	for i := range len(name) {
		if name[i] <= ' ' || name[i] >= 0x7f || name[i] == '/' {
			return false
		}
	}
	return true
}

// validTable accepts what nft's own language accepts without quotes.
func validTable(name string) bool {
	if name == "" || len(name) > 64 {
		return false
	}
	for i := range len(name) {
		c := name[i]
		letter := c >= 'a' && c <= 'z'
		if !letter && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return true
}
