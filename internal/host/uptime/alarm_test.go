// SPDX-License-Identifier: Apache-2.0

package uptime_test

import (
	"errors"
	"os"
	"testing"
	"time"

	"staex/internal/host/uptime"
)

func TestAnAlarmWakesWhoWaitsAndTheNewestDeadlineHolds(t *testing.T) {
	a, err := uptime.NewAlarm()
	if err != nil {
		t.Fatal(err)
	}
	woken := make(chan error)
	go func() {
		for {
			err := a.Wait()
			woken <- err
			if err != nil {
				return
			}
		}
	}()
	began := uptime.Up()
	for _, deadlines := range [][]time.Duration{
		{0}, {-time.Second}, {time.Hour, 20 * time.Millisecond},
	} {
		for _, d := range deadlines {
			if err := a.Set(d); err != nil {
				t.Fatal(err)
			}
		}
		if err := <-woken; err != nil {
			t.Fatal(err)
		}
	}
	if took := uptime.Up() - began; took < 20*time.Millisecond {
		t.Errorf("the last deadline came after %v", took)
	}
	if err := errors.Join(a.Set(time.Hour), a.Off(), a.Close()); err != nil {
		t.Error(err)
	}
	if err := <-woken; !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}
