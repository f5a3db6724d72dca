// SPDX-License-Identifier: Apache-2.0

package notify_test

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"staex/internal/host/notify"
)

func TestTheServiceManagerIsTold(t *testing.T) {
	paths := map[string]string{"a file": filepath.Join(t.TempDir(), "n")}
	if runtime.GOOS == "linux" {
		paths["an abstract address"] = "@staex-notify-test-" + strconv.Itoa(os.Getpid())
	}
	for name, path := range paths {
		t.Run(name, func(t *testing.T) {
			c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
			if err != nil {
				t.Skipf("no datagram sockets of this kind (%v); run this test on Linux", err)
			}
			defer c.Close()
			if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			t.Setenv("NOTIFY_SOCKET", path)
			for _, tc := range []struct {
				call func() error
				want string
			}{
				{notify.Ready, "READY=1"},
				{func() error { return notify.Status("a\nREADY=1") }, "STATUS=a READY=1"},
				{notify.Watchdog, "WATCHDOG=1"},
				{notify.Stopping, "STOPPING=1"},
			} {
				if err := tc.call(); err != nil {
					t.Fatal(err)
				}
				buf := make([]byte, notify.MaxState)
				n, err := c.Read(buf)
				if err != nil || string(buf[:n]) != tc.want {
					t.Errorf("told %q (%v), want %q", buf[:n], err, tc.want)
				}
			}
		})
	}
}

func TestWithoutAServiceManagerNothingHappens(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if err := notify.Ready(); err != nil {
		t.Error(err)
	}
}

func TestAServiceManagerThatIsGoneIsAnError(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "gone"))
	if notify.Ready() == nil {
		t.Error("nobody was told and nobody knows")
	}
}

func TestTheWatchdogIsFedTwiceAsOftenAsNeeded(t *testing.T) {
	self := strconv.Itoa(os.Getpid())
	for _, tc := range []struct {
		micros, pid string
		want        time.Duration
	}{
		{"", "", 0},
		{"30000000", "", 15 * time.Second},
		{"30000000", self, 15 * time.Second},
		{"30000000", self + "0", 0},
		{"0", "", 0},
		{"-5", "", 0},
		{"x", "", 0},
		{"9223372036854775807", "", 0},
	} {
		t.Setenv("WATCHDOG_USEC", tc.micros)
		t.Setenv("WATCHDOG_PID", tc.pid)
		if got, ok := notify.WatchdogInterval(); got != tc.want || ok != (tc.want > 0) {
			t.Errorf("%q, pid %q: %v %v, want %v", tc.micros, tc.pid, got, ok, tc.want)
		}
	}
}
