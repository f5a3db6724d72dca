// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"testing"

	"staex/internal/host/memory"
)

func TestAProfileIsChosenByNameOrByTheMachine(t *testing.T) {
	for _, c := range []struct {
		name    string
		machine uint64
		want    string
	}{
		{"auto", 64 << 20, "small"},
		{"auto", smallMachine, "small"},
		{"auto", smallMachine + 1, "normal"},
		{"auto", 64 << 30, "normal"},
		{"auto", 0, "normal"},
		{"small", 64 << 30, "small"},
		{"normal", 64 << 20, "normal"},
		{"relay", 64 << 20, "relay"},
	} {
		if got := profileOf(c.name, c.machine).name; got != c.want {
			t.Errorf("%s with %d bytes is %s, want %s", c.name, c.machine, got, c.want)
		}
	}
	if m := memory.Machine(); m != 0 && m < 16<<20 {
		t.Errorf("this machine has %d bytes", m)
	}
}

func TestALargerProfileIsLargerInEverything(t *testing.T) {
	for i := range len(profiles) - 1 {
		a, b := profiles[i], profiles[i+1]
		if a.collectAt >= b.collectAt || a.socketBytes >= b.socketBytes ||
			a.labelBits >= b.labelBits || a.parcels >= b.parcels || a.packets >= b.packets ||
			a.records >= b.records {
			t.Errorf("%s is not smaller than %s", a.name, b.name)
		}
	}
}
