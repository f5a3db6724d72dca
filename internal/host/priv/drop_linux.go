// SPDX-License-Identifier: Apache-2.0

//go:build linux

package priv

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Rights belong to threads, and a goroutine may run on any. syscall.AllThreadsSyscall makes a call
// on every thread, but takes its arguments as numbers: the pointers in setCapabilities are the one
// use of package unsafe here. They lead to local variables that outlive the call.

// Become makes the process, with all its threads, an account with only its group and with only the
// capabilities to keep, and forbids it and its children to gain any by executing a file
// (no_new_privs). Files and sockets that are open stay open.
//
// It needs what MayBecome looks for and a program built without cgo, else the error satisfies
// errors.Is(err, os.ErrPermission) or errors.Is(err, errors.ErrUnsupported). After an error the
// process has an undefined part of its rights and should end.
func Become(who Account, keep ...Capability) error {
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"limit what children may gain", func() error { return limitChildren(keep) }},
		{"keep capabilities", func() error { return prctl(unix.PR_SET_KEEPCAPS, 1) }},
		{"leave groups", func() error { return syscall.Setgroups([]int{who.GID}) }},
		{"change group", func() error { return syscall.Setresgid(who.GID, who.GID, who.GID) }},
		{"change user", func() error { return syscall.Setresuid(who.UID, who.UID, who.UID) }},
		{"give up capabilities", func() error { return setCapabilities(keep) }},
		{"forbid new rights", func() error { return prctl(unix.PR_SET_NO_NEW_PRIVS, 1) }},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("priv: become user %d: %s: %w", who.UID, step.name, err)
		}
	}
	return nil
}

// limitChildren empties the bounding set but for what is kept.
func limitChildren(keep []Capability) error {
	kept := mask(keep)
	for c := range unix.CAP_LAST_CAP + 1 {
		if kept&(1<<c) != 0 {
			continue
		}
		// Kernels older than the newest capability answer EINVAL and need nothing dropped.
		err := prctl(unix.PR_CAPBSET_DROP, uintptr(c))
		if err != nil && !errors.Is(err, unix.EINVAL) {
			return err
		}
	}
	return nil
}

// setCapabilities makes the permitted and effective sets exactly those to keep.
func setCapabilities(keep []Capability) error {
	kept := mask(keep)
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData // low and high half of the bits
	for i := range data {
		half := uint32(kept >> (32 * i))
		data[i] = unix.CapUserData{Effective: half, Permitted: half}
	}
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET,
		uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data)), 0)
	return result(errno)
}

func mask(all []Capability) (bits uint64) {
	for _, c := range all {
		bits |= 1 << c
	}
	return bits
}

// prctl makes the call on every thread.
func prctl(option, value uintptr) error {
	// The options used here demand zeros in the arguments after the second.
	_, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, option, value, 0, 0, 0, 0)
	return result(errno)
}

func result(errno syscall.Errno) error {
	if errno != 0 {
		return errno
	}
	return nil
}
