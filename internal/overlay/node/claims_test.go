// SPDX-License-Identifier: Apache-2.0

package node

import (
	"net/netip"
	"testing"

	"staex/internal/ident"
	"staex/internal/wire"
)

func TestANamesCertificateGivesWhatItListsAndNothingElse(t *testing.T) {
	d := newDuo(t, 1, 0)
	n := d.parent
	owner := numbered(1)
	c := &ident.NamesCert{
		Key: d.secret().ID(), Names: []string{"hall"}, Static: netip.MustParseAddr("10.115.0.7"),
	}
	if err := ident.SignNamesCert(c, d.network); err != nil {
		t.Fatal(err)
	}
	for what, want := range map[claimed]bool{
		{wire.ClaimName, "hall"}:         true,
		{wire.ClaimName, "cellar"}:       false,
		{wire.ClaimStatic, "10.115.0.7"}: true,
		{wire.ClaimStatic, "10.115.0.8"}: false,
		{wire.ClaimName, "10.115.0.7"}:   false,
	} {
		if got := n.networkGave(what, c.Key, c.Append(nil)); got != want {
			t.Errorf("%v: %v", what, got)
		}
		if n.networkGave(what, owner, c.Append(nil)) || n.networkGave(what, c.Key, nil) {
			t.Errorf("%v is somebody else's, or needs no certificate", what)
		}
	}
}
