// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"staex/test/world"
)

// TestForwardingRulesLeadAPortOfANodeThroughItsTunnel: a machine beside the technician's, which is
// no node, opens the camera at a port of the technician's.
func TestForwardingRulesLeadAPortOfANodeThroughItsTunnel(t *testing.T) {
	n := sites(t)
	w := n.w
	n.node("public", "")
	n.node("gateway", "203.0.113.1")
	n.node("technician", "203.0.113.1", "forwarding-rules-commit-timeout = 3s")
	n.camera("gateway", "camera1")
	n.echo("gateway", "7000")
	gateway, technician, stranger := w.Host("gateway"), w.Host("technician"), w.Host("stranger")
	n.home.Tunnel(gateway, technician, "echo1", n.ids["technician"], "--targets", "udp:7000")
	opens := func(port string) bool {
		return strings.Contains(n.page("stranger", "http://10.20.0.2:"+port+"/"), world.Marker1)
	}
	rule := func(port, name, to, protocol string) string {
		return "port from " + port + " to " + technician.MCC("resolve", name) + ":" + to +
			" protocol " + protocol + "\n"
	}
	if opens("8080") {
		t.Fatal("the page opens before there is a rule")
	}
	rules := rule("8080", "camera1", "80", "tcp") + rule("7001", "echo1", "7000", "udp")
	technician.WriteFile("/tmp/rules", rules)
	technician.MCCInput("y\n", "apply-forwarding-rules", "/tmp/rules")
	w.Until("a machine beside the technician's opens the page", 20*time.Second,
		func() bool { return opens("8080") })
	conn, err := stranger.DialContext(t.Context(), "udp4", "10.20.0.2:7001")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	n.ask(conn, 100, 5)
	if got := technician.ReadFile("/etc/mcc/forwarding-rules.conf"); got != rules {
		t.Errorf("the file has %q, want %q", got, rules)
	}

	// Rules that nobody confirms end by themselves.
	technician.WriteFile("/tmp/other", rule("8081", "camera1", "80", "tcp"))
	trial := technician.Start("sh", "-c", "sleep 60 | mcc apply-forwarding-rules /tmp/other")
	w.Until("the other rule is on trial", 10*time.Second, func() bool { return opens("8081") })
	if opens("8080") {
		t.Error("a rule that the trial does not have is in force")
	}
	w.Until("the rules are back", 20*time.Second, func() bool { return opens("8080") })
	if opens("8081") {
		t.Error("the rule of the trial is still in force")
	}
	w.Until("mcc says so", 10*time.Second, func() bool {
		return strings.Contains(trial.Log(), "nobody confirmed: the rules are taken back")
	})

	// The file is read at the start, and again when somebody asks.
	n.run["technician"].Stop()
	n.start("technician")
	w.Until("the page opens after a restart", 20*time.Second, func() bool { return opens("8080") })
	hangUp := func() {
		if err := unix.Kill(n.run["technician"].PID(), unix.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	technician.WriteFile("/etc/mcc/forwarding-rules.conf", "port from\n")
	hangUp()
	w.Until("the log names the mistake", 10*time.Second, func() bool {
		return strings.Contains(n.run["technician"].Log(), "forwarding-rules.conf:1: ")
	})
	if r := technician.Try("mccd", "--check", "/etc/mcc"); r.Code != 10 || !opens("8080") {
		t.Errorf("mccd --check: exit code %d; a broken file ended rules: %v\n%s", r.Code,
			!opens("8080"), r.Stderr)
	}
	technician.WriteFile("/etc/mcc/forwarding-rules.conf", rule("8082", "camera1", "80", "tcp"))
	hangUp()
	w.Until("the new rule holds", 10*time.Second, func() bool { return opens("8082") })
	if opens("8080") {
		t.Error("the rule that is gone from the file is still in force")
	}
}

// TestTheFileOfForwardingRulesMayBeElsewhere: and a port in use is said and stops nothing.
func TestTheFileOfForwardingRulesMayBeElsewhere(t *testing.T) {
	n := bare(t, "public")
	h := n.w.Host("public")
	h.Web("8080", "somebody else's")
	n.home.Init(h, "", "forwarding-rules = rules/mine.txt")
	h.WriteFile("/etc/mcc/rules/mine.txt", "port from 8080 to 10.83.0.9:80 protocol tcp\n"+
		"port from 8081 to 10.83.0.9:80 protocol tcp\n")
	n.start("public")
	r := h.Try("mcc", "health")
	if want := "forward tcp port 8080"; r.Code != 1 || !strings.Contains(r.Stdout, want) ||
		!strings.Contains(r.Stdout, "another program listens there") {
		t.Errorf("exit code %d, want 1 and %q in\n%s", r.Code, want, r.Stdout)
	}
	if out := h.Run("sh", "-c", "cat /proc/net/tcp6 /proc/net/tcp"); !strings.Contains(out,
		":1F91 ") {
		t.Errorf("nobody listens at port 8081:\n%s", out)
	}
	n.run["public"].Stop()
	h.Run("rm", "/etc/mcc/rules/mine.txt")
	if r := h.Try("mccd", "/etc/mcc"); r.Code != 10 ||
		!strings.Contains(r.Stderr, "there is no file /etc/mcc/rules/mine.txt") {
		t.Errorf("exit code %d\n%s", r.Code, r.Stderr)
	}
}

// TestForwardingRulesAreKeptThoughTheDaemonMayNotWriteThem: it has become the user mcc, and keeps
// the right to ports below 1024 where its rules have one.
func TestForwardingRulesAreKeptThoughTheDaemonMayNotWriteThem(t *testing.T) {
	n, h := accounts(t)
	const file = "/etc/mcc/forwarding-rules.conf"
	low := "port from 81 to 10.83.0.9:80 protocol tcp\n"
	high := "port from 8081 to 10.83.0.9:80 protocol tcp\n"
	h.WriteFile("/tmp/low", low)
	h.WriteFile("/tmp/high", high)
	if r := h.Try("mcc", "apply-forwarding-rules", "-y", "/tmp/low"); r.Code != 6 ||
		!strings.Contains(r.Stderr, "choose a port above 1023, or write the rule to the file") {
		t.Errorf("a low port without the right: exit code %d\n%s", r.Code, r.Stderr)
	}
	h.MCC("apply-forwarding-rules", "-y", "/tmp/high")
	if got := h.ReadFile(file); got != high {
		t.Errorf("the file has %q", got)
	}
	h.WriteFile(file, low)
	n.run["gateway"].Stop()
	n.start("gateway")
	if r := h.Try("mcc", "health"); !r.OK() {
		t.Errorf("a low port from the start: %s", r.Stdout)
	}
	for _, rules := range []string{"/tmp/high", "/tmp/low"} {
		h.MCC("apply-forwarding-rules", "-y", rules)
	}
	if got := h.ReadFile(file); got != low {
		t.Errorf("the file has %q", got)
	}
}
