// SPDX-License-Identifier: Apache-2.0

package hosttest

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
)

const (
	// udpQueue is how many runs wait at a twin socket: a mebibyte of small datagrams, like the
	// buffer of a real one. More are lost.
	udpQueue = 512

	// udpMaxPayload is the largest datagram of IPv4.
	udpMaxPayload = 65507

	// What one run holds at most, as on the real socket.
	udpMaxRun, udpMaxSegments = 65000, 64

	// firstPort is where ports begin that nobody asked for by number.
	firstPort = 40000
)

// Internet carries datagrams between UDP twins. The zero value is ready, lossless and in order.
type Internet struct {
	mu     sync.Mutex // guards what follows
	socks  map[netip.AddrPort]*UDP
	next   uint16
	limit  int
	filter func(from, to netip.AddrPort, datagram []byte) bool
}

// SetLimit makes sends of larger datagrams (payload bytes) fail as a device with a small MTU
// does; 0 takes the limit away.
func (n *Internet) SetLimit(payload int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.limit = payload
}

// SetFilter asks pass about every datagram on its way; those it says false to are lost. nil takes
// the filter away. pass may be called by several goroutines and must not keep the bytes.
func (n *Internet) SetFilter(pass func(from, to netip.AddrPort, datagram []byte) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.filter = pass
}

// Listen opens a socket at an address of the caller's choice; port 0 chooses one. At an
// unspecified address the socket receives what no other one is meant for, and sends from the
// family's loopback address.
func (n *Internet) Listen(addr netip.AddrPort) (*UDP, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	at := netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	for port := at.Port(); port == 0; port = at.Port() {
		n.next++
		free := netip.AddrPortFrom(at.Addr(), firstPort+n.next%(1<<14))
		if n.socks[free] == nil {
			at = free
		}
	}
	if n.socks[at] != nil {
		return nil, fmt.Errorf("hosttest: listen at %v: %w", at, syscall.EADDRINUSE)
	}
	u := &UDP{
		net: n, local: at, queue: make(chan run, udpQueue), closed: make(chan struct{}),
	}
	if n.socks == nil {
		n.socks = map[netip.AddrPort]*UDP{}
	}
	n.socks[at] = u
	return u, nil
}

// run is several datagrams of one sender, as a receive returns them.
type run struct {
	from netip.AddrPort
	seg  int
	data []byte
}

// UDP is the twin of a udp.Conn.
type UDP struct {
	net    *Internet
	local  netip.AddrPort
	queue  chan run
	closed chan struct{}
}

// LocalAddr returns the address and port.
func (u *UDP) LocalAddr() netip.AddrPort { return u.local }

// Close ends the socket and a waiting Read, and frees the port.
func (u *UDP) Close() error {
	u.net.mu.Lock()
	defer u.net.mu.Unlock()
	if u.net.socks[u.local] != u {
		return u.error("close", net.ErrClosed)
	}
	delete(u.net.socks, u.local)
	close(u.closed)
	return nil
}

// Read waits for a run of datagrams.
func (u *UDP) Read(b []byte) (n, seg int, from netip.AddrPort, err error) {
	select {
	case <-u.closed:
		return 0, 0, from, u.error("read", net.ErrClosed)
	default:
	}
	select {
	case r := <-u.queue:
		return u.take(b, r)
	case <-u.closed:
		return 0, 0, from, u.error("read", net.ErrClosed)
	}
}

// ReadNow is Read that does not wait: n is 0 when nothing is there.
func (u *UDP) ReadNow(b []byte) (n, seg int, from netip.AddrPort, err error) {
	select {
	case <-u.closed:
		return 0, 0, from, u.error("read", net.ErrClosed)
	default:
	}
	select {
	case r := <-u.queue:
		return u.take(b, r)
	default:
		return 0, 0, from, nil
	}
}

func (u *UDP) take(b []byte, r run) (n, seg int, from netip.AddrPort, err error) {
	if len(b) < len(r.data) {
		return 0, 0, from, u.error("read", io.ErrShortBuffer)
	}
	return copy(b, r.data), r.seg, r.from, nil
}

// Write sends b as datagrams of seg bytes each, the last possibly shorter; 0 means one datagram.
func (u *UDP) Write(b []byte, seg int, to netip.AddrPort) error {
	select {
	case <-u.closed:
		return u.error("send", net.ErrClosed)
	default:
	}
	if !to.IsValid() || to.Addr().Unmap().Is4() != u.local.Addr().Is4() {
		return u.error("send", syscall.EAFNOSUPPORT)
	}
	if seg <= 0 || seg > len(b) {
		seg = len(b)
	}
	u.net.mu.Lock()
	limit, pass := u.net.limit, u.net.filter
	u.net.mu.Unlock()
	if seg > udpMaxPayload || limit > 0 && seg > limit {
		return u.error("send", syscall.EMSGSIZE)
	}
	r := run{from: u.source(), seg: seg}
	for len(b) > 0 {
		n := min(seg, len(b))
		if pass == nil || pass(r.from, to, b[:n]) {
			r.data = append(r.data, b[:n]...)
		} else {
			r = u.send(r, to) // a run has no holes
		}
		if b = b[n:]; len(r.data)+seg > udpMaxRun || len(r.data) >= udpMaxSegments*seg {
			r = u.send(r, to)
		}
	}
	u.send(r, to)
	return nil
}

// source is the sender others see.
func (u *UDP) source() netip.AddrPort {
	a := u.local.Addr()
	switch {
	case !a.IsUnspecified():
		return u.local
	case a.Is4():
		a = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	default:
		a = netip.IPv6Loopback()
	}
	return netip.AddrPortFrom(a, u.local.Port())
}

// send delivers the run, or loses it, and returns an empty one.
func (u *UDP) send(r run, to netip.AddrPort) run {
	empty := run{from: r.from, seg: r.seg}
	if len(r.data) == 0 {
		return empty
	}
	r.data, r.seg = bytes.Clone(r.data), min(r.seg, len(r.data))
	u.net.mu.Lock()
	defer u.net.mu.Unlock()
	at := netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	peer := u.net.socks[at]
	if peer == nil {
		anywhere := netip.IPv6Unspecified()
		if at.Addr().Is4() {
			anywhere = netip.IPv4Unspecified()
		}
		peer = u.net.socks[netip.AddrPortFrom(anywhere, at.Port())]
	}
	if peer == nil {
		return empty
	}
	select {
	case peer.queue <- r:
	default:
	}
	return empty
}

func (u *UDP) error(op string, err error) error {
	return fmt.Errorf("hosttest: %s at %v: %w", op, u.local, err)
}
