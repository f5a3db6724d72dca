// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"testing"
	"time"

	"staex/internal/overlay/session"
)

func TestASenderIsFastWhileItUsesManyCountersInTenSeconds(t *testing.T) {
	for _, c := range []struct {
		name  string
		batch int
		every time.Duration
		fast  bool
	}{
		{"eight hundred a second", 8, 10 * time.Millisecond, false},
		{"just enough", 819, time.Second, false},
		{"a thousand a second", 1000, time.Second, true},
		{"a gigabit", 40, 500 * time.Microsecond, true},
		{"nine a millisecond", 9, time.Millisecond, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := session.NewSender(key(1), session.ChaCha)
			now := 5 * time.Second
			fast := false
			for end := now + 3*time.Minute; now < end; now += c.every {
				s.Reserve(c.batch)
				fast = s.Fast(now)
			}
			if fast != c.fast {
				t.Errorf("fast: %v", fast)
			}
			s.Reserve(1)
			if s.Fast(now + 25*time.Second) {
				t.Error("still fast after a rest")
			}
		})
	}
}

func TestASenderThatSlowsDownIsFastForTenSecondsAtMost(t *testing.T) {
	s := session.NewSender(key(1), session.ChaCha)
	now := time.Hour
	for range 3000 {
		s.Reserve(10)
		s.Fast(now)
		now += 10 * time.Millisecond
	}
	begun := now
	for s.Fast(now) {
		s.Reserve(1)
		if now += 100 * time.Millisecond; now-begun > time.Minute {
			t.Fatal("fast for ever")
		}
	}
	if took := now - begun; took < time.Second || took > 10*time.Second {
		t.Errorf("fast for another %v", took)
	}
}
