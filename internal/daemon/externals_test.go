// SPDX-License-Identifier: Apache-2.0

//go:build linux

package daemon_test

import (
	"strings"
	"testing"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"

	"staex/internal/api"
)

func TestAnInterfaceThatComesEndsTheComplaintAboutIt(t *testing.T) {
	needDevices(t)
	server, client := pair(t)
	server.offer(t, "plc", "tcp:502", client.id)
	file := server.path("tunnels/plc.conf")
	server.write(t, "tunnels/plc.conf",
		[]byte(read(t, file)+"external-ip-address = fe80::1%late0\n"))
	c, s := client.start(t), server.start(t)
	complains := func() bool {
		var h api.HealthReply
		s.ask(t, api.OpHealth, nil, &h)
		return strings.Contains(strings.Join(h.Problems, " "), "there is no interface late0")
	}
	until(t, "health misses the interface", complains)

	link := &netlink.Tuntap{
		LinkAttrs: netlink.LinkAttrs{Name: "late0"}, Mode: netlink.TUNTAP_MODE_TAP,
	}
	if err := netlink.LinkAdd(link); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = netlink.LinkDel(link) })
	until(t, "health misses it no more", func() bool { return !complains() })
	c.end(t)
	s.end(t)
}

func TestAFirewallBeforeTheProxiesIsNamedWhereThereAreAny(t *testing.T) {
	needDevices(t)
	server, client := pair(t)
	server.offer(t, "plc", "tcp:502", client.id)
	conn, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	drop := nftables.ChainPolicyDrop
	for family, table := range map[nftables.TableFamily]string{
		nftables.TableFamilyIPv6: "strict6", nftables.TableFamilyIPv4: "strict4",
	} {
		own := conn.AddTable(&nftables.Table{Name: table, Family: family})
		hook := nftables.ChainHookInput
		if family == nftables.TableFamilyIPv4 {
			hook = nftables.ChainHookForward // or the two nodes do not hear each other
		}
		conn.AddChain(&nftables.Chain{
			Name: "guard", Table: own, Type: nftables.ChainTypeFilter, Hooknum: hook,
			Priority: nftables.ChainPriorityFilter, Policy: &drop,
		})
		t.Cleanup(func() {
			conn.DelTable(own)
			if err := conn.Flush(); err != nil {
				t.Error(err)
			}
		})
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}

	c, s := client.start(t), server.start(t)
	file := server.path("tunnels/plc.conf")
	plain := read(t, file)
	for _, x := range []struct{ device, warned string }{
		{"", ""},
		{"192.168.77.9", "forwarded packets, ip strict4 guard"},
		{"fe80::1%lo", "packets to this machine, ip6 strict6 guard"},
	} {
		if x.device != "" {
			text := plain + "external-ip-address = " + x.device + "\n"
			server.write(t, "tunnels/plc.conf", []byte(text))
		}
		s.ask(t, api.OpReloadTunnels, nil, nil)
		until(t, "the tunnel is up", func() bool { return s.states(t) == "plc active" })
		var h api.HealthReply
		s.ask(t, api.OpHealth, nil, &h)
		var named []string
		for _, w := range h.Warnings {
			if before, after, ok := strings.Cut(w, " unless a rule of its own accepts them: "); ok {
				_, what, _ := strings.Cut(before, " drops ")
				chain, _, _ := strings.Cut(strings.TrimPrefix(after, "nft list chain "), ";")
				named = append(named, what+", "+chain)
			}
		}
		if got := strings.Join(named, "; "); got != x.warned {
			t.Errorf("with the device %q health names %q, want %q", x.device, got, x.warned)
		}
	}
	c.end(t)
	s.end(t)
}
