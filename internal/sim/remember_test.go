// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"staex/internal/overlay/drop"
)

// planned stops a host as its service manager does, and starts it again with what it remembers.
func planned(h *Host) (entries int) {
	var list [][]byte
	for b := range h.Node.Remember() {
		list = append(list, bytes.Clone(b))
	}
	h.Kill()
	h.cfg.Remembered = slices.Values(list)
	h.Start()
	h.cfg.Remembered = nil
	return len(list)
}

// restartCost is what a restart of the root costs the way to a relay with so many leaves.
func restartCost(t *testing.T, leaves int, remembers bool) (bytes int, trace [32]byte) {
	t.Helper()
	w := twoRelays(350, leaves, Config{Node: still})
	root := w.Host("root")
	everybody(t, w, "root", leaves+4)
	w.Run(time.Minute)
	before := both(w, "relay0", "root")
	if remembers {
		if n := planned(root); n != leaves+3 {
			t.Errorf("the root remembers %d of %d nodes", n, leaves+3)
		}
	} else {
		root.Kill()
		root.Start()
	}
	everybody(t, w, "root", leaves+4)
	w.Until(2*time.Minute, func() bool { return root.Node.Links() == 2 })
	w.Run(time.Minute)
	if n := known(root, w); n != leaves+4 {
		t.Errorf("the root knows %d of %d nodes", n, leaves+4)
	}
	bytes = both(w, "relay0", "root") - before
	sound(t, w)
	return bytes, w.Trace()
}

func TestAPlannedRestartOfTheRootCostsItsChildrenNoTables(t *testing.T) {
	small, _ := restartCost(t, 5, true)
	large, first := restartCost(t, 60, true)
	again, second := restartCost(t, 60, true)
	crash, _ := restartCost(t, 60, false)
	t.Logf("5 leaves cost %d bytes, 60 cost %d, and %d after a crash", small, large, crash)
	if large > small+200 || large > 4000 || crash < 2*large {
		t.Errorf("5 leaves cost %d bytes, 60 cost %d, and %d after a crash", small, large, crash)
	}
	if first != second || large != again {
		t.Error("two runs from one seed differ")
	}
}

func TestWhoDoesNotComeBackAfterARestartOfTheRootIsForgotten(t *testing.T) {
	w := twoRelays(351, 5, Config{Node: still})
	root := w.Host("root")
	everybody(t, w, "root", 9)
	w.Host("relay0").Kill()
	w.Host("leaf3").Kill()
	planned(root)
	if n := known(root, w); n != 9 {
		t.Fatalf("the root remembers %d nodes", n)
	}
	w.Run(10 * time.Minute) // the site has gone over to the other relay with its leaves
	for _, name := range []string{"site", "leaf1"} {
		if via := rows(root)[w.Host(name).ID()]; via.IsZero() {
			t.Errorf("%s is not known any more", name)
		}
	}
	w.Run(10 * time.Minute)
	if _, known := rows(root)[w.Host("relay0").ID()]; known {
		t.Error("a relay that is gone is still remembered")
	}
	if n := root.drops(drop.BadSignature) + root.drops(drop.NotAdmitted); n != 0 {
		t.Errorf("%d records were refused", n)
	}
	sound(t, w)
}

func TestARootRemembersNobodyWhoIsRevokedMeanwhile(t *testing.T) {
	w := twoRelays(352, 3, Config{Node: still})
	root, gone := w.Host("root"), w.Host("leaf1")
	everybody(t, w, "root", 7)
	var list [][]byte
	for b := range root.Node.Remember() {
		list = append(list, bytes.Clone(b))
	}
	root.Revoke(gone.ID())
	w.Run(time.Second)
	root.Kill()
	junk := append([][]byte{nil, {1}, list[0][:len(list[0])-1]}, list...)
	root.cfg.Remembered = slices.Values(junk)
	root.Start()
	if _, known := rows(root)[gone.ID()]; known {
		t.Error("a revoked key is remembered")
	}
	if n := len(rows(root)); n < 5 {
		t.Errorf("%d nodes are remembered", n)
	}
	w.Run(time.Minute)
	sound(t, w)
}
