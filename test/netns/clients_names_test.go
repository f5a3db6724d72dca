// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import (
	"strings"
	"testing"
	"time"

	"staex/test/world"
)

// dig asks the daemon's DNS server of a host and returns the status and the short answer.
func (n *net) dig(host string, question ...string) (status, answer string) {
	n.t.Helper()
	args := append([]string{"dig", "@127.0.0.1", "+tries=3", "+time=5"}, question...)
	long := n.at(host, args...)
	if _, rest, ok := strings.Cut(long, "status: "); ok {
		status, _, _ = strings.Cut(rest, ",")
	}
	return status, strings.TrimSpace(n.at(host, append(args, "+short")...))
}

func TestDigAndGetentFindNamesBothWays(t *testing.T) {
	n := clients(t, "dig", "getent")
	n.camera("gateway", "camera1")
	n.opens("http://camera1/", world.Marker1, soon)
	n.regular("shell", "tcp:22")
	four, six := n.addresses("shell")
	camera := n.address("technician", "camera1").String()
	gateway := n.ids["gateway"]
	gateway4 := n.w.Host("technician").MCC("resolve", gateway)
	gateway6 := n.w.Host("technician").MCC("resolve", "-t", "ipv6", gateway)

	for _, c := range []struct{ question, status, answer string }{
		{"shell.home.arpa A", "NOERROR", four},
		{"shell.home.arpa AAAA", "NOERROR", six},
		{"shell A", "NOERROR", four},
		{"SHELL.Home.ARPA A", "NOERROR", four},
		{"shell.home.arpa MX", "NOERROR", ""},
		{"-x " + four, "NOERROR", "shell.home.arpa."},
		{"-x " + six, "NOERROR", "shell.home.arpa."},
		{"camera1.home.arpa A", "NOERROR", camera},
		{"camera1.home.arpa AAAA", "NOERROR", ""}, // the camera has no IPv6
		{"-x " + camera, "NOERROR", "camera1.home.arpa."},
		{gateway + ".home.arpa A", "NOERROR", gateway4},
		{gateway + ".home.arpa AAAA", "NOERROR", gateway6},
		{"-x " + gateway4, "NOERROR", gateway + ".home.arpa."},
		{"-x " + gateway6, "NOERROR", gateway + ".home.arpa."},
		{"nobody.home.arpa A", "NXDOMAIN", ""},
		{"-x 10.83.255.254", "NXDOMAIN", ""},
		{"example.org A", "REFUSED", ""},
		{"-x 192.0.2.1", "REFUSED", ""},
		{"+tcp shell.home.arpa A", "NOERROR", four},
		{"+noedns shell.home.arpa A", "NOERROR", four},
		{"+bufsize=512 +dnssec shell.home.arpa A", "NOERROR", four},
	} {
		status, answer := n.dig("technician", strings.Fields(c.question)...)
		if status != c.status || answer != c.answer {
			t.Errorf("dig %s: %s %q, want %s %q", c.question, status, answer, c.status, c.answer)
		}
	}
	for _, address := range []string{four, six} {
		got := strings.Fields(n.at("technician", "getent", "hosts", address))
		if len(got) < 2 || got[1] != "shell.home.arpa" {
			t.Errorf("getent hosts %s: %q", address, got)
		}
	}
	if r := n.w.Host("technician").Try("getent", "hosts", "example.org"); r.OK() {
		t.Errorf("getent found example.org: %s", r.Stdout)
	}
}

func TestNamesOfOneNodeMeanNothingToAnother(t *testing.T) {
	n := clients(t, "dig", "getent")
	n.camera("gateway", "camera1")
	n.opens("http://camera1/", world.Marker1, 10*time.Second)
	n.node("stranger", "203.0.113.1")
	four := n.address("technician", "camera1").String()
	if status, answer := n.dig("stranger", "camera1.home.arpa", "A"); status != "NXDOMAIN" {
		t.Errorf("a stranger's dig: %s %q", status, answer)
	}
	if _, answer := n.dig("stranger", "-x", four); strings.Contains(answer, "camera1") {
		t.Errorf("a stranger's dig -x %s: %q", four, answer)
	}
}
