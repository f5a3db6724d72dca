// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"testing"
	"time"
)

func TestMemoryIsGivenBackOnceAfterABurstAndNotWhileItLasts(t *testing.T) {
	const s = time.Second
	var r rest
	for _, step := range []struct {
		at, worked time.Duration
		gives      bool
	}{
		{at: 10 * s, worked: 9 * s, gives: false},  // the burst goes on
		{at: 14 * s, worked: 9 * s, gives: true},   // it is over
		{at: 60 * s, worked: 9 * s, gives: false},  // nothing since
		{at: 90 * s, worked: 80 * s, gives: false}, // too soon after the last time
		{at: 400 * s, worked: 80 * s, gives: true},
	} {
		r.worked = step.worked
		before := r.gave
		if err := r.look(step.at); err != nil {
			t.Fatal(err)
		}
		if gave := r.gave != before; gave != step.gives {
			t.Errorf("at %v, after work at %v: gave back %v", step.at, step.worked, gave)
		}
	}
}
