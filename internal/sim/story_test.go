// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"os"
	"testing"
	"time"

	"staex/internal/ident"
)

var snmp = ident.Target{Proto: ident.ProtoUDP, Port: 161}

// home is the story of the demo: a gateway and a technician, each behind a NAT, under one root.
func home(seed uint64) *World {
	w := New(seed)
	if os.Getenv("SIM_LOG") != "" {
		w.Log = os.Stderr
	}
	a, b := w.NewNAT("203.0.113.10", 2*time.Minute), w.NewNAT("203.0.113.20", 2*time.Minute)
	w.Add(Config{Name: "root", Addr: "203.0.113.1:9376"})
	w.Add(Config{
		Name: "gateway", Addr: "192.168.1.2:9376", NAT: a, Parents: []string{"203.0.113.1:9376"},
	})
	w.Add(Config{
		Name: "technician", Addr: "10.20.0.2:9376", NAT: b, Parents: []string{"203.0.113.1:9376"},
	})
	return w
}

func TestATunnelCarriesAQuestionAndItsAnswerThroughARelay(t *testing.T) {
	w := home(1)
	w.Watch([]byte("confidential"))
	g, c := w.Host("gateway"), w.Host("technician")
	g.Serve = Shout
	w.Run(3 * time.Second)
	g.Tunnel("meter", c, snmp)
	if !w.Until(10*time.Second, func() bool { _, ok := c.Address("meter"); return ok }) {
		t.Fatal("the tunnel was not agreed on")
	}
	c.Ask("meter", 5000, 161, "confidential")
	if !w.Until(5*time.Second, func() bool { return c.Answered("CONFIDENTIAL") }) {
		t.Fatal("no answer")
	}
	for _, x := range w.Wrong() {
		t.Error(x)
	}
}
