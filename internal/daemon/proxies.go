// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"staex/internal/host/forward"
	"staex/internal/host/nft"
	"staex/internal/ident"
	"staex/internal/overlay/node"
)

const (
	// firstProxyPort is above the ports that Linux gives to whoever asks for any.
	firstProxyPort = 61000
	proxyPorts     = 1<<16 - firstProxyPort
	// proxyTries is how many ports are tried for a proxy before its target does without.
	proxyTries = 8
)

// proxies carry what is for devices with link-local addresses: no router forwards packets to those
// (RFC 4291 section 2.5.6), so this machine speaks with the device itself. The filter leads the
// packets of a tunnel to a proxy. The node's goroutine owns all but the set.
type proxies struct {
	set  forward.Set
	open []proxied
}

// proxied is a target that needs a proxy, and the port of the proxy.
type proxied struct {
	to    netip.AddrPort // with its zone: an address has another device on every interface
	proto uint8
	port  uint16
}

// use opens the proxies of the link-local addresses in the list, at this node's own address, closes
// all others, and returns the targets as the filter takes them and what does not work.
func (p *proxies) use(
	tun string, own netip.Addr, list []node.External,
) (rules []nft.External, trouble []string) {
	wanted, trouble := p.choose(list)
	if len(wanted) == 0 && len(p.open) == 0 {
		return nil, trouble
	}
	for i, w := range wanted {
		if w.port == 0 { // what is open stays where it is
			wanted[i].port = nextPort(w.firstPort(), wanted)
		}
	}
	doors := make([]forward.Rule, len(wanted))
	var errs []error
	for range proxyTries {
		for i, w := range wanted {
			doors[i] = forward.Rule{
				UDP: w.proto == ident.ProtoUDP, At: own, Port: w.port, To: w.to,
			}
		}
		if errs = p.set.Use(doors); len(errs) == 0 {
			break
		}
		for i, w := range wanted {
			if !p.set.Holds(doors[i]) {
				wanted[i].port = nextPort(w.port, wanted)
			}
		}
	}
	for _, err := range errs {
		trouble = append(trouble, "an external device cannot be reached: "+err.Error())
	}
	p.open = nil
	for i, w := range wanted {
		if !p.set.Holds(doors[i]) {
			continue
		}
		p.open = append(p.open, w)
		rules = append(rules, nft.External{
			Tun: tun, Target: w.to.Addr().WithZone(""), Proto: w.proto, Port: w.to.Port(),
			Proxy: netip.AddrPortFrom(own, w.port),
		})
	}
	return rules, trouble
}

// choose lists the targets that need a proxy, without repeats. Those that have one come first: a
// tunnel that comes later takes no address from them.
func (p *proxies) choose(list []node.External) (wanted []proxied, trouble []string) {
	for _, w := range p.open {
		if slices.ContainsFunc(list, w.leads) {
			wanted = append(wanted, w)
		}
	}
	for _, e := range list {
		if !e.Addr.IsLinkLocalUnicast() {
			continue
		}
		why, refused := refuse(e.Addr, wanted)
		if why != "" {
			trouble = append(trouble, "external device "+e.Addr.String()+": "+why)
		}
		if refused {
			continue
		}
		for _, t := range e.Targets {
			w := proxied{to: netip.AddrPortFrom(e.Addr, t.Port), proto: t.Proto}
			if !slices.ContainsFunc(wanted, w.same) {
				wanted = append(wanted, w)
			}
		}
		if len(wanted) > nft.MaxProxies {
			trouble = append(trouble, fmt.Sprintf("external device %v: more than %d targets have "+
				"link-local addresses, the others do not work", e.Addr, nft.MaxProxies))
			return wanted[:nft.MaxProxies], trouble
		}
	}
	return wanted, trouble
}

// refuse says what is wrong with a link-local address beside those that are reached, and whether it
// is refused for that: an interface that is missing may come yet.
func refuse(a netip.Addr, wanted []proxied) (why string, refused bool) {
	zone, bare := a.Zone(), a.WithZone("")
	if zone == "" {
		return "a link-local address needs its interface, as in fe80::1%eth0", true
	}
	for i := range wanted {
		if at := wanted[i].to.Addr(); at != a && at.WithZone("") == bare {
			return "another tunnel leads to the same address on " + at.Zone() + ", and packets " +
				"for the two cannot be told apart; give one of the devices another address", true
		}
	}
	if _, err := net.InterfaceByName(zone); err != nil {
		return "there is no interface " + zone, false
	}
	return "", false
}

// leads tells whether the target is one of the device's.
func (w proxied) leads(e node.External) bool {
	return e.Addr == w.to.Addr() &&
		slices.Contains(e.Targets, ident.Target{Proto: w.proto, Port: w.to.Port()})
}

func (w proxied) same(x proxied) bool { return x.to == w.to && x.proto == w.proto }

// firstPort is where the search for a port starts: the same after a restart, because the kernel
// goes on sending a client that never pauses to the port of before.
func (w proxied) firstPort() uint16 {
	h := uint32(w.to.Port())<<8 | uint32(w.proto)
	for _, b := range w.to.Addr().As16() {
		h = h*31 + uint32(b)
	}
	return uint16(firstProxyPort + h%proxyPorts)
}

// nextPort is the first port from here that no proxy has; the search wraps around.
func nextPort(port uint16, list []proxied) uint16 {
	for slices.ContainsFunc(list, func(w proxied) bool { return w.port == port }) {
		if port++; port < firstProxyPort {
			port = firstProxyPort
		}
	}
	return port
}
