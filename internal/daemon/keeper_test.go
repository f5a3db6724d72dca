// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"testing"
	"time"

	"staex/internal/host/hosttest"
	"staex/internal/overlay/node"
)

var errNoSpace = errors.New("no space left on device")

func TestWhatTheDiskRefusesIsTriedAgainUntilItStands(t *testing.T) {
	var disk hosttest.Disk
	d, err := disk.Open()
	if err != nil {
		t.Fatal(err)
	}
	disk.Fail(errNoSpace)
	k := newKeeper(d)
	if k.due() != node.Never {
		t.Error("a keeper without values wants to be called")
	}
	err = k.put(time.Minute, []node.Record{
		{Name: "a", Data: []byte("1")}, {Name: "b", Data: []byte("2")},
	})
	if !errors.Is(err, errNoSpace) || k.due() != time.Minute+retryStore {
		t.Fatalf("error %v, due at %v", err, k.due())
	}
	if err := k.put(time.Minute, nil); err != nil {
		t.Errorf("tried again before its time: %v", err)
	}
	disk.Fail(nil)
	// The newer value of a name replaces the one that waits.
	err = k.put(2*time.Minute, []node.Record{{Name: "a", Data: []byte("3")}, {Name: "b"}})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := d.Get("a"); err != nil || string(got) != "3" {
		t.Errorf("a is %q, %v", got, err)
	}
	if _, err := d.Get("b"); err == nil {
		t.Error("b was not removed")
	}
	if k.due() != node.Never {
		t.Error("something still waits")
	}
}
