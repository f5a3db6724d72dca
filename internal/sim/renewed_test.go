// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"testing"
	"time"

	"staex/internal/overlay/node"
)

// renew gives a machine a new node key, as mcc init -y does: its tunnel files stay.
func renew(w *World, h *Host, disk bool) {
	h.Kill()
	h.Who = w.identity(h.rand, w.network)
	if !disk {
		h.LoseDisk()
	}
	h.Start()
}

func TestATunnelFollowsItsServerToANewNodeKey(t *testing.T) {
	for _, disk := range []bool{true, false} {
		for _, marked := range []bool{false, true} {
			w := home(2040)
			g, c := agreed(t, w)
			if marked {
				must(c.Apply(node.SwitchTunnel{Tunnel: "meter"}))
				w.Run(10 * time.Second)
			}
			renew(w, g, disk)
			if !w.Until(time.Minute, func() bool { return meterOf(t, c).RemoteNode == g.ID() }) {
				t.Fatalf("the client holds on to the old key: %v", g.Events)
			}
			if active(c, "meter") == marked {
				t.Errorf("disabled at the client: %v, and now %+v", marked, meterOf(t, c).State)
			}
			if !marked {
				talks(t, w, c, "meter", "again", 30*time.Second)
			}
			must(g.Apply(node.DeleteTunnel{Tunnel: "meter"}))
			if !w.Until(time.Minute, func() bool { return len(c.Node.Tunnels()) == 0 }) {
				t.Error("it is deleted at the server alone")
			}
			sound(t, w)
		}
	}
}

func TestATunnelThatItsClientDeletedStaysDeletedUnderANewKey(t *testing.T) {
	w := home(2041)
	g, c := agreed(t, w)
	w.Cut("root", "gateway")
	must(c.Apply(node.DeleteTunnel{Tunnel: "meter"}))
	w.Heal("root", "gateway")
	renew(w, g, true)
	if !w.Until(2*time.Minute, func() bool { return len(g.Node.Tunnels()) == 0 }) {
		t.Errorf("the server still has it: %v", g.Events)
	}
	if len(c.Node.Tunnels()) != 0 {
		t.Error("the client has it again")
	}
	sound(t, w)
}

func TestATunnelOfARevokedNodeFollowsNobody(t *testing.T) {
	w := home(2042)
	g, c := agreed(t, w)
	old := g.ID()
	w.Host("root").Revoke(old)
	w.Run(time.Minute)
	renew(w, g, true)
	w.Run(time.Minute)
	if meterOf(t, c).RemoteNode != old || active(c, "meter") {
		t.Error("who took the keys of a revoked node has its tunnel")
	}
	sound(t, w)
}
