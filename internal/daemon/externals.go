// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"

	"staex/internal/clock"
	"staex/internal/host/netif"
	"staex/internal/host/nft"
	"staex/internal/overlay/node"
)

// gateway is what this machine forwards to devices beside it. The node's goroutine owns it.
type gateway struct {
	// opened are the devices on which forwarding was switched on for us. They stay confined until
	// the daemon ends, because only then forwarding is switched off again.
	opened []nft.Confined
	// used: the filter has had targets. It is made without any, and a transaction that says so
	// again would keep the node from the first handshakes after a start for 10 ms or more.
	used bool
	// proxies lead to the devices that the kernel forwards nothing to.
	proxies proxies
	// trouble is what does not work, in sentences.
	trouble []string
	// troubled tells the goroutine of the ways that there is some.
	troubled atomic.Bool
}

// followExternals makes the packet filter say what the node's tunnels say: exactly these targets
// are reached from the device, under this machine's address.
func (l *loop) followExternals(now clock.Reading) {
	h, g := &l.d.host, &l.gateway
	if h.filter == nil {
		return
	}
	before := g.trouble
	g.trouble = nil
	list := l.node.Externals(now)
	own, _ := l.node.Lease(now, l.node.Self())
	rules := g.rules(h.device.Name(), own.V6, list)
	if g.used = g.used || len(rules) > 0; g.used {
		if err := h.filter.Set(rules); err != nil {
			g.trouble = append(g.trouble, "external devices cannot be reached: "+err.Error())
		}
	}
	for _, e := range list {
		if err := g.open(h, e.Addr); err != nil {
			g.trouble = append(g.trouble, fmt.Sprintf("external device %v: %v", e.Addr, err))
		}
	}
	for _, t := range g.trouble {
		if !slices.Contains(before, t) {
			l.d.log.Warn("gateway", "problem", t)
		}
	}
	g.troubled.Store(len(g.trouble) > 0)
}

// rules are the targets as the filter takes them.
func (g *gateway) rules(tun string, own netip.Addr, list []node.External) []nft.External {
	rules, trouble := g.proxies.use(tun, own, list)
	g.trouble = append(g.trouble, trouble...)
	for _, e := range list {
		if e.Addr.IsLinkLocalUnicast() {
			continue
		}
		for _, t := range e.Targets {
			rules = append(rules, nft.External{
				Tun: tun, Target: e.Addr, Proto: t.Proto, Port: t.Port,
			})
		}
	}
	if len(rules) > nft.MaxExternals {
		g.trouble = append(g.trouble, fmt.Sprintf("there are %d external targets, at most %d work",
			len(rules), nft.MaxExternals))
		rules = rules[:nft.MaxExternals]
	}
	return rules
}

// open lets packets pass between our device and the one that leads to an external device. Where
// forwarding was off, the filter first learns that nothing else may use it.
func (g *gateway) open(h *host, target netip.Addr) error {
	if target.IsLinkLocalUnicast() {
		return nil
	}
	beside, err := netif.DeviceTo(target)
	if err != nil {
		return err
	}
	v6 := target.Is6()
	for _, name := range []string{beside, h.device.Name()} {
		was, err := h.forward.Before(name, v6)
		if err != nil {
			return err
		}
		c := nft.Confined{Device: name, V6: v6}
		if !was && name == beside && !slices.Contains(g.opened, c) {
			opened := append(slices.Clone(g.opened), c)
			if err := h.filter.Confine(opened); err != nil {
				return err
			}
			g.opened = opened
		}
		if err := h.forward.Enable(name, v6); err != nil {
			return err
		}
	}
	return nil
}
