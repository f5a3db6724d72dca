// SPDX-License-Identifier: Apache-2.0

//go:build linux

package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"staex/internal/daemon"
)

const (
	// insideEnv tells the second start of this program that it is alone in its network.
	insideEnv = "STAEX_DAEMON_TEST_INSIDE"
	// runEnv names a directory to run a daemon on instead of the tests.
	runEnv = "STAEX_DAEMON_TEST_RUN"
)

// TestMain runs the tests in a network namespace of their own, so that they may open devices and
// change routes and filters. Where there can be none, tests that need it skip.
func TestMain(m *testing.M) {
	if dir := os.Getenv(runEnv); dir != "" {
		os.Exit(exitOf(daemon.Run(context.Background(), daemon.Options{Dir: dir, Log: os.Stderr})))
	}
	if os.Getenv(insideEnv) == "" {
		if code, err := runInside(); err == nil {
			os.Exit(code)
		}
		os.Exit(m.Run())
	}
	if err := loopbackUp(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// exitOf is what mccd would end with.
func exitOf(err error) int {
	if f, ok := errors.AsType[*daemon.Failure](err); ok {
		fmt.Fprintln(os.Stderr, f.Message)
		return f.Exit
	}
	if err != nil {
		return daemon.ExitFailed
	}
	return 0
}

// runInside starts this program again in a new network namespace. The error means that it could
// not be started there.
func runInside() (int, error) {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), insideEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: unix.SIGKILL}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	if err := cmd.Wait(); err != nil && cmd.ProcessState == nil {
		return 0, err
	}
	return cmd.ProcessState.ExitCode(), nil
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

// needDevices skips the test where no device can be made.
func needDevices(t *testing.T) {
	t.Helper()
	if os.Getenv(insideEnv) == "" {
		t.Skip("SKIPPED: needs a network namespace; type: sudo -E go test ./internal/daemon")
	}
	f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("SKIPPED: needs TUN devices: %v; type: sudo chmod 666 /dev/net/tun", err)
	}
	f.Close()
	if _, err := net.InterfaceByName("lo"); err != nil {
		t.Fatal(err)
	}
}
