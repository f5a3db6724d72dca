// SPDX-License-Identifier: Apache-2.0

package udp

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// asideV4 and asideV6 are where the first socket aside is bound, and others behind it: addresses to
// which nobody sends. One is of the loopback, the other of a prefix that leads nowhere (RFC 6666).
var (
	asideV4 = netip.AddrFrom4([4]byte{127, 93, 76, 1})
	asideV6 = netip.AddrFrom16([16]byte{0: 1, 14: 93, 15: 76})
)

// aimFor is for how many sends an own address is used: the routes may change.
const aimFor = 256

// Aside opens another socket that sends from the same address and port, so that receivers and
// translators see no difference, and receives nothing. Of it the kernel tells by itself what has
// not left yet. Sockets beside c are opened before those aside of it. It is called by one goroutine
// at a time.
func (c *Conn) Aside(opts Options) (*Conn, error) {
	own, at := c.local.Addr(), asideV6
	if c.send.v4 {
		at = asideV4
	}
	for range c.asides { // two of one address would have to share it for good
		at = at.Next()
	}
	was, _ := unix.GetsockoptInt(c.socket.fd, unix.SOL_SOCKET, unix.SO_REUSEPORT)
	share(c.socket.fd, 1)
	defer share(c.socket.fd, was)
	opts.beside, opts.aside, opts.pins = true, true, c.pins
	a, err := listenOn(c.kernel, netip.AddrPortFrom(at, c.local.Port()), opts)
	if err != nil {
		return nil, err
	}
	share(a.socket.fd, 0)
	c.asides++
	a.local, a.send.aside = c.local, true
	if !own.IsUnspecified() {
		a.send.from, a.send.fixed = own.As16(), true
	}
	return a, nil
}

// share lets other sockets of this user have the same port, or forbids it.
func share(fd, on int) { _ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, on) }

// free lets a socket be bound to an address that the machine does not have (Linux 4.15), and keeps
// it from holding what nobody reads.
func free(fd int, v4 bool) {
	if !v4 {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_FREEBIND, 1)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1) // as little as there is
}

// aim finds out which address the machine would use towards a receiver. Towards IPv4 the kernel
// does that by itself.
func (m *message) aim(to netip.Addr) error {
	if !m.aside || m.v4 || m.fixed {
		return nil
	}
	if m.shots--; to == m.aimed && m.shots > 0 {
		return nil
	}
	from, err := sourceFor(netip.AddrPortFrom(to, swap(m.name6.Port)))
	if err != nil {
		return fmt.Errorf("udp: find the own address towards %v: %w", to, err)
	}
	m.from, m.aimed, m.shots = from.As16(), to, aimFor
	return nil
}

// sourceFor asks the kernel by connecting a socket, which sends nothing, what it would send from.
func sourceFor(to netip.AddrPort) (from netip.Addr, err error) {
	family, peer, err := sockaddr(to)
	if err != nil {
		return from, err
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return from, err
	}
	defer unix.Close(fd)
	if err = unix.Connect(fd, peer); err != nil {
		return from, err
	}
	at, err := unix.Getsockname(fd)
	if err != nil {
		return from, err
	}
	a, _ := addrPort(at)
	return a.Addr(), nil
}
