// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"net"
	"net/netip"
	"time"

	"staex/internal/host/udp"
)

// errFamily is a send to an address of a family without a socket.
var errFamily = errors.New("no socket for this address family")

// sockets are the underlay, one for each family; nil where a family is not used.
type sockets struct {
	v4, v6       *udp.Conn
	gate4, gate6 *gate // how data leaves by them
}

func (s *sockets) all() []*udp.Conn {
	var list []*udp.Conn
	for _, c := range []*udp.Conn{s.v4, s.v6} {
		if c != nil {
			list = append(list, c)
		}
	}
	return list
}

// beside opens a socket beside each: the kernel spreads the neighbours over all of them.
func (s *sockets) beside(o udp.Options) (more sockets, err error) {
	if s.v4 != nil {
		more.v4, err = s.v4.Beside(o)
	}
	if s.v6 != nil && err == nil {
		more.v6, err = s.v6.Beside(o)
	}
	if err != nil {
		err = errors.Join(err, more.close())
	}
	return more, err
}

// send sends b as datagrams of seg bytes each. Any goroutine may call it.
func (s *sockets) send(b []byte, seg int, to netip.AddrPort) error {
	c := s.of(to.Addr())
	if c == nil {
		return errFamily
	}
	return c.Write(b, seg, to)
}

// guard puts a gate before the socket of a family, which may hold so many bytes.
func (s *sockets) guard(family netip.Addr, slow *shapers, bytes int) {
	g := &gate{slow: slow}
	g.init(s.of(family), bytes)
	if family.Is4() {
		s.gate4 = g
	} else {
		s.gate6 = g
	}
}

// sendData is send for what belongs to tunnels, which may have to wait; sent tells whether it has
// left already.
func (s *sockets) sendData(now time.Duration, b []byte, seg int, to netip.AddrPort,
) (sent bool, err error) {
	g := s.gate6
	if to.Addr().Is4() {
		g = s.gate4
	}
	if g == nil {
		return false, errFamily
	}
	return g.send(now, b, seg, to)
}

// of is the socket for an address, or nil.
func (s *sockets) of(a netip.Addr) *udp.Conn {
	if a.Is4() {
		return s.v4
	}
	return s.v6
}

// close ends the sockets; those that are closed already are no error.
func (s *sockets) close() error {
	var errs []error
	for _, c := range s.all() {
		if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// unmapped is an address as the tables hold it: IPv4 is never written as IPv6.
func unmapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
