// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// relay passes what comes from either neighbour on to the other as it came, batch by batch: one
// call to receive it and one to send it, in one thread that the kernel itself wakes. A relay that
// is a program cannot do with less.
func relay(listen, left, right netip.AddrPort) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	for _, option := range []int{unix.SO_RCVBUFFORCE, unix.SO_SNDBUFFORCE} {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, bufferBytes) // else as it is
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO, 1); err != nil {
		return err
	}
	if err := unix.Bind(fd, ipv4(listen)); err != nil {
		return fmt.Errorf("listen at %s: %w", listen, err)
	}
	to := map[[4]byte]unix.Sockaddr{
		left.Addr().As4(): ipv4(right), right.Addr().As4(): ipv4(left),
	}
	batch, control := make([]byte, room), make([]byte, 64)
	for {
		n, k, _, from, err := unix.Recvmsg(fd, batch, control, 0)
		if err != nil {
			continue // a neighbour is not there yet
		}
		cut := []byte(nil)
		if k >= unix.CmsgLen(2) {
			cut = segmented(int(binary.NativeEndian.Uint16(control[unix.CmsgLen(0):])))
		}
		if a, ok := from.(*unix.SockaddrInet4); ok && to[a.Addr] != nil {
			_ = unix.Sendmsg(fd, batch[:n], cut, to[a.Addr], 0) // lost is lost
		}
	}
}

func ipv4(a netip.AddrPort) unix.Sockaddr {
	return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
}
