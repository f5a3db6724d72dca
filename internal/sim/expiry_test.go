// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"testing"
	"time"

	"staex/internal/ident"
	"staex/internal/overlay/node"
)

// tunnelFor gives the client a tunnel to the gateway's meter that ends after some time.
func tunnelFor(w *World, g, c *Host, life time.Duration) {
	secret, err := ident.NewSecret(g.rand)
	must(err)
	end := w.reading().Wall.Add(life)
	cert := &ident.EndpointCert{
		Kind: ident.ServerEndpoint, Key: secret.ID(), Peer: c.ID(),
		Targets: []ident.Target{snmp}, Names: []string{"meter"},
	}
	cert.NotAfter = uint32(end.Unix())
	must(ident.SignEndpointCert(cert, w.network.Secret))
	must(g.Apply(node.SetTunnels{
		Tunnels: []node.ServerTunnel{{Name: "meter", Cert: cert, Secret: secret}},
	}))
}

func TestATunnelEndsWhenItsTimeIsOver(t *testing.T) {
	w := home(51)
	g, c := w.Host("gateway"), w.Host("technician")
	g.Serve = Shout
	w.Run(3 * time.Second)
	tunnelFor(w, g, c, time.Minute)
	w.Until(20*time.Second, func() bool { _, ok := c.Address("meter"); return ok })
	talks(t, w, c, "meter", "in time", 10*time.Second)
	w.Run(time.Minute + 2*time.Second) // the last second counts
	g.Forget()
	for range 5 {
		c.Ask("meter", 5000, 161, "too late")
		w.Run(time.Second)
	}
	if len(g.Got) != 0 {
		t.Errorf("after its time the tunnel delivered %v", g.Got)
	}
	sound(t, w)
}
