// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import (
	"strings"
	"testing"
	"time"

	"staex/test/world"
)

// TestADependentNodeIsAnExternalTunnelOnceItsPortsAreNamed follows who still has the deprecated
// command and key in a script.
func TestADependentNodeIsAnExternalTunnelOnceItsPortsAreNamed(t *testing.T) {
	n := sites(t)
	w := n.w
	n.node("public", "")
	n.node("gateway", "203.0.113.1", "dependent-nodes = devices")
	n.node("technician", "203.0.113.1")
	gateway := w.Host("gateway")
	old := func(args ...string) {
		t.Helper()
		gateway.MCCInput(n.home.Key+"\n", append([]string{
			"generate-dependent-node-certificate", "--stdin",
		}, args...)...)
	}
	old("--dns-names", "camera9", "192.168.1.10")
	warned := func() bool {
		r := gateway.Try("mcc", "health")
		const says = "dependent node camera9: no tunnel names a port"
		return r.OK() && strings.Contains(r.Stdout, says)
	}
	w.Until("the daemon says that nobody reaches the device", 10*time.Second, warned)
	if out := gateway.MCC("tunnels"); strings.Contains(out, "camera9") {
		t.Errorf("a device without ports is a tunnel:\n%s", out)
	}

	old("--targets", "tcp:80", "--remote-node", n.ids["technician"], "--dns-names", "camera1",
		"192.168.1.10")
	n.opens("http://camera1/", world.Marker1, 20*time.Second)
	health := gateway.MCC("health")
	for _, want := range []string{
		"dependent-nodes is deprecated, use tunnels",
		"the directory /etc/mcc/devices is deprecated: move its files to /etc/mcc/tunnels",
	} {
		if !strings.Contains(health, want) {
			t.Errorf("mcc health does not say %q but\n%s", want, health)
		}
	}
	if log := n.run["gateway"].Log(); !strings.Contains(log, "deprecated") {
		t.Errorf("the log does not warn:\n%s", log)
	}
	gateway.MCC("delete-tunnel", "camera1")
	if gateway.ReadFile("/etc/mcc/devices/deleted/camera1.conf") == "" ||
		gateway.ReadFile("/etc/mcc/devices/camera9.conf") == "" {
		t.Error("not the files of the deleted tunnel were moved away")
	}
}
