// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"net/netip"
	"testing"
	"time"

	"staex/internal/ident"
	"staex/internal/overlay/node"
)

// A node whose names key is missing carries others' packets; what it cannot do it says.
func TestANodeWithoutANamesKeyAnswersEveryQuestion(t *testing.T) {
	w := home(2010)
	g, c := agreed(t, w)
	root := w.Host("root")
	root.Kill()
	who := *root.Who
	who.HasNames, who.Names = false, ident.NamesKey{}
	root.Who = &who
	root.cfg.DNSNames = []string{"hall"}
	root.cfg.Static = netip.MustParseAddr("10.115.0.7")
	root.Start()
	w.Run(time.Minute)
	must(root.Apply(node.Probe{Token: 1, Dest: g.ID()}))
	must(g.Apply(node.Probe{Token: 2, Dest: root.ID()}))
	must(c.Apply(node.Lookup{Token: 3, Name: "hall"}))
	must(root.Apply(node.Lookup{Token: 4, Name: "meter"}))
	root.Tunnel("hall", c, snmp)
	g.Tunnel("cellar", root, snmp)
	w.Run(time.Minute)
	if !happened(root, node.EventProbe, "no names key") {
		t.Errorf("the ping: %v", root.Events)
	}
	talks(t, w, c, "meter", "again", 40*time.Second)
	sound(t, w)
}
