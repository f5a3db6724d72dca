// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import (
	"strings"
	"testing"
	"time"

	"staex/test/world"
)

// asked types a command at a terminal of a host and answers its question for a secret.
func asked(h *world.Host, secret, command string) string {
	return h.RunInput(secret+"\n", "script", "-qec", command, "/dev/null")
}

// TestTheLinesOfTheManualWorkAsTyped follows the quick start and the pages about cameras and names
// with nothing but what the manual says, at a terminal.
func TestTheLinesOfTheManualWorkAsTyped(t *testing.T) {
	g := guided(t, nil)
	g.w.NeedPrograms("script")
	world.Story(g.w)
	g.home = g.w.Found("home")
	public, gateway, technician := g.w.Host("public"), g.w.Host("gateway"), g.w.Host("technician")
	technician.NSS()
	out := asked(public, g.home.Key, "mcc init "+g.home.Cert)
	if !strings.Contains(out, "Network private key: ") {
		t.Errorf("mcc init does not ask for the key:\n%s", out)
	}
	g.service(public, "enable --now mcc")
	asked(gateway, g.home.Key, "mcc init --parents 203.0.113.1:9376 "+g.home.Cert)
	out = asked(technician, g.home.Cert+"\n"+g.home.Key, "mcc init -p 203.0.113.1")
	if !strings.Contains(out, "Network certificate (BASE64): ") {
		t.Errorf("mcc init does not ask for the certificate:\n%s", out)
	}
	g.service(gateway, "enable --now mcc")
	g.service(technician, "enable --now mcc")
	ids := []string{gateway.MCC("id"), technician.MCC("id")}
	g.w.Until("new nodes are visible on the parent", 20*time.Second, func() bool {
		nodes := public.MCC("nodes")
		return strings.Contains(nodes, ids[0]) && strings.Contains(nodes, ids[1])
	})

	out = asked(gateway, g.home.Key, "mcc create-tunnel --remote-node "+ids[1]+
		" --targets tcp:80 --external-ip-address 192.168.1.10")
	endpoint := strings.TrimSpace(strings.SplitN(out[strings.Index(out, "\nid "):], "\n", 3)[1][3:])
	opens := func(what string, command ...string) {
		t.Helper()
		g.w.Until(what, 20*time.Second, func() bool { return technician.Try(command...).OK() })
	}
	opens("the endpoint answers by its id", "ping", "-c", "1", "-W", "1", endpoint)
	opens("the page opens by its id", "curl", "-sfm", "2", "http://"+endpoint+"/")

	// What a person adds to the file of the tunnel holds at the other end without a restart.
	conf := "/etc/mcc/tunnels/" + endpoint[:8] + ".conf"
	add := func(line string) { gateway.WriteFile(conf, gateway.ReadFile(conf)+line+"\n") }
	add("dns-names = light1")
	opens("the name in the tunnel's file", "ping", "-c", "1", "-W", "1", "light1.home.arpa")
	before := technician.MCC("resolve", "light1")
	add("static-addr = 10.115.0.9")
	opens("the static address in the tunnel's file", "ping", "-c", "1", "-W", "1", "10.115.0.9")
	opens("the page at the static address", "curl", "-sfm", "2", "http://10.115.0.9/")
	if technician.Try("ping", "-c", "1", "-W", "1", before).OK() {
		t.Errorf("the address from before, %s, still leads there", before)
	}
}
