// SPDX-License-Identifier: Apache-2.0

package hosttest_test

import (
	"errors"
	"testing"

	"staex/internal/host/hosttest"
)

func TestTheStoreTwinPassesTheSuite(t *testing.T) {
	hosttest.TestStore(t, func(*testing.T) hosttest.StoreHost {
		var d hosttest.Disk
		return hosttest.StoreHost{
			Locked: hosttest.ErrLocked,
			Open:   func() (hosttest.StoreDevice, error) { return d.Open() },
		}
	})
}

func TestACrashLeavesTheDiskToTheNext(t *testing.T) {
	var d hosttest.Disk
	dead, err := d.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := dead.Put("a", []byte("x")); err != nil {
		t.Fatal(err)
	}
	d.Crash()
	alive, err := d.Open()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := alive.Get("a"); err != nil || string(got) != "x" {
		t.Errorf("after the crash the disk holds %q (%v)", got, err)
	}
	if dead.Put("a", nil) == nil {
		t.Error("a dead process wrote")
	}
	full := errors.New("no space left")
	d.Fail(full)
	if err := alive.Put("b", nil); !errors.Is(err, full) {
		t.Errorf("a full disk said %v", err)
	}
	d.Fail(nil)
	if err := alive.Put("b", nil); err != nil {
		t.Error(err)
	}
}
