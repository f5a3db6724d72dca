// SPDX-License-Identifier: Apache-2.0

package udp

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// originICMP and originICMP6 say that a queued error was told by another machine
// (linux/errqueue.h).
const (
	originICMP  = 2
	originICMP6 = 3
	// errorHead is the size of struct sock_extended_err up to and with its origin, in bytes.
	errorHead = 5
	// maxErrors bounds the queued errors that one call consumes.
	maxErrors = 32
)

// reportErrors makes the kernel queue ICMP errors with the address they speak of.
func reportErrors(fd int, v4 bool) error {
	level, name := unix.IPPROTO_IP, unix.IP_RECVERR
	if !v4 {
		level, name = unix.IPPROTO_IPV6, unix.IPV6_RECVERR
	}
	if err := unix.SetsockoptInt(fd, level, name, 1); err != nil {
		return fmt.Errorf("udp: ask for ICMP errors: %w", err)
	}
	return nil
}

// drainErrors empties the socket's error queue and reports who can not be reached. What stays there
// takes room from the datagrams that arrive. It returns whether there was anything; of more than
// maxErrors the kernel tells with the next call.
func (c *Conn) drainErrors(fd uintptr) (drained bool) {
	if c.refused == nil {
		return false
	}
	var oob [256]byte
	for range maxErrors {
		_, n, _, from, err := unix.Recvmsg(int(fd), nil, oob[:],
			unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
		if err != nil {
			return drained
		}
		drained = true
		if addr, ok := addrPort(from); ok && toldByICMP(oob[:n]) {
			c.refused(addr)
		}
	}
	return drained
}

// toldByICMP reports whether a control message says that a machine on the way, or the receiver's,
// refused an earlier datagram.
func toldByICMP(oob []byte) bool {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return false
	}
	for _, m := range messages {
		v4 := m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_RECVERR
		v6 := m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_RECVERR
		if !v4 && !v6 || len(m.Data) < errorHead {
			continue
		}
		errno, origin := unix.Errno(binary.NativeEndian.Uint32(m.Data)), m.Data[4]
		switch errno {
		case unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENETUNREACH:
			return origin == originICMP || origin == originICMP6
		}
	}
	return false
}

func addrPort(sa unix.Sockaddr) (netip.AddrPort, bool) {
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)), true
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port)), true
	}
	return netip.AddrPort{}, false
}
