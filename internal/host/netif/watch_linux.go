// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netif

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// watchBuffer holds any message about a link; larger ones than the kernel's page are cut, which
// hurts nobody here.
const watchBuffer = 8192

// Watch hears from the kernel when somebody changes a device or takes something from it
// (rtnetlink(7)). One goroutine at a time may wait; Close may be called by any.
type Watch struct {
	file  *os.File
	index uint32
}

// NewWatch begins to watch a device.
func NewWatch(device string) (*Watch, error) {
	const kind = unix.SOCK_RAW | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK
	fd, err := unix.Socket(unix.AF_NETLINK, kind, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("netif: watch %s: %w", device, err)
	}
	w := &Watch{file: os.NewFile(uintptr(fd), "rtnetlink")}
	// The filter stands before the first message may come.
	err = w.Follow(device)
	if err == nil {
		const groups = unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR |
			unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_ROUTE
		err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("netif: watch %s: %w", device, err), w.file.Close())
	}
	return w, nil
}

// Follow makes the watch one of another device, such as the successor of one that was deleted.
func (w *Watch) Follow(device string) error {
	link, err := netlink.LinkByName(device)
	if err != nil {
		return fmt.Errorf("netif: find device %s: %w", device, err)
	}
	w.index = uint32(link.Attrs().Index)
	raw, err := w.file.SyscallConn()
	if err != nil {
		return fmt.Errorf("netif: watch %s: %w", device, err)
	}
	filter := watchFilter(w.index)
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program)
	})
	if err = errors.Join(err, failed); err != nil {
		return fmt.Errorf("netif: watch %s: %w", device, err)
	}
	return nil
}

// watchFilter lets pass what may be about the device, so that nothing else on a busy machine wakes
// this process. Messages about a link or an address have its number at offset 20; one about a
// route has it in an attribute, out of a filter's reach.
func watchFilter(index uint32) []unix.SockFilter {
	const (
		half  = unix.BPF_LD | unix.BPF_H | unix.BPF_ABS
		word  = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		give  = unix.BPF_RET | unix.BPF_K
		kind  = 4
		whose = 20
	)
	// A filter reads big endian, netlink writes as the machine does.
	var b [4]byte
	short := func(v uint16) uint32 {
		binary.NativeEndian.PutUint16(b[:], v)
		return uint32(binary.BigEndian.Uint16(b[:]))
	}
	binary.NativeEndian.PutUint32(b[:], index)
	number := binary.BigEndian.Uint32(b[:])
	return []unix.SockFilter{
		{Code: half, K: kind},
		{Code: equal, K: short(unix.RTM_DELROUTE), Jt: 5},
		{Code: equal, K: short(unix.RTM_NEWLINK), Jt: 2},
		{Code: equal, K: short(unix.RTM_DELLINK), Jt: 1},
		{Code: equal, K: short(unix.RTM_DELADDR), Jf: 3},
		{Code: word, K: whose},
		{Code: equal, K: number, Jf: 1},
		{Code: give, K: watchBuffer},
		{Code: give, K: 0},
	}
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
	messages, err := syscall.ParseNetlinkMessage(b)
	if err != nil {
		return true // cut: better look
	}
	for _, m := range messages {
		if m.Header.Type != unix.RTM_DELROUTE {
			return true
		}
		attrs, err := syscall.ParseNetlinkRouteAttr(&m)
		if err != nil {
			return true
		}
		for _, a := range attrs {
			if a.Attr.Type == unix.RTA_OIF && len(a.Value) == 4 &&
				binary.NativeEndian.Uint32(a.Value) == w.index {
				return true
			}
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
