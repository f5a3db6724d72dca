// SPDX-License-Identifier: Apache-2.0

package udp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// socket is a non-blocking UDP socket that the runtime's poller watches for reading only.
//
// The poller asks for both directions, and a socket is ready for more after every datagram that
// has left: each send would wake a sleeping program once again, for nothing. So the poller watches
// a set of its own in place of the socket (epoll(7)), and the set asks for reading.
type socket struct {
	fd  int
	set *os.File
	raw syscall.RawConn // of the set
}

// room is how long in milliseconds a writer waits for room before it looks whether the socket has
// been closed.
const room = 100

// openSocket makes a socket of one family, lets setup prepare it, and binds it.
func openSocket(addr netip.AddrPort, setup func(fd int) error) (*socket, error) {
	family := unix.AF_INET6
	if addr.Addr().Is4() {
		family = unix.AF_INET
	}
	const kind = unix.SOCK_DGRAM | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK
	fd, err := unix.Socket(family, kind, 0)
	if err != nil {
		return nil, fmt.Errorf("make a socket: %w", err)
	}
	s := &socket{fd: fd}
	if err = setup(fd); err == nil {
		err = bind(fd, addr)
	}
	if err == nil {
		err = s.watch()
	}
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return s, nil
}

// bind gives the socket its address. One of IPv6 never takes what is meant for IPv4.
func bind(fd int, addr netip.AddrPort) error {
	family, at, err := sockaddr(addr)
	if err != nil {
		return err
	}
	if family == unix.AF_INET6 {
		err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
		if err != nil {
			return fmt.Errorf("keep to IPv6: %w", err)
		}
	}
	if err := unix.Bind(fd, at); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	return nil
}

// sockaddr is an address as system calls take it.
func sockaddr(a netip.AddrPort) (family int, sa unix.Sockaddr, err error) {
	if a.Addr().Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}, nil
	}
	zone, err := scope(a.Addr().Zone())
	sa = &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16(), ZoneId: zone}
	return unix.AF_INET6, sa, err
}

// watch hands the socket to the poller.
func (s *socket) watch() error {
	set, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return fmt.Errorf("watch for datagrams: %w", err)
	}
	err = unix.EpollCtl(set, unix.EPOLL_CTL_ADD, s.fd, &unix.EpollEvent{Events: unix.EPOLLIN})
	if err == nil {
		err = unix.SetNonblock(set, true) // which is what lets the poller have it
	}
	if err != nil {
		return errors.Join(fmt.Errorf("watch for datagrams: %w", err), unix.Close(set))
	}
	s.set = os.NewFile(uintptr(set), "udp")
	// A poller that does not take the set says so to who asks for a deadline only.
	if err = s.set.SetReadDeadline(time.Time{}); err == nil {
		s.raw, err = s.set.SyscallConn()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("watch for datagrams: %w", err), s.set.Close())
	}
	return nil
}

// read calls try until it returns true, each time after something arrived. The error says that
// the socket is closed.
func (s *socket) read(try func(uintptr) bool) error {
	if s.raw.Read(try) != nil {
		return net.ErrClosed // the poller's own error has no exported name
	}
	return nil
}

// write calls try, which returns true. Until then nobody can close the socket under it.
func (s *socket) write(try func(uintptr) bool) error {
	if s.raw.Write(try) != nil {
		return net.ErrClosed // as in read
	}
	return nil
}

// hold calls f while nobody can close the socket under it.
func (s *socket) hold(f func(fd int)) error {
	if s.raw.Control(func(uintptr) { f(s.fd) }) != nil {
		return net.ErrClosed // as in read
	}
	return nil
}

// waitForRoom waits a while until the socket takes another datagram.
func (s *socket) waitForRoom() {
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLOUT}}, room)
}

// close ends the socket once nobody uses it. The error satisfies errors.Is(err, net.ErrClosed) the
// second time.
func (s *socket) close() error {
	switch err := s.set.Close(); {
	case errors.Is(err, os.ErrClosed):
		return net.ErrClosed
	case err != nil:
		return err
	}
	return unix.Close(s.fd)
}

// local is the address that the socket is bound to.
func (s *socket) local() (netip.AddrPort, error) {
	sa, err := unix.Getsockname(s.fd)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("read the address: %w", err)
	}
	a, _ := addrPort(sa)
	return a, nil
}
