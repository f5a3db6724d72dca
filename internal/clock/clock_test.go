// SPDX-License-Identifier: Apache-2.0

package clock_test

import (
	"testing"
	"time"

	"staex/internal/clock"
)

func TestOnlyAKnownSynchronisedClockMayJudgeCertificates(t *testing.T) {
	date := time.Date(2026, 5, 1, 12, 0, 0, 999, time.UTC)
	tests := []struct {
		name    string
		reading clock.Reading
		seconds uint32
		ok      bool
	}{
		{"synchronised", clock.Reading{Wall: date, Synced: true}, 1777636800, true},
		{"not synchronised", clock.Reading{Wall: date}, 0, false},
		{"date unknown", clock.Reading{Up: time.Hour, Synced: true}, 0, false},
		{"before 1970", clock.Reading{Wall: time.Unix(-1, 0), Synced: true}, 0, false},
		{"at 1970", clock.Reading{Wall: time.Unix(0, 0), Synced: true}, 0, false},
		{"last second", clock.Reading{Wall: time.Unix(1<<32-1, 0), Synced: true}, 1<<32 - 1, true},
		{"after 2106", clock.Reading{Wall: time.Unix(1<<32, 0), Synced: true}, 0, false},
	}
	for _, tt := range tests {
		seconds, ok := tt.reading.Seconds()
		if seconds != tt.seconds || ok != tt.ok {
			t.Errorf("%s: Seconds() = %d, %v; want %d, %v", tt.name, seconds, ok, tt.seconds, tt.ok)
		}
	}
}
