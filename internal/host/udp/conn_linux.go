// SPDX-License-Identifier: Apache-2.0

//go:build linux

package udp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// maxSkips bounds how many useless results (empty datagrams, errors left by ICMP messages) one
	// wake-up may consume before it looks again whether the socket was closed.
	maxSkips = 64
)

// Conn is one UDP socket of one address family, non-blocking on the runtime's poller.
//
// Read and ReadNow belong to one goroutine at a time; Write may be called by several.
type Conn struct {
	socket *socket
	local  netip.AddrPort
	asides int // sockets aside
	kernel
	doubt func(offload string) // Options.Doubt, or nil
	pins  *pins

	recv     message // owned by the reading goroutine
	single   int     // reads left without runs
	unjoined bool    // doubt was told
	wait     bool    // whether the running read may wait
	waited   bool    // whether the last read that may wait did
	skipped  bool    // the last try met nothing but useless results
	recvOnce func(fd uintptr) bool
	refused  func(netip.AddrPort) // Options.Unreachable, or nil

	sendMu   sync.Mutex // guards everything below
	send     message
	gso      bool // the kernel cuts runs (UDP_SEGMENT)
	pause    int  // sends left without segmentation
	uncut    bool // doubt was told
	sendOnce func(fd uintptr) bool

	outMu   sync.Mutex // guards what follows
	out     int32
	outOnce func(fd uintptr)
}

// Listen opens a socket at addr, whose family decides that of the Conn; port 0 lets the kernel
// choose. An IPv6 socket is never used for IPv4, so both families can have the same port.
// When the port is taken the error satisfies errors.Is(err, syscall.EADDRINUSE).
func Listen(addr netip.AddrPort, opts Options) (*Conn, error) {
	return listenOn(kernel{(*message).sendmsg, (*message).recvmsg}, addr, opts)
}

func listenOn(k kernel, addr netip.AddrPort, opts Options) (*Conn, error) {
	v4 := addr.Addr().Unmap().Is4()
	s, err := openSocket(netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port()),
		func(fd int) error { return setup(fd, v4, opts) })
	if err != nil {
		return nil, fmt.Errorf("udp: listen at %v: %w", addr, err)
	}
	c := &Conn{
		socket: s, kernel: k, refused: opts.Unreachable, doubt: opts.Doubt, pins: opts.pins,
	}
	if c.pins == nil {
		c.pins = &pins{}
	}
	if c.local, err = s.local(); err != nil {
		return nil, errors.Join(fmt.Errorf("udp: listen at %v: %w", addr, err), s.close())
	}
	c.recv.v4, c.send.v4 = v4, v4
	c.recvOnce, c.sendOnce, c.outOnce = c.tryRecv, c.trySend, c.askUnsent
	c.probe(v4)
	return c, nil
}

// Beside opens another socket at the address of c. The kernel gives each sender to one of all such
// sockets (SO_REUSEPORT), and to that one for as long as no other is opened or closed.
//
// The first socket of an address is bound without sharing, and shares from now on: so the first one
// of another program with this method is refused, as it would be beside a single one.
func (c *Conn) Beside(opts Options) (*Conn, error) {
	var failed error
	err := c.socket.hold(func(fd int) {
		failed = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	})
	if err = errors.Join(err, failed); err != nil {
		return nil, fmt.Errorf("udp: share %v: %w", c.local, err)
	}
	opts.beside, opts.pins = true, c.pins
	return listenOn(c.kernel, c.local, opts)
}

// setup applies what must hold before the first datagram.
func setup(fd int, v4 bool, opts Options) error {
	size := opts.bufferBytes()
	setBuffer(fd, unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, size)
	setBuffer(fd, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, size)
	// "Probe" sets DF and ignores the kernel's idea of the path MTU: the overlay finds the size
	// itself, and a forged ICMP message must not shrink it.
	level, name, value := unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE
	if !v4 {
		level, name, value = unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE
	}
	if err := unix.SetsockoptInt(fd, level, name, value); err != nil {
		return fmt.Errorf("udp: forbid fragments: %w", err)
	}
	if err := setClass(fd, v4, opts.DSCP); err != nil {
		return fmt.Errorf("udp: set the service class: %w", err)
	}
	if opts.aside {
		free(fd, v4)
	}
	tellWhere(fd, v4)
	if opts.beside {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			return fmt.Errorf("udp: share the address: %w", err)
		}
	}
	if opts.Unreachable != nil {
		return reportErrors(fd, v4)
	}
	return nil
}

// tellWhere asks for the own address that a datagram was sent to. Without it a machine with several
// addresses may answer from another one.
func tellWhere(fd int, v4 bool) {
	if v4 {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		return
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
}

// setClass sets the traffic class, whose lower two bits are ECN's.
func setClass(fd int, v4 bool, dscp uint8) error {
	level, name := unix.IPPROTO_IP, unix.IP_TOS
	if !v4 {
		level, name = unix.IPPROTO_IPV6, unix.IPV6_TCLASS
	}
	return unix.SetsockoptInt(fd, level, name, int(dscp)<<2)
}

// setBuffer asks for size bytes past the administrator's limit, which only root may, and else
// within it. A smaller buffer is no reason not to run.
func setBuffer(fd, force, plain, size int) {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, size) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, plain, size)
	}
}

// LocalAddr returns the bound address and port.
func (c *Conn) LocalAddr() netip.AddrPort { return c.local }

// Close ends the socket. A waiting Read returns an error that satisfies
// errors.Is(err, net.ErrClosed), and so does every call after it.
func (c *Conn) Close() error {
	if err := c.socket.close(); err != nil {
		return fmt.Errorf("udp: close %v: %w", c.local, err)
	}
	return nil
}

// Read waits for datagrams and fills b with one run of them: n bytes, each datagram seg bytes
// long, the last possibly shorter, all from the same sender. b should have MaxBatch bytes.
// Empty datagrams are skipped. It allocates nothing.
func (c *Conn) Read(b []byte) (n, seg int, from netip.AddrPort, err error) {
	c.waited = false
	return c.read(b, true)
}

// Behind reports whether the last Read found its datagrams there: more arrive than are read, and
// ReadNow is likely to find more. It belongs to the goroutine that reads.
func (c *Conn) Behind() bool { return !c.waited }

// ReadNow is Read that does not wait: n is 0 when nothing is there.
func (c *Conn) ReadNow(b []byte) (n, seg int, from netip.AddrPort, err error) {
	return c.read(b, false)
}

func (c *Conn) read(b []byte, wait bool) (n, seg int, from netip.AddrPort, err error) {
	if len(b) == 0 {
		return 0, 0, from, errEmptyBuffer
	}
	m := &c.recv
	m.body, c.wait = b, wait
	for again := true; again && err == nil; again = wait && c.skipped {
		err = c.socket.read(c.recvOnce)
	}
	m.body = nil
	switch {
	case err != nil:
		return 0, 0, from, fmt.Errorf("udp: read at %v: %w", c.local, err)
	case m.errno == unix.EAGAIN:
		return 0, 0, from, nil
	case m.errno != 0:
		return 0, 0, from, fmt.Errorf("udp: read at %v: %w", c.local, m.errno)
	case m.truncated || m.n > len(b):
		if len(b) >= MaxBatch { // no datagram is that long, so the kernel has joined too many
			c.Single()
		}
		return 0, 0, from, ErrBuffer
	}
	seg, sane := m.segment()
	if !sane {
		c.Single()
	} else if c.single > 0 {
		c.rejoin()
	}
	return m.n, seg, m.sender(), nil
}

// AnswerHere makes what goes to a peer from now on leave from the address at which the last
// datagram arrived, if the machine would choose another one and as long as it has that address. It
// is for datagrams with which a peer begins, and belongs to the goroutine that reads.
func (c *Conn) AnswerHere(peer netip.AddrPort) {
	at := c.recv.arrivedAt()
	if !c.local.Addr().IsUnspecified() || !at.IsValid() || at.IsMulticast() {
		return
	}
	if usual, err := sourceFor(peer); err == nil && usual == at {
		c.pins.drop(peer)
		return
	}
	c.pins.put(peer, at)
}

// tryRecv is called by the poller; false means wait until something arrives.
// The poller tells of new datagrams only, so false is allowed only when the queue is empty.
func (c *Conn) tryRecv(uintptr) bool {
	m, fd := &c.recv, uintptr(c.socket.fd)
	c.skipped = false
	for range maxSkips {
		c.receive(m, fd)
		if m.errno == unix.EAGAIN {
			if c.wait {
				c.waited = true
				m.run.Waits()
			}
			return !c.wait
		}
		switch {
		case m.errno == 0 && m.n > 0, own(m.errno):
			return true
		case m.errno != 0:
			c.drainErrors(fd)
		}
	}
	m.errno, c.skipped = unix.EAGAIN, true
	return true
}

// own tells errors of the socket from those that speak of one earlier datagram. Of the latter there
// is one for every kind of ICMP message, which anybody can send: none may end a reader.
func own(e syscall.Errno) bool {
	switch e {
	case unix.EBADF, unix.ENOTSOCK, unix.EFAULT, unix.EINVAL, unix.ENOMEM:
		return true
	}
	return false
}

// Write sends b to one receiver as datagrams of seg bytes each, the last possibly shorter; a seg
// of 0 or of at least len(b) means one datagram. It waits while the socket's buffer is full and
// returns when the kernel has copied everything. When the kernel refuses to cut the datagrams are
// sent one by one, for a while without asking it again. A datagram larger than the device's MTU
// gives an error that satisfies errors.Is(err, syscall.EMSGSIZE). After an error, datagrams before
// the failed one may have been sent.
func (c *Conn) Write(b []byte, seg int, to netip.AddrPort) error {
	if seg <= 0 {
		seg = len(b)
	}
	c.sendMu.Lock()
	defer c.sendMu.Unlock()
	if err := c.send.address(to); err != nil {
		return err
	}
	if err := c.send.aim(to.Addr()); err != nil {
		return err
	}
	c.pin(to)
	for len(b) > 0 {
		n := min(len(b), chunk(len(b), seg))
		if err := c.sendRun(b[:n], seg, to); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// noSource tells whether a send failed because the machine has lost the address that it was to
// leave from, or cannot use it on this way.
func noSource(e syscall.Errno) bool {
	switch e {
	case unix.EINVAL, unix.EADDRNOTAVAIL, unix.ENETUNREACH, unix.ENODEV:
		return true
	}
	return false
}

// pin has the next sends leave from where their receiver asked.
func (c *Conn) pin(to netip.AddrPort) {
	m := &c.send
	own, ok := c.pins.of(to)
	switch {
	case ok:
		m.from, m.pinned, m.aimed = own.As16(), true, netip.Addr{}
	case m.pinned:
		m.from, m.pinned = [16]byte{}, false
	}
}

// sendOne makes one sendmsg call; seg > 0 asks the kernel to cut.
func (c *Conn) sendOne(b []byte, seg int, to netip.AddrPort) error {
	m := &c.send
	m.body, m.seg = b, seg
	err := c.socket.write(c.sendOnce)
	for err == nil && m.errno == unix.EAGAIN {
		err = c.socket.write(c.awaitRoom)
	}
	m.body = nil
	if err != nil {
		return fmt.Errorf("udp: send to %v: %w", to, err)
	}
	if m.pinned && noSource(m.errno) {
		c.pins.drop(to)
		c.pin(to)
		if m.aimed = (netip.Addr{}); m.aim(to.Addr()) == nil {
			return c.sendOne(b, seg, to)
		}
	}
	if m.errno != 0 && m.errno != unix.ECONNREFUSED && m.errno != unix.EHOSTUNREACH {
		m.aimed = netip.Addr{} // perhaps the address is gone
		return fmt.Errorf("udp: send to %v: %w", to, m.errno)
	}
	return nil
}

// trySend is called when nobody can close the socket.
func (c *Conn) trySend(uintptr) bool {
	m, fd := &c.send, uintptr(c.socket.fd)
	for range 2 {
		c.transmit(m, fd)
		// The second try is for an error left behind by an earlier datagram, which the first
		// call consumed instead of sending.
		if m.errno == 0 || m.errno == unix.EAGAIN ||
			!c.drainErrors(fd) && m.errno != unix.EINTR {
			break
		}
	}
	return true
}

// awaitRoom is trySend where the socket's buffer was full.
func (c *Conn) awaitRoom(fd uintptr) bool {
	c.socket.waitForRoom()
	return c.trySend(fd)
}

// scope turns an IPv6 zone into the index the kernel wants. Zones that Read returns are numbers.
func scope(zone string) (uint32, error) {
	if zone == "" {
		return 0, nil
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n), nil
	}
	dev, err := net.InterfaceByName(zone)
	if err != nil {
		return 0, fmt.Errorf("udp: zone %q: %w", zone, err)
	}
	return uint32(dev.Index), nil
}
