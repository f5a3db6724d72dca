// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import (
	"strings"
	"testing"
)

// says counts the lines of a daemon's log that contain a text.
func (n *net) says(host, text string) int {
	count := 0
	for line := range strings.Lines(n.run[host].Log()) {
		if strings.Contains(line, text) {
			count++
		}
	}
	return count
}

// saysOnce waits until a daemon has written one more line with a text than before.
func (n *net) saysOnce(host, text string, before int) {
	n.t.Helper()
	n.w.Until(host+" says: "+text, soon, func() bool { return n.says(host, text) > before })
	if now := n.says(host, text); now != before+1 {
		n.t.Errorf("%s says it %d times, not once: %s\n%s", host, now-before, text,
			n.run[host].Tail())
	}
}

// TestADeviceThatIsTakenAwayComesBack does to a device what people, network managers and scripts
// do, at both ends of a transfer to a camera that the gateway forwards to.
func TestADeviceThatIsTakenAwayComesBack(t *testing.T) {
	t.Parallel()
	n := story(t)
	n.external("recorder", "tcp:8000,tcp:8001")
	f := n.transfer("recorder", "camera", "8000", n.address("technician", "recorder").String())
	for host, injuries := range map[string][]string{
		"technician": {
			"ip link del mcc0", "ip link set mcc0 down", "ip addr flush dev mcc0",
			"ip route flush dev mcc0", "ip link set mcc0 down; ip link set mcc0 up",
		},
		"gateway": {
			"ip link set mcc0 down; ip link set mcc0 name other0", "ip link del mcc0",
		},
	} {
		for i, injury := range injuries {
			n.at(host, "sh", "-c", injury)
			n.saysOnce(host, "repaired=", i)
			f.flows("after " + injury + " at the " + host)
			t.Logf("%s: %s: longest gap %v", host, injury, f.longest())
		}
		if r := n.w.Host(host).Try("ip", "link", "show", "other0"); r.OK() {
			t.Errorf("a second device is left at the %s: %s", host, r.Stdout)
		}
	}
	f.finish()
	for _, host := range []string{"technician", "gateway"} {
		n.at(host, "nft", "flush", "ruleset") // as a firewall does that starts again
		n.saysOnce(host, "the packet filter was removed", 0)
		n.at(host, "nft", "list", "chain", "inet", "mcc", "wall_in")
	}
	// What ran through the gateway has lost its translation; what is opened now has one.
	n.transfer("recorder", "camera", "8001",
		n.address("technician", "recorder").String()).finish()
	for _, host := range []string{"technician", "gateway"} {
		if code := n.run[host].Stop(); code != 0 {
			t.Errorf("%s ends with %d\n%s", host, code, n.run[host].Tail())
		}
		for _, family := range []string{"-4", "-6"} {
			if out := n.at(host, "ip", family, "route"); strings.Contains(out, "mcc0") {
				t.Errorf("routes are left at the %s:\n%s", host, out)
			}
		}
	}
}
