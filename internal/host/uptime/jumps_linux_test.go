// SPDX-License-Identifier: Apache-2.0

//go:build linux && !staex_clock

package uptime_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"staex/internal/host/uptime"
)

// Nobody may set the clock of the machine for a test. That the kernel was asked the right thing
// can be seen all the same (proc(5), fdinfo).
func TestTheKernelIsAskedToTellOfJumpsOfTheWallClock(t *testing.T) {
	j, err := uptime.NewJumps()
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	all, err := filepath.Glob("/proc/self/fdinfo/*")
	if err != nil {
		t.Fatal(err)
	}
	const realtime, absoluteAndCancelled = "clockid: 0\n", "settime flags: 03\n"
	for _, path := range all {
		text, _ := os.ReadFile(path) // some are closed by now
		if s := string(text); strings.Contains(s, realtime) &&
			strings.Contains(s, absoluteAndCancelled) {
			return
		}
	}
	t.Error("no descriptor of this process is a timer that is cancelled when the clock is set")
}
