// SPDX-License-Identifier: Apache-2.0

package uptime_test

import (
	"errors"
	"os"
	"testing"
	"time"

	"staex/internal/host/hosttest"
	"staex/internal/host/uptime"
)

func TestTheClocksBehaveLikeTheirTwin(t *testing.T) {
	hosttest.TestClock(t, uptime.Now)
}

func TestTheWallClockIsTheSystems(t *testing.T) {
	before := time.Now()
	_, wall, _ := uptime.Now()
	after := time.Now()
	if wall.Before(before.Round(0)) || wall.After(after.Round(0)) {
		t.Errorf("%v is not between %v and %v", wall, before, after)
	}
}

func TestUpIsTheSameClock(t *testing.T) {
	before, _, _ := uptime.Now()
	up := uptime.Up()
	if after, _, _ := uptime.Now(); up < before || up > after {
		t.Errorf("%v is not between %v and %v", up, before, after)
	}
}

func TestReadingTheClocksDoesNotAllocate(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { uptime.Now() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestClosingEndsWaitingForAJump(t *testing.T) {
	j, err := uptime.NewJumps()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- j.Wait() }()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, os.ErrClosed) {
		t.Errorf("got %v, want ErrClosed: the clock of this machine should not have jumped", err)
	}
}
