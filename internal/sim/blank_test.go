// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"testing"
	"time"

	"staex/internal/overlay/node"
)

// blank lets a machine lose its disk and come back.
func blank(h *Host) {
	h.Kill()
	h.LoseDisk()
	h.Start()
}

func TestAClientThatLosesItsDiskHasItsTunnelsBackWithinAMinute(t *testing.T) {
	for _, idle := range []time.Duration{time.Minute, 5 * time.Hour} {
		w := home(2020)
		g, c := agreed(t, w)
		g.Tunnel("hall", c, snmp)
		w.Run(time.Minute)
		must(g.Apply(node.SwitchTunnel{Tunnel: "hall"}))
		for range 2 { // and once more
			w.Run(idle)
			blank(c)
			back := func() bool { return active(c, "meter") && len(c.Node.Tunnels()) == 2 }
			if !w.Until(time.Minute, back) {
				t.Fatalf("after %v of rest it is not back", idle)
			}
			w.Run(10 * time.Second)
			if active(c, "hall") || active(g, "hall") {
				t.Error("the tunnel that was disabled is at work")
			}
			talks(t, w, c, "meter", "again", 10*time.Second)
		}
		must(g.Apply(node.SwitchTunnel{Tunnel: "hall", On: true}))
		if !w.Until(time.Minute, func() bool { return active(c, "hall") && active(g, "hall") }) {
			t.Error("it cannot be enabled again")
		}
		talks(t, w, c, "hall", "enabled", 10*time.Second)
		sound(t, w)
	}
}

func TestARootThatLosesItsDiskHasTheTunnelsOfItsChildrenBack(t *testing.T) {
	w := home(2021)
	_, _ = agreed(t, w)
	root, g := w.Host("root"), w.Host("gateway")
	g.Tunnel("cellar", root, snmp)
	root.Tunnel("attic", w.Host("technician"), snmp)
	w.Run(time.Hour)
	blank(root)
	if !w.Until(2*time.Minute, func() bool { return active(root, "cellar") }) {
		t.Error("the root's tunnel is not back")
	}
	blank(w.Host("technician"))
	if !w.Until(2*time.Minute, func() bool {
		return active(w.Host("technician"), "attic") && active(w.Host("technician"), "meter")
	}) {
		t.Error("the tunnels of the root and of the gateway are not back")
	}
	sound(t, w)
}

func TestWhoHasLostNothingIsOfferedNothingAgain(t *testing.T) {
	w := home(2022)
	g, c := agreed(t, w)
	w.Run(time.Minute)
	before := w.Bytes("gateway", "root")
	for range 5 {
		c.Kill()
		c.Start()
		w.Run(time.Minute)
	}
	if n := w.Bytes("gateway", "root") - before; n > 5*2000 {
		t.Errorf("five restarts of the client cost the gateway %d bytes", n)
	}
	_ = g
	sound(t, w)
}

func TestANewNodeThatHasItsTunnelsAsksNobodyForThem(t *testing.T) {
	w := home(2023)
	g, c := agreed(t, w)
	w.Run(time.Minute)
	blank(c)
	g.Kill()
	g.Start() // offers its tunnels at once
	if !w.Until(8*time.Second, func() bool { return active(c, "meter") }) {
		t.Fatal("it is not offered again")
	}
	w.Run(5 * time.Second)
	before := w.Bytes("gateway", "root")
	w.Run(time.Minute) // idle, 180 bytes
	if n := w.Bytes("gateway", "root") - before; n > 600 {
		t.Errorf("%d bytes more", n)
	}
	sound(t, w)
}
