// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import (
	"strings"
	"testing"
	"time"
)

func TestDnsmasqAsksForOurNamesWhereItsDirectoryIs(t *testing.T) {
	n := bare(t, "public", "leaf")
	n.w.NeedPrograms("dnsmasq")
	n.node("public", "", "dns-names = node1")
	leaf := n.w.Host("leaf")
	leaf.Run("mkdir", "/etc/dnsmasq.d")
	n.home.Init(leaf, "203.0.113.1",
		"dnsmasq-restart-command = echo restarted >> /tmp/restarts # and no comment")
	leaf.Run("chmod", "644", "/etc/mcc/mcc.conf")
	n.start("leaf")
	n.attached("leaf")
	if got := leaf.ReadFile("/tmp/restarts"); strings.Count(got, "restarted") != 1 {
		t.Errorf("the restart command ran %q", got)
	}
	leaf.Start("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv",
		"--conf-dir=/etc/dnsmasq.d", "--listen-address=127.0.0.1", "--bind-interfaces",
		"--stop-dns-rebind", "--user=root", "--pid-file=/tmp/dnsmasq.pid")
	dig := func(args ...string) string {
		r := leaf.Try(append([]string{
			"dig", "@127.0.0.1", "+short", "+tries=1", "+time=2",
		}, args...)...)
		return strings.TrimSpace(r.Stdout)
	}
	address := leaf.MCC("resolve", n.ids["public"])
	n.w.Until("Dnsmasq answers", 10*time.Second, func() bool {
		return dig(n.ids["public"]+".home.arpa") == address
	})
	n.w.Until("and knows the name", 20*time.Second, func() bool {
		return dig("node1.home.arpa") == address
	})
	reverse := dig("-x", address)
	if reverse != n.ids["public"]+".home.arpa." && reverse != "node1.home.arpa." {
		t.Errorf("the reverse name of %s is %q", address, reverse)
	}
	if got := dig("-x", leaf.MCC("resolve", "-t", "ipv6", n.ids["public"])); got == "" {
		t.Error("there is no reverse name of the IPv6 address")
	}
	if got := dig("example.org"); got != "" {
		t.Errorf("another name: %q", got)
	}

	// A start that changes nothing restarts nothing, and the file of another is left alone.
	again := func() {
		n.run["leaf"].Stop()
		n.start("leaf")
	}
	again()
	if got := leaf.ReadFile("/tmp/restarts"); strings.Count(got, "restarted") != 1 {
		t.Errorf("after a start the restart command ran %q", got)
	}
	leaf.WriteFile("/etc/dnsmasq.d/mcc.conf", "server=192.0.2.1\n")
	again()
	if got := leaf.ReadFile("/etc/dnsmasq.d/mcc.conf"); got != "server=192.0.2.1\n" {
		t.Errorf("somebody else's file became %q", got)
	}
	if out := leaf.MCC("health"); !strings.Contains(out, "is somebody else's file") {
		t.Errorf("mcc health: %s", out)
	}
}

func TestDnsmasqIsLeftAloneOrFoundElsewhereAsItsKeysSay(t *testing.T) {
	n := bare(t, "off", "elsewhere", "missing")
	for host, lines := range map[string][]string{
		"off":       {"dnsmasq-enable = false"},
		"elsewhere": {"dnsmasq-enable = true", "dnsmasq-directory = /etc/masq"},
		"missing":   {"dnsmasq-enable = true", "dnsmasq-directory = /etc/none"},
	} {
		n.w.Host(host).Run("mkdir", "/etc/dnsmasq.d", "/etc/masq")
		n.node(host, "", lines...)
	}
	if got := n.w.Host("off").ReadFile("/etc/dnsmasq.d/mcc.conf"); got != "" {
		t.Errorf("off: %s", got)
	}
	elsewhere := n.w.Host("elsewhere")
	if got := elsewhere.ReadFile("/etc/masq/mcc.conf"); !strings.Contains(got,
		"server=/home.arpa/127.0.0.1#53\n") || elsewhere.ReadFile("/etc/dnsmasq.d/mcc.conf") != "" {
		t.Errorf("elsewhere: %q", got)
	}
	if out := n.w.Host("missing").MCC("health"); !strings.Contains(out,
		"there is no directory /etc/none") {
		t.Errorf("missing: %s", out)
	}
}
