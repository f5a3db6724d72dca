// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import "testing"

// TestCablesRoutesAndAddressesThatComeAndGo breaks what is below the overlay at either end of a
// transfer between two nodes behind translators.
func TestCablesRoutesAndAddressesThatComeAndGo(t *testing.T) {
	t.Parallel()
	n := story(t)
	n.regular("files", "tcp:8000")
	f := n.transfer("files", "gateway", "8000", n.address("technician", "files").String())
	for host, at := range map[string]struct{ router, other string }{
		"technician": {"10.20.0.1", "10.20.0.77/24"},
		"gateway":    {"192.168.1.1", "192.168.1.77/24"},
	} {
		h := n.w.Host(host)
		h.Plug("eth0", false)
		f.stalls()
		h.Plug("eth0", true)
		h.Route("default", at.router)
		f.flows("after a pulled cable at the " + host)
		t.Logf("%s: cable: longest gap %v", host, f.longest())

		h.Run("ip", "route", "del", "default")
		f.stalls()
		h.Route("default", at.router)
		f.flows("after a lost route at the " + host)
		t.Logf("%s: route: longest gap %v", host, f.longest())

		h.Run("ip", "addr", "flush", "dev", "eth0")
		h.Run("ip", "addr", "add", at.other, "dev", "eth0")
		h.Route("default", at.router)
		f.flows("after another address of the " + host)
		t.Logf("%s: address: longest gap %v", host, f.longest())
	}
	h := n.w.Host("technician")
	h.Plug("eth0", false)
	n.w.Until("the technician misses its parent", recovery, func() bool {
		return n.says("technician", "parent down") > 0
	})
	h.Plug("eth0", true)
	h.Route("default", "10.20.0.1")
	f.flows("after a cable that was out for long")
	t.Logf("long: longest gap %v", f.longest())
	f.finish()
}
