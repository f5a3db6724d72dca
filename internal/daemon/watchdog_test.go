// SPDX-License-Identifier: Apache-2.0

//go:build linux

package daemon_test

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestTheServiceManagerHearsThatTheDaemonIsReadyAndGoesOnWorking(t *testing.T) {
	needDevices(t)
	dir, err := os.MkdirTemp("", "notify")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "sock")
	manager, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "20000")

	r := newSite(t, newNetwork(t), alone(1)...).start(t)
	heard := map[string]int{}
	hear := func() {
		t.Helper()
		b := make([]byte, 4096)
		if err := manager.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		n, _, err := manager.ReadFrom(b)
		if err != nil {
			t.Fatalf("heard %v, then %v", heard, err)
		}
		heard[string(b[:n])]++
	}
	for heard["READY=1"] == 0 || heard["WATCHDOG=1"] < 3 {
		hear()
	}
	r.end(t)
	for heard["STOPPING=1"] == 0 {
		hear()
	}
	if heard["READY=1"] != 1 {
		t.Errorf("heard %v", heard)
	}
}
