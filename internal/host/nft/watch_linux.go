// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

const (
	// removed is the message about a table that is gone (linux/netfilter/nf_tables.h).
	removed = unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_DELTABLE

	watchBuffer = 8192
)

// Watch hears from the kernel when a table is removed, as by a firewall that begins with
// "flush ruleset". One goroutine at a time may wait; Close may be called by any.
type Watch struct{ file *os.File }

// NewWatch begins to listen. It takes the right to change rules.
func NewWatch() (*Watch, error) {
	const kind = unix.SOCK_RAW | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK
	fd, err := unix.Socket(unix.AF_NETLINK, kind, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, fmt.Errorf("nft: watch: %w", err)
	}
	// The filter stands before the first message may come: other programs change rules and sets
	// all day long.
	filter := watchFilter()
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	err = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program)
	if err == nil {
		const groups = 1 << (unix.NFNLGRP_NFTABLES - 1)
		err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("nft: watch: %w", err), unix.Close(fd))
	}
	return &Watch{os.NewFile(uintptr(fd), "nfnetlink")}, nil
}

// watchFilter keeps away what changes elements of sets, as programs that ban addresses do. The
// messages of one transaction come as one, of which a filter sees the first. It reads big endian,
// netlink writes as the machine does.
func watchFilter() []unix.SockFilter {
	const kind = 4
	is := func(message uint16, yes, no uint8) unix.SockFilter {
		var b [2]byte
		binary.NativeEndian.PutUint16(b[:], unix.NFNL_SUBSYS_NFTABLES<<8|message)
		return unix.SockFilter{
			Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: yes, Jf: no,
			K: uint32(binary.BigEndian.Uint16(b[:])),
		}
	}
	return []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: kind},
		is(unix.NFT_MSG_NEWSETELEM, 2, 0),
		is(unix.NFT_MSG_DELSETELEM, 1, 0),
		{Code: unix.BPF_RET | unix.BPF_K, K: watchBuffer},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	}
}

// Wait waits until some table was removed, perhaps ours, and perhaps by ourselves. The error
// satisfies errors.Is(err, os.ErrClosed) when the watch was closed.
func (w *Watch) Wait() error {
	buf := make([]byte, watchBuffer)
	for {
		n, err := w.file.Read(buf)
		switch {
		case errors.Is(err, unix.ENOBUFS):
			return nil // too much happened to be told
		case err != nil:
			return fmt.Errorf("nft: watch: %w", err)
		case n == len(buf) || tellsRemoval(buf[:n]):
			return nil
		}
	}
}

// tellsRemoval looks for the removal of a table among messages.
func tellsRemoval(b []byte) bool {
	messages, err := syscall.ParseNetlinkMessage(b)
	if err != nil {
		return true // cut: better look
	}
	return slices.ContainsFunc(messages, func(m syscall.NetlinkMessage) bool {
		return m.Header.Type == removed
	})
}

// Close ends the watch and whoever waits for it.
func (w *Watch) Close() error {
	if err := w.file.Close(); err != nil {
		return fmt.Errorf("nft: watch: %w", err)
	}
	return nil
}

// Mend makes the table again if somebody removed it, and tells whether it had to.
func (n *NAT) Mend() (mended bool, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return false, nil
	}
	conn, err := nftables.New()
	if err != nil {
		return false, fmt.Errorf("nft: look for table %s: %w", n.name, err)
	}
	all, err := conn.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return false, fmt.Errorf("nft: look for table %s: %w", n.name, err)
	}
	for _, t := range all {
		if t.Name == n.name {
			return false, nil
		}
	}
	if err := n.replace(n.plan); err != nil {
		return false, err
	}
	return true, nil
}
