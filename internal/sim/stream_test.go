// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"staex/internal/overlay/node"
)

// A camera that streams is asked once and sends for hours: its flow must outlive whatever the
// server's end forgets, though the client's end has nothing more to say.
func TestAStreamThatTheClientOnlyListensToGoesOn(t *testing.T) {
	for name, interrupt := range map[string]func(w *World, g *Host){
		"a tunnel switched off and on": func(w *World, g *Host) {
			must(g.Apply(node.SwitchTunnel{Tunnel: "meter"}))
			w.Run(2 * time.Second)
			must(g.Apply(node.SwitchTunnel{Tunnel: "meter", On: true}))
		},
		"a server that restarts": func(w *World, g *Host) {
			g.Kill()
			w.Run(2 * time.Second)
			g.Start()
		},
		"a client that switches off and on": func(w *World, _ *Host) {
			c := w.Host("technician")
			must(c.Apply(node.SwitchTunnel{Tunnel: "meter"}))
			w.Run(2 * time.Second)
			must(c.Apply(node.SwitchTunnel{Tunnel: "meter", On: true}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := home(61)
			g, c := agreed(t, w)
			c.Ask("meter", 7000, 161, "stream")
			w.Run(time.Second)
			stream := g.Got[len(g.Got)-1]
			client := netip.AddrPortFrom(stream.Src.Addr(), 7000)
			interrupt(w, g)
			arrived := false
			for i := 0; i < 20 && !arrived; i++ {
				frame := fmt.Sprint("frame ", i)
				g.SendIP(UDP(stream.Dst, client, []byte(frame)))
				arrived = w.Until(time.Second, func() bool { return c.Answered(frame) })
			}
			if !arrived {
				t.Errorf("it does not come back in 20 s; the gateway drops %v", g.allDrops())
			}
			sound(t, w)
		})
	}
}
