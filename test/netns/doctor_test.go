// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"staex/test/world"
)

func TestTheDoctorFindsWhatIsWrongOnARealMachine(t *testing.T) {
	n, _ := module(t)
	n.opens("http://camera1/", world.Marker1, 10*time.Second)
	says := func(host string, code int, wants ...string) {
		t.Helper()
		r := n.w.Host(host).Try("mcc", "doctor")
		if r.Code != code {
			t.Errorf("%s: exit code %d, want %d\n%s", host, r.Code, code, r.Stdout)
		}
		for _, want := range wants {
			if !strings.Contains(r.Stdout, want) {
				t.Errorf("%s does not hear %q but\n%s", host, want, r.Stdout)
			}
		}
	}
	says("technician", 0, "ok       names          programs here find .home.arpa",
		"ok       parent         203.0.113.1:9376", "ok       tunnels        1 of 1 active")
	says("gateway", 0, "ok       forwarding     on", "ok       device         mcc0")
	says("public", 0, "this node is a root")
	var report struct{ OK bool }
	out := n.w.Host("technician").MCC("doctor", "--output-format", "json")
	if err := json.Unmarshal([]byte(out), &report); err != nil || !report.OK {
		t.Errorf("%v\n%s", err, out)
	}

	gateway := n.w.Host("gateway")
	gateway.Rules("table ip filter {\nchain FORWARD {\n" +
		"type filter hook forward priority 0; policy drop;\n}\n}\n")
	says("gateway", 0, "warning  health", "nft list chain ip filter FORWARD")
	gateway.Sysctl("net/ipv4/conf/mcc0/forwarding", "0")
	says("gateway", 1, "problem  forwarding     forwarding from mcc0 was switched off")

	technician := n.w.Host("technician")
	technician.Run("ip", "route", "add", "10.83.17.0/24", "dev", "eth0")
	says("technician", 1, "problem  routes         the route 10.83.17.0/24 of device eth0 overlaps")
	technician.Run("ip", "route", "del", "10.83.17.0/24", "dev", "eth0")
	technician.WriteFile("/etc/nsswitch.conf", "hosts: files\n")
	says("technician", 0, "warning  names", "install libnss_mcc.so.2")
	technician.NSS()
	n.run["public"].Kill()
	n.run["technician"].Stop()
	says("technician", 1, "problem  daemon         no daemon answers", "ok       port")
	n.start("technician")
	says("technician", 1, "problem  parent         no parent answers: 203.0.113.1:9376")
}
