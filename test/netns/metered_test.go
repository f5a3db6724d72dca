// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import (
	"encoding/binary"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/blake2s"

	"staex/test/world"
)

const (
	// Seconds for which the routers of these tests keep a mapping: before packets went both ways
	// for more than two seconds, and after that.
	keepFresh, keepStream = "4", "12"

	// random makes a router choose another port whenever a mapping is gone.
	random = `
flush chain ip router out
add rule ip router out oifname "wan" meta l4proto udp masquerade to :20000-60000 fully-random
`
	natProbe = 0xc0 // first byte of what comes from a second socket
)

// forgetful makes a router lose unused mappings soon.
func forgetful(router *world.Host) {
	router.Sysctl("net/netfilter/nf_conntrack_udp_timeout", keepFresh)
	router.Sysctl("net/netfilter/nf_conntrack_udp_timeout_stream", keepStream)
	router.Rules(random)
}

// remembered is what a node keeps on its disk about a network: a delay in seconds that was proven
// behind a translator with that address (see docs/wire/nat-probe.md).
func remembered(addr [4]byte, seconds uint16) string {
	place := blake2s.Sum256(append([]byte("staex place v1"),
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, addr[0], addr[1], addr[2], addr[3]))
	return string(binary.BigEndian.AppendUint16(place[:8:8], seconds))
}

// linkPorts are the ports from which an address sent frames of its link to port 9376.
func linkPorts(pcap []byte, from [4]byte) []uint16 {
	ports := map[uint16]bool{}
	for _, f := range world.Frames(pcap) {
		const source, sport, payload = etherHeader + 12, etherHeader + 20, etherHeader + 28
		if len(f) > payload && [4]byte(f[source:source+4]) == from && f[payload] != natProbe {
			ports[binary.BigEndian.Uint16(f[sport:])] = true
		}
	}
	return slices.Sorted(maps.Keys(ports))
}

// TestAMeteredLeafHoldsItsMappingOpenAndNoMore waits for keep-alives, as these are made: two
// minutes, nearly all of them idle.
func TestAMeteredLeafHoldsItsMappingOpenAndNoMore(t *testing.T) {
	t.Parallel()
	n := sites(t)
	w := n.w
	forgetful(w.Host("homenat"))
	forgetful(w.Host("officenat"))
	home, office := [4]byte{203, 0, 113, 10}, [4]byte{203, 0, 113, 20}
	n.node("public", "")
	// Without this the search would begin at a minute: it was in this network before.
	w.Host("gateway").WriteFile("/var/lib/mcc/nat-timeouts", remembered(home, 9))
	n.node("gateway", "203.0.113.1", "keep-alive-period = auto")
	n.node("technician", "203.0.113.1")
	w.Host("gateway").Run("mccd", "--check", "/etc/mcc")
	w.Until("the gateway learns its period", time.Minute, func() bool {
		return strings.Contains(n.run["gateway"].Log(), "period=8s")
	})
	sent := func(host string) int64 { return w.Host(host).Counters("eth0").SentPackets }
	relay, before := w.Host("public").Capture("eth0"), sent("gateway")
	const beats = 8 // and questions, longer than the default period in any case
	w.Until("the gateway is heard", 2*time.Minute, func() bool {
		return sent("gateway") > before+beats
	})
	pcap := relay.Stop()
	if got := linkPorts(pcap, home); len(got) != 1 {
		t.Errorf("the link of the gateway came from the ports %v", got)
	}
	w.Host("public").MCC("ping", "-c", "1", n.ids["gateway"])

	// The same kind of router forgets who does not ask what it does.
	relay, before = w.Host("public").Capture("eth0"), sent("technician")
	w.Until("the technician is heard", 2*time.Minute, func() bool {
		return sent("technician") > before+3
	})
	if got := linkPorts(append(pcap, relay.Stop()[24:]...), office); len(got) < 2 {
		t.Errorf("the router did not forget the technician: %v", got)
	}
}
