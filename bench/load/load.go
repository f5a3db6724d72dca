// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package load makes the traffic of the bench: streams, floods, questions, messages. It never
// knows through what they travel.
package load

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The ports of the services. A peer that permits nothing by itself has to permit these.
const (
	PortStream  = 5201 // TCP
	PortMessage = 1883 // TCP
	PortFlood   = 5202 // UDP
	PortEcho    = 5203 // UDP
)

// Place is a host: what f opens in Do stays in the host's network.
type Place interface {
	Do(f func() error) error
}

// Path is from where to where the traffic goes.
type Path struct {
	From, To Place
	// Target is where From finds To.
	Target netip.Addr
}

// bufferBytes is asked for on the sockets of floods, so that the sink never is what loses.
const bufferBytes = 16 << 20

// dialTime bounds how long a connection may take to be made.
const dialTime = 10 * time.Second

// everywhere is the address to listen on: what reaches To may have been translated on its way.
func (p Path) everywhere(port uint16) netip.AddrPort {
	if p.Target.Is4() {
		return netip.AddrPortFrom(netip.IPv4Unspecified(), port)
	}
	return netip.AddrPortFrom(netip.IPv6Unspecified(), port)
}

func (p Path) target(port uint16) string { return netip.AddrPortFrom(p.Target, port).String() }

// udp names the network of net's functions for the family of the target.
func (p Path) udp() string {
	if p.Target.Is4() {
		return "udp4"
	}
	return "udp6"
}

// reuse lets a service start again while connections of the last one are dying.
func reuse(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	})
	return errors.Join(err, failed)
}

// congestion is the control that most machines have. Where it cannot be had the machine's own
// serves all peers alike.
const congestion = "cubic"

func control(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		_ = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, congestion)
	})
}

func (p Path) listenTCP(ctx context.Context, port uint16) (l net.Listener, err error) {
	err = p.To.Do(func() error {
		lc := net.ListenConfig{Control: reuse}
		l, err = lc.Listen(ctx, "tcp", p.everywhere(port).String())
		return err
	})
	return l, err
}

func (p Path) dialTCP(ctx context.Context, port uint16) (c net.Conn, err error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	err = p.From.Do(func() error {
		d := net.Dialer{Control: control}
		c, err = d.DialContext(ctx, "tcp", p.target(port))
		return err
	})
	return c, err
}

func (p Path) listenUDP(ctx context.Context, port uint16) (c *net.UDPConn, err error) {
	err = p.To.Do(func() error {
		lc := net.ListenConfig{Control: reuse}
		l, err := lc.ListenPacket(ctx, p.udp(), p.everywhere(port).String())
		if err != nil {
			return err
		}
		c, _ = l.(*net.UDPConn) // that is what udp4 and udp6 give
		return nil
	})
	return c, err
}

func (p Path) dialUDP(port uint16) (c *net.UDPConn, err error) {
	err = p.From.Do(func() error {
		c, err = net.DialUDP(p.udp(), nil, net.UDPAddrFromAddrPort(
			netip.AddrPortFrom(p.Target, port)))
		return err
	})
	return c, err
}

// deepen gives a socket a deep buffer, over the machine's limit where that is permitted.
func deepen(c *net.UDPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		for option, plain := range map[int]int{
			unix.SO_RCVBUFFORCE: unix.SO_RCVBUF, unix.SO_SNDBUFFORCE: unix.SO_SNDBUF,
		} {
			err := unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, option, bufferBytes)
			if errors.Is(err, unix.EPERM) {
				err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, plain, bufferBytes)
			}
			failed = errors.Join(failed, err)
		}
	})
	return errors.Join(err, failed)
}

// option sets an option of a UDP socket.
func option(c *net.UDPConn, name, value int) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, name, value)
	})
	return errors.Join(err, failed)
}

// shut closes connections of which nothing more is wanted.
func shut(all ...net.Conn) {
	for _, c := range all {
		c.Close()
	}
}
