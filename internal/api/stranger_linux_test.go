// SPDX-License-Identifier: Apache-2.0

package api

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// dialAs connects as another user, unless that is below 0.
func dialAs(t *testing.T, user int, path string) *Client {
	t.Helper()
	if user < 0 {
		return dial(t, path)
	}
	for dir := filepath.Dir(path); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	dialled := make(chan *Client)
	go func() {
		defer close(dialled)
		runtime.LockOSThread() // which ends with the goroutine and its other user
		const same = ^uintptr(0)
		_, _, e := syscall.RawSyscall(syscall.SYS_SETRESUID, same, uintptr(user), same)
		if e != 0 {
			t.Error(e)
			return
		}
		c, err := Dial(path)
		if err != nil {
			t.Error(err)
			return
		}
		dialled <- c
	}()
	c, ok := <-dialled
	if !ok {
		t.FailNow()
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestAStrangerIsToldOnceAndHandlesNothing(t *testing.T) {
	own, nobody := uint32(os.Geteuid()), -1
	if own == 0 { // is never a stranger, so somebody else has to ask
		nobody = 65534
	}
	strange := Access{Own: own + 1, Readers: GroupID{1 << 30, true}}
	path := serve(t, strange, handle(func(Peer, Request) (any, error) {
		t.Error("the handler was called")
		return nil, nil
	}))
	c := dialAs(t, nobody, path)
	if err := c.Call(OpID, nil, nil); codeOf(err) != CodeNotPermitted {
		t.Errorf("got %v", err)
	}
	if err := c.Call(OpID, nil, nil); err == nil {
		t.Error("a second request was answered")
	}
}
