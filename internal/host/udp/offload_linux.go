// SPDX-License-Identifier: Apache-2.0

//go:build linux

package udp

import (
	"bytes"
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"
)

// A kernel is believed to cut and to join runs of datagrams until it is seen to get that wrong.
// What is known at the start is asked, what can be seen of it is tried; the rest shows itself in
// traffic, and the socket then does without for a while.

const (
	// pauseSends is for how many sends segmentation stays off after it was refused. The route may
	// change to a device that can, so the socket tries again, which costs one system call.
	pauseSends = 4096

	// singleReads is for how many reads the kernel may not join datagrams after it got that wrong:
	// seconds at full speed, because a wrong run is a lost one.
	singleReads = 1 << 20

	doubtCut  = "UDP_SEGMENT"
	doubtJoin = "UDP_GRO"
)

// kernel is what sends and receives. Tests put one in its place that lies.
type kernel struct{ transmit, receive func(m *message, fd uintptr) }

// probe finds out whether the kernel cuts runs, makes it join them, and tries both.
func (c *Conn) probe(v4 bool) {
	// Linux 4.18 knows how to cut.
	_, err := unix.GetsockoptInt(c.socket.fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT)
	c.gso = err == nil
	switch {
	case !c.gso:
	case c.holds(v4):
		c.join(true)
	default:
		// Which of the two is wrong cannot be told apart, and never mends by itself.
		c.gso = false
		c.tell(&c.uncut, doubtCut)
	}
}

// holds sends a run over the loopback to a socket of its own and reports whether the same
// datagrams came out. Where that cannot be tried, nothing is known against the kernel.
func (c *Conn) holds(v4 bool) bool {
	const size, rest = 600, 100
	to, family := netip.AddrPortFrom(netip.IPv6Loopback(), 0), unix.AF_INET6
	var at unix.Sockaddr = &unix.SockaddrInet6{Addr: to.Addr().As16()}
	if v4 {
		family, at = unix.AF_INET, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return true
	}
	defer unix.Close(fd)
	if unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO, 1) != nil ||
		unix.Bind(fd, at) != nil {
		return true
	}
	if at, err = unix.Getsockname(fd); err != nil {
		return true
	}
	to, _ = addrPort(at)
	run := bytes.Repeat([]byte("0123456789"), (2*size+rest)/10)
	m := &message{v4: v4, body: run, seg: size}
	if m.address(to) != nil {
		return true
	}
	if c.transmit(m, uintptr(fd)); m.errno != 0 {
		return true // sending for real will show it again
	}
	for m.body = make([]byte, 2*len(run)); len(run) > 0; {
		if c.receive(m, uintptr(fd)); m.errno != 0 || m.sender() != to {
			return true
		}
		n, sane := m.segment()
		got := m.body[:min(m.n, len(m.body))]
		if !sane || len(got) == 0 || min(n, len(got)) != min(size, len(run)) ||
			!bytes.HasPrefix(run, got) {
			return false
		}
		run = run[len(got):]
	}
	return true
}

// join lets the kernel join datagrams or forbids it. Kernels before 5.0 do not know how: they
// deliver datagrams one by one, which is correct.
func (c *Conn) join(on bool) {
	value := 0
	if on {
		value = 1
	}
	_ = c.socket.hold(func(fd int) { // a closed socket joins nothing
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO, value)
	})
}

// Single makes the kernel deliver datagrams one by one for a million reads, because a run that it
// joined was not what it said. It belongs to the goroutine that reads.
func (c *Conn) Single() {
	if c.single == 0 {
		c.join(false)
		c.tell(&c.unjoined, doubtJoin)
	}
	c.single = singleReads
}

// rejoin counts one read without runs and ends their time.
func (c *Conn) rejoin() {
	if c.single--; c.single == 0 {
		c.join(true)
	}
}

// tell passes a doubt on that was not told before.
func (c *Conn) tell(told *bool, offload string) {
	if c.doubt != nil && !*told {
		*told = true
		c.doubt(offload)
	}
}

// sendRun sends what fits one system call, or falls back to one call per datagram.
func (c *Conn) sendRun(b []byte, seg int, to netip.AddrPort) error {
	if len(b) <= seg {
		return c.sendOne(b, 0, to)
	}
	var refused error
	if c.gso && c.pause == 0 {
		refused = c.sendOne(b, seg, to)
		if refused == nil || !refusesSegments(refused) {
			return refused
		}
	}
	if c.pause > 0 {
		c.pause--
	}
	for len(b) > 0 {
		n := min(seg, len(b))
		if err := c.sendOne(b[:n], 0, to); err != nil {
			return err // the size was wrong, or the way, and nothing speaks against cutting
		}
		b = b[n:]
	}
	if refused != nil {
		c.pause = pauseSends
		c.tell(&c.uncut, doubtCut)
	}
	return nil
}

// refusesSegments reports whether a run may still pass as single datagrams: the device cannot sum
// up what is cut (EIO), the kernel does not cut for this way, or it never looked at the wish and
// found one datagram that is far too long.
func refusesSegments(err error) bool {
	for _, e := range []error{
		unix.EIO, unix.EINVAL, unix.EMSGSIZE, unix.EOPNOTSUPP, unix.ENOPROTOOPT,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
