// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netif

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// watchBuffer holds any message about a link; larger ones than the kernel's page are cut, which
// hurts nobody here.
const watchBuffer = 8192

// Watch hears from the kernel what happens to a device or to the machine's ways out
// (rtnetlink(7)). One goroutine at a time may wait; Close may be called by any.
type Watch struct {
	file  *os.File
	index uint32 // of the device; 0 for a watch of ways
}

// NewWatch begins to watch a device: it hears when somebody changes it or takes something from it.
func NewWatch(device string) (*Watch, error) {
	w, err := newWatch(func(w *Watch) error { return w.Follow(device) })
	if err != nil {
		return nil, fmt.Errorf("netif: watch %s: %w", device, err)
	}
	return w, nil
}

// NewWayWatch begins to watch what WayTo depends on in most machines: addresses, default routes,
// and devices that come up or lose their cable.
func NewWayWatch() (*Watch, error) {
	w, err := newWatch(func(w *Watch) error { return w.attach(wayFilter()) })
	if err != nil {
		return nil, fmt.Errorf("netif: watch the ways out: %w", err)
	}
	return w, nil
}

// newWatch opens a watch. The filter stands before the first message may come.
func newWatch(filter func(w *Watch) error) (*Watch, error) {
	const kind = unix.SOCK_RAW | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK
	fd, err := unix.Socket(unix.AF_NETLINK, kind, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	w := &Watch{file: os.NewFile(uintptr(fd), "rtnetlink")}
	if err = filter(w); err == nil {
		const groups = unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR |
			unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_ROUTE
		err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups})
	}
	if err != nil {
		return nil, errors.Join(err, w.file.Close())
	}
	return w, nil
}

// Follow makes the watch one of another device, such as the successor of one that was deleted.
func (w *Watch) Follow(device string) error {
	err := withKernel(func(k *rtnl) error {
		dev, err := k.deviceNamed(device)
		if err == nil {
			w.index = dev.index
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("netif: find device %s: %w", device, err)
	}
	if err := w.attach(watchFilter(w.index)); err != nil {
		return fmt.Errorf("netif: watch %s: %w", device, err)
	}
	return nil
}

// attach gives the kernel the filter of the watch, in place of an earlier one.
func (w *Watch) attach(filter []unix.SockFilter) error {
	raw, err := w.file.SyscallConn()
	if err != nil {
		return err
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program)
	})
	return errors.Join(err, failed)
}

// What the filters are made of.
const (
	loadHalf = unix.BPF_LD | unix.BPF_H | unix.BPF_ABS
	loadWord = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
	loadByte = unix.BPF_LD | unix.BPF_B | unix.BPF_ABS
	ifEqual  = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	give     = unix.BPF_RET | unix.BPF_K

	atKind     = 4  // of a message
	atPrefix   = 17 // length of the destination, in a message about a route
	atIndex    = 20 // of the device, in a message about a link or an address
	messageAll = watchBuffer
)

// watchFilter lets pass what may be about the device, so that nothing else on a busy machine wakes
// this process. A message about a route has the device in an attribute, out of a filter's reach.
func watchFilter(index uint32) []unix.SockFilter {
	return []unix.SockFilter{
		{Code: loadHalf, K: atKind},
		{Code: ifEqual, K: big16(unix.RTM_DELROUTE), Jt: 5},
		{Code: ifEqual, K: big16(unix.RTM_NEWLINK), Jt: 2},
		{Code: ifEqual, K: big16(unix.RTM_DELLINK), Jt: 1},
		{Code: ifEqual, K: big16(unix.RTM_DELADDR), Jf: 3},
		{Code: loadWord, K: atIndex},
		{Code: ifEqual, K: big32(index), Jf: 1},
		{Code: give, K: messageAll},
		{Code: give, K: 0},
	}
}

// wayFilter lets pass default routes only: a router may learn thousands of others a minute.
func wayFilter() []unix.SockFilter {
	return []unix.SockFilter{
		{Code: loadHalf, K: atKind},
		{Code: ifEqual, K: big16(unix.RTM_NEWADDR), Jt: 6},
		{Code: ifEqual, K: big16(unix.RTM_DELADDR), Jt: 5},
		{Code: ifEqual, K: big16(unix.RTM_NEWLINK), Jt: 4},
		{Code: ifEqual, K: big16(unix.RTM_NEWROUTE), Jt: 1},
		{Code: ifEqual, K: big16(unix.RTM_DELROUTE), Jf: 3},
		{Code: loadByte, K: atPrefix},
		{Code: ifEqual, K: 0, Jf: 1},
		{Code: give, K: messageAll},
		{Code: give, K: 0},
	}
}

// A filter reads big endian; netlink writes as the machine does.
func big16(v uint16) uint32 {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], v)
	return uint32(binary.BigEndian.Uint16(b[:]))
}

func big32(v uint32) uint32 {
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], v)
	return binary.BigEndian.Uint32(b[:])
}

// Wait returns true when something may have happened to the device, false after the limit; a limit
// of 0 is none. The error satisfies errors.Is(err, os.ErrClosed) when the watch was closed.
func (w *Watch) Wait(limit time.Duration) (bool, error) {
	var deadline time.Time
	if limit > 0 {
		deadline = time.Now().Add(limit)
	}
	if err := w.file.SetReadDeadline(deadline); err != nil {
		// The poller's own error has no exported name and one meaning.
		return false, fmt.Errorf("netif: watch: %w", os.ErrClosed)
	}
	buf := make([]byte, watchBuffer)
	for {
		n, err := w.file.Read(buf)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return false, nil
		case errors.Is(err, unix.ENOBUFS):
			return true, nil // too much happened to be told
		case err != nil:
			return false, fmt.Errorf("netif: watch: %w", err)
		case w.concerns(buf[:n]):
			return true, nil
		}
	}
}

// concerns sorts out routes of other devices.
func (w *Watch) concerns(b []byte) bool {
	if w.index == 0 {
		return true // the filter let it pass
	}
	messages, err := syscall.ParseNetlinkMessage(b)
	if err != nil {
		return true // cut: better look
	}
	for _, m := range messages {
		if m.Header.Type != unix.RTM_DELROUTE {
			return true
		}
		e, err := parseEntry(m)
		if err != nil || slices.Contains(e.devices, w.index) {
			return true
		}
	}
	return false
}

// Close ends the watch and whoever waits for it.
func (w *Watch) Close() error {
	if err := w.file.Close(); err != nil {
		return fmt.Errorf("netif: watch: %w", err)
	}
	return nil
}
