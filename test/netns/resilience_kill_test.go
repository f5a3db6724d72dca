// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import (
	"strings"
	"testing"
)

// TestATransferSurvivesTheDeathOfEveryDaemon pulls the plug of each of the three in turn, and of
// the gateway once more in the middle of everything that is ever written.
func TestATransferSurvivesTheDeathOfEveryDaemon(t *testing.T) {
	t.Parallel()
	n := story(t)
	n.external("recorder", "tcp:8000")
	f := n.transfer("recorder", "camera", "8000", n.address("technician", "recorder").String())
	for _, victim := range []string{"technician", "public", "gateway"} {
		n.run[victim].Kill()
		n.start(victim)
		f.flows("after the death of " + victim)
		t.Logf("%s: longest gap %v", victim, f.longest())
	}
	n.run["gateway"].Kill()
	gateway := n.w.Host("gateway")
	tunnel := gateway.ReadFile("/etc/mcc/tunnels/recorder.conf")
	for path, text := range map[string]string{
		// mcc init -y was between the new key and its certificate,
		"/etc/mcc/node-private-key.txt":     gateway.ReadFile("/etc/mcc/node-certificate.txt"),
		"/etc/mcc/node-private-key.txt.old": gateway.ReadFile("/etc/mcc/node-private-key.txt"),
		"/etc/mcc/node-certificate.txt.new": "",
		"/etc/mcc/.unfinished":              "old node-private-key.txt\nold node-certificate.txt\n",
		// a person's editor in a tunnel's file, and the daemon itself in its data.
		"/etc/mcc/tunnels/half.conf":       tunnel[:len(tunnel)/2],
		"/etc/mcc/tunnels/.tmp-1":          tunnel,
		"/var/lib/mcc/.tmp-1234567":        "half",
		"/etc/mcc/tunnels/empty.conf":      "",
		"/etc/mcc/tunnels/other.conf.swp":  "\x00\x01",
		"/etc/mcc/tunnels/recorder.conf.1": tunnel,
	} {
		gateway.WriteFile(path, text)
	}
	n.start("gateway")
	f.flows("after a death in the middle of everything")
	t.Logf("longest gap %v", f.longest())
	f.finish()
	if id := gateway.MCC("id"); id != n.ids["gateway"] {
		t.Errorf("the gateway is %s now, was %s", id, n.ids["gateway"])
	}
	for text, times := range map[string]int{
		"was interrupted": 1, "half.conf": 1, "empty.conf": 1, ".swp": 0, "recorder.conf": 0,
	} {
		if got := n.says("gateway", text); got != times {
			t.Errorf("the log says %q %d times, not %d:\n%s", text, got, times,
				n.run["gateway"].Log())
		}
	}
	if r := gateway.Try("mcc", "health"); r.OK() || !strings.Contains(r.Stdout, "half.conf") {
		t.Errorf("mcc health says nothing of the broken tunnel: %s%s", r.Stdout, r.Stderr)
	}
}
