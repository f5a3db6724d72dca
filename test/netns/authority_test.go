// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import (
	"strings"
	"testing"
	"time"

	"staex/test/world"
)

func TestARelayCarriesTheNetworksOfAnAuthorityUntilItTakesThemBack(t *testing.T) {
	n := sites(t)
	w := n.w
	ca := w.Found("ca")
	relays := ca.Sign("public", "--roles", "relay")
	n.home = ca.Sign("homes") // the other one has no authority
	public := w.Host("public")
	n.ids["public"] = relays.Init(public, "", "trusted-authorities = "+ca.ID)
	n.start("public")
	n.node("gateway", "203.0.113.1")
	n.node("technician", "203.0.113.1")
	n.camera("gateway", "camera1")
	n.opens("http://camera1/", world.Marker1, 20*time.Second)
	if out := w.Host("gateway").MCC("certificates"); !strings.Contains(out, ca.ID) {
		t.Errorf("mcc certificates does not show the authority:\n%s", out)
	}
	public.WriteFile("/etc/mcc/ca.txt", ca.Cert+"\n")
	public.MCCInput(ca.Key+"\n", "revoke", "-y", "-p", "/etc/mcc/ca.txt", "--stdin", n.home.ID)
	w.Until("the network is refused", 30*time.Second, func() bool {
		r := w.Host("gateway").Try("mcc", "parent")
		return strings.TrimSpace(r.Stdout) == ""
	})
	if page := n.page("technician", "http://camera1/"); page != "" {
		t.Errorf("after the network was taken back the technician reads %q", page)
	}
}
