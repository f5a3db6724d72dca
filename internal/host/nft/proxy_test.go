// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nft_test

import (
	"net/netip"
	"testing"

	"staex/internal/host/nft"
)

func TestATargetWithAProxyAnswersThroughItAndNobodyElseReachesTheProxy(t *testing.T) {
	w := newWorld(t)
	const clientIP, own, camera = "fd00:9::9", "fd00:9::1", "fe80::1"
	w.client.Do(t, func() {
		addAddress(t, tunName, clientIP+"/128")
		addRoute(t, tunName, own+"/128")
		addRoute(t, tunName, camera+"/128")
	})
	w.gateway.Do(t, func() {
		addAddress(t, tunName, own+"/128")
		addAddress(t, "lan", "fd00:7::1/64")
		addRoute(t, tunName, "fd00:9::/64")
	})
	w.lan.Do(t, func() {
		addAddress(t, "eth0", "fd00:7::2/64")
		addRoute(t, "eth0", own+"/128")
	})
	const port, other = 61001, 61002
	allowed := target(17, 5000)
	allowed.Target = netip.MustParseAddr(camera)
	allowed.Proxy = netip.AddrPortFrom(netip.MustParseAddr(own), port)
	w.set(t, allowed)
	proxy, beside := listen(t, w.gateway, own, port), listen(t, w.gateway, own, other)
	client := listen(t, w.client, clientIP, 0)
	near, far := listen(t, w.gateway, own, 0), listen(t, w.lan, "fd00:7::2", 0)

	send(t, client, own, port, "to the proxy itself")
	send(t, near, own, port, "from this machine")
	send(t, far, own, port, "from the LAN")
	send(t, client, camera, 5001, "another port")
	send(t, client, camera, 5000, "hello")
	from := expect(t, proxy, "hello")
	if from.IP.String() != clientIP {
		t.Errorf("the proxy sees %v, want the client", from)
	}
	silent(t, proxy, "what is not for the target")
	send(t, client, own, other, "no proxy")
	expect(t, beside, "no proxy")

	if _, err := proxy.WriteToUDP([]byte("welcome"), from); err != nil {
		t.Fatal(err)
	}
	if peer := expect(t, client, "welcome"); peer.IP.String() != camera || peer.Port != 5000 {
		t.Errorf("the client sees %v, want the target", peer)
	}

	w.set(t) // the chains go with the last proxy
	late := listen(t, w.client, clientIP, 0)
	send(t, late, camera, 5000, "too late")
	w.settle(t, w.lan, lanIP)
	silent(t, proxy, "a packet after the rule was taken back")
}

func TestAsManyProxiesAsMayBeFitOneTransaction(t *testing.T) {
	w := newWorld(t)
	all := make([]nft.External, nft.MaxProxies)
	for i := range all {
		all[i] = target(6, uint16(i+1))
		all[i].Target = netip.MustParseAddr("fe80::1")
		all[i].Proxy = netip.AddrPortFrom(netip.MustParseAddr("fd00:9::1"), uint16(61000+i))
	}
	w.set(t, all...)
	w.gateway.Do(t, func() {
		if err := w.nat.Set(append(all, all[0])); err == nil {
			t.Error("one more than may be was taken")
		}
	})
}
