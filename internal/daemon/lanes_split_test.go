// SPDX-License-Identifier: Apache-2.0

package daemon

import "testing"

func TestOnlyMachinesWithProcessorsToSpareHaveSeveralLanes(t *testing.T) {
	for _, c := range []struct {
		profile string
		procs   int
		want    int
	}{
		{"normal", 1, 1},
		{"normal", 2, 1},
		{"normal", 3, 1},
		{"normal", 4, 2},
		{"relay", 8, 4},
		{"relay", 128, 4},
		{"small", 8, 1},
	} {
		p := profileOf(c.profile, 0)
		if got := p.lanes(c.procs); got != c.want {
			t.Errorf("%s with %d processors has %d lanes, want %d", c.profile, c.procs, got, c.want)
		}
	}
}
