// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hosttest

import (
	"errors"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// Namespace is a network of its own: no device but a loopback, no route, no rule. Nothing done in
// it touches the machine.
type Namespace struct{ file *os.File }

// NewNamespace makes a namespace that lasts until the test ends. It skips the test, and says so,
// when the process may not make one.
func NewNamespace(t testing.TB) *Namespace {
	t.Helper()
	home := currentNamespace(t)
	defer home.Close()
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EINVAL) {
			t.Skip("needs its own network namespace; type: sudo -E go test ./internal/host/...")
		}
		t.Fatal(err)
	}
	n := &Namespace{file: currentNamespace(t)}
	err := loopbackUp()
	// A thread that cannot go home stays locked, and dies with this goroutine.
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		t.Fatal(back)
	}
	runtime.UnlockOSThread()
	t.Cleanup(func() { _ = n.file.Close() })
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// FD returns the descriptor by which devices are moved into the namespace.
func (n *Namespace) FD() int { return int(n.file.Fd()) }

// Do runs fn with the calling thread inside the namespace. Sockets and devices opened by fn stay
// in it for good; goroutines started by fn do not. Calls may be nested.
func (n *Namespace) Do(t testing.TB, fn func()) {
	t.Helper()
	home := currentNamespace(t)
	defer home.Close()
	runtime.LockOSThread()
	if err := unix.Setns(n.FD(), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		t.Fatal(err)
	}
	defer func() {
		if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
	}()
	fn()
}

func currentNamespace(t testing.TB) *os.File {
	t.Helper()
	f, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req)
}
