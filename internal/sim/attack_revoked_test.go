// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"testing"
	"time"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/state"
	"staex/internal/wire"
)

// A relay that forgets the list goes on vouching for a revoked key below it. Whoever is above does
// not wait for its word.
func TestARelayCannotKeepTheRowOfARevokedKey(t *testing.T) {
	w, p := attackedBy(t, 165, nil)
	root := w.Host("root")
	p.announce(root.ID())
	stolen := w.identity(p.rand, w.network)
	below := state.Record{
		Kind: state.Node, Key: stolen.Secret.ID(), Parent: p.who.Secret.ID(),
		Network: stolen.Cert.Network, Seq: 1,
	}
	tell := func() {
		p.tell(wire.ControlRecord, record(below, stolen.Secret, stolen.Cert.Append(nil)))
		w.Run(time.Second)
		below.Seq++
	}
	tell()
	if _, known := rows(root)[below.Key]; !known {
		t.Fatal("the row was not taken while the key was good")
	}
	root.Revoke(below.Key)
	w.Run(time.Second)
	if _, known := rows(root)[below.Key]; known {
		t.Error("the row of a revoked key stays")
	}
	before := root.allDrops()
	tell()
	counted(t, root, before, drop.Revoked, 1)
	if _, known := rows(root)[below.Key]; known {
		t.Error("the row of a revoked key came back")
	}
	survived(t, w)
}
