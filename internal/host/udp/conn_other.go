// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package udp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// Conn is one UDP socket of one address family. Outside Linux every call moves one datagram.
//
// Read and ReadNow belong to one goroutine at a time; Write may be called by several.
type Conn struct {
	pc    *net.UDPConn
	local netip.AddrPort
}

// Listen opens a socket at addr, whose family decides that of the Conn; port 0 lets the system
// choose. When the port is taken the error satisfies errors.Is(err, syscall.EADDRINUSE).
func Listen(addr netip.AddrPort, opts Options) (*Conn, error) {
	pc, err := net.ListenUDP(network(addr.Addr()), net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return nil, fmt.Errorf("udp: listen at %v: %w", addr, err)
	}
	// A smaller buffer than asked for is no reason not to run.
	_ = pc.SetReadBuffer(opts.bufferBytes())
	_ = pc.SetWriteBuffer(opts.bufferBytes())
	bound := pc.LocalAddr().(*net.UDPAddr).AddrPort()
	return &Conn{pc: pc, local: netip.AddrPortFrom(bound.Addr().Unmap(), bound.Port())}, nil
}

// network says which family an address belongs to in the words of package net. The unspecified
// IPv6 address means IPv6 only, so that a second Conn can have the same port on IPv4.
func network(a netip.Addr) string {
	if a.Unmap().Is4() {
		return "udp4"
	}
	return "udp6"
}

// LocalAddr returns the bound address and port.
func (c *Conn) LocalAddr() netip.AddrPort { return c.local }

// Close ends the socket. A waiting Read returns an error that satisfies
// errors.Is(err, net.ErrClosed), and so does every call after it.
func (c *Conn) Close() error {
	if err := c.pc.Close(); err != nil {
		return fmt.Errorf("udp: close %v: %w", c.local, err)
	}
	return nil
}

// Read waits for one datagram; seg is always n. Empty datagrams are skipped.
func (c *Conn) Read(b []byte) (n, seg int, from netip.AddrPort, err error) {
	if len(b) == 0 {
		return 0, 0, from, errEmptyBuffer
	}
	for n == 0 {
		n, from, err = c.pc.ReadFromUDPAddrPort(b)
		if err != nil {
			return 0, 0, from, fmt.Errorf("udp: read at %v: %w", c.local, err)
		}
	}
	return n, n, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), nil
}

// AnswerHere does nothing: the system chooses.
func (*Conn) AnswerHere(netip.AddrPort) {}

// Behind reports false: nothing can be had without waiting.
func (*Conn) Behind() bool { return false }

// Beside returns an error that satisfies errors.Is(err, errors.ErrUnsupported).
func (*Conn) Beside(Options) (*Conn, error) {
	return nil, fmt.Errorf("udp: sockets that share an address: %w", errors.ErrUnsupported)
}

// Single does nothing: datagrams come one by one here.
func (*Conn) Single() {}

// ReadNow returns 0: without waiting, nothing can be had here.
func (c *Conn) ReadNow([]byte) (n, seg int, from netip.AddrPort, err error) {
	return 0, 0, from, nil
}

// Write sends b to one receiver as datagrams of seg bytes each, the last possibly shorter; a seg
// of 0 or of at least len(b) means one datagram.
func (c *Conn) Write(b []byte, seg int, to netip.AddrPort) error {
	if seg <= 0 {
		seg = len(b)
	}
	for len(b) > 0 {
		n := min(seg, len(b))
		if _, err := c.pc.WriteToUDPAddrPort(b[:n], to); err != nil {
			return fmt.Errorf("udp: send to %v: %w", to, err)
		}
		b = b[n:]
	}
	return nil
}

// Aside returns an error that satisfies errors.Is(err, errors.ErrUnsupported).
func (*Conn) Aside(Options) (*Conn, error) {
	return nil, fmt.Errorf("udp: sockets that share a port: %w", errors.ErrUnsupported)
}

// Unsent is 0: nothing is known here of what the system holds.
func (c *Conn) Unsent() int { return 0 }
