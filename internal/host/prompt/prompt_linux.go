// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package prompt makes the system calls of the fast path: those that never wait, because their
// descriptors are non-blocking. It decides nothing about what they carry.
//
// A system call made in the usual way tells Go's scheduler that its thread may be away for long.
// In a program that was asleep this wakes the scheduler's monitor, a thread of its own that then
// looks around every 20 microseconds until the program sleeps again: one packet costs two to four
// switches of threads more than it has to, before it is read at all. A call that returns at once
// has nothing to tell.
//
// The monitor has a purpose, though: it takes a processor away from a goroutine that never rests.
// So a loop that reads keeps a [Run], and tells the scheduler when it has not waited for long.
package prompt

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// runLength is how many calls in a row a loop may make without waiting until the scheduler is told:
// a few milliseconds at most, less than the monitor itself gives a goroutine.
const runLength = 32

// Run counts the calls of one reading loop since it last waited.
type Run struct{ calls int }

// Waits notes that the loop is about to wait, which the scheduler sees by itself.
func (r *Run) Waits() { r.calls = 0 }

// long tells whether it is time to tell the scheduler.
func (r *Run) long() bool {
	r.calls++
	if r.calls < runLength {
		return false
	}
	r.calls = 0
	return true
}

// Read is read(2) of a non-blocking descriptor. It returns 0 bytes with an error.
func (r *Run) Read(fd uintptr, b []byte) (int, syscall.Errno) {
	p, size := unsafe.Pointer(unsafe.SliceData(b)), uintptr(len(b))
	if r.long() {
		n, _, e := unix.Syscall(unix.SYS_READ, fd, uintptr(p), size)
		return count(n, e)
	}
	n, _, e := unix.RawSyscall(unix.SYS_READ, fd, uintptr(p), size)
	return count(n, e)
}

// Recvmsg is recvmsg(2) of a non-blocking socket. It returns 0 bytes with an error.
func (r *Run) Recvmsg(fd uintptr, m *unix.Msghdr) (int, syscall.Errno) {
	if r.long() {
		n, _, e := unix.Syscall(unix.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(m)), 0)
		return count(n, e)
	}
	n, _, e := unix.RawSyscall(unix.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(m)), 0)
	return count(n, e)
}

// Sendmsg is sendmsg(2) of a non-blocking socket.
func Sendmsg(fd uintptr, m *unix.Msghdr) syscall.Errno {
	_, _, e := unix.RawSyscall(unix.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(m)), 0)
	return e
}

// Write is write(2) of a non-blocking descriptor. It returns 0 bytes with an error.
func Write(fd uintptr, b []byte) (int, syscall.Errno) {
	p := unsafe.Pointer(unsafe.SliceData(b))
	n, _, e := unix.RawSyscall(unix.SYS_WRITE, fd, uintptr(p), uintptr(len(b)))
	return count(n, e)
}

// Unsent asks a socket how much memory the kernel holds for what it has not sent (SIOCOUTQ).
func Unsent(fd uintptr, bytes *int32) syscall.Errno {
	_, _, e := unix.RawSyscall(unix.SYS_IOCTL, fd, unix.SIOCOUTQ, uintptr(unsafe.Pointer(bytes)))
	return e
}

// ClockGettime is clock_gettime(2).
func ClockGettime(clock int32, ts *unix.Timespec) syscall.Errno {
	_, _, e := unix.RawSyscall(unix.SYS_CLOCK_GETTIME, uintptr(clock),
		uintptr(unsafe.Pointer(ts)), 0)
	return e
}

// TimerfdSettime is timerfd_settime(2) without flags.
func TimerfdSettime(fd uintptr, spec *unix.ItimerSpec) syscall.Errno {
	_, _, e := unix.RawSyscall6(unix.SYS_TIMERFD_SETTIME, fd, 0,
		uintptr(unsafe.Pointer(spec)), 0, 0, 0)
	return e
}

func count(n uintptr, e syscall.Errno) (int, syscall.Errno) {
	if e != 0 {
		return 0, e
	}
	return int(n), 0
}
