// SPDX-License-Identifier: Apache-2.0

package udp_test

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"staex/internal/host/udp"
)

func TestAClosedPortIsReportedWithItsAddress(t *testing.T) {
	for _, loopback := range []string{"127.0.0.1:0", "[::1]:0"} {
		gone, err := udp.Listen(netip.MustParseAddrPort(loopback), udp.Options{})
		if err != nil {
			t.Skipf("SKIPPED: no %s here: %v", loopback, err)
		}
		target := gone.LocalAddr()
		if err := gone.Close(); err != nil {
			t.Fatal(err)
		}
		reported := make(chan netip.AddrPort, 8)
		c, err := udp.Listen(netip.MustParseAddrPort(loopback), udp.Options{
			Unreachable: func(a netip.AddrPort) {
				select {
				case reported <- a:
				default:
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		go func() { // the reader is who hears
			b := make([]byte, udp.MaxBatch)
			for {
				if _, _, _, err := c.Read(b); err != nil {
					return
				}
			}
		}()
		if err := c.Write([]byte("x"), 0, target); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-reported:
			if got != target {
				t.Errorf("%v was reported, want %v", got, target)
			}
		case <-t.Context().Done():
			t.Fatal("nothing was reported")
		}
	}
}

// complain sends an ICMP error about a datagram that the socket never sent, as anybody could.
func complain(t *testing.T, about netip.AddrPort, typ, code uint8, times int) {
	t.Helper()
	family, proto := unix.AF_INET, unix.IPPROTO_ICMP
	var to unix.Sockaddr = &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	head := make([]byte, 20)
	head[0], head[8], head[9] = 0x45, 64, unix.IPPROTO_UDP
	binary.BigEndian.PutUint16(head[2:], 100)
	copy(head[12:], []byte{127, 0, 0, 1, 127, 0, 0, 9})
	if about.Addr().Is6() {
		family, proto = unix.AF_INET6, unix.IPPROTO_ICMPV6
		to = &unix.SockaddrInet6{Addr: netip.IPv6Loopback().As16()}
		head = make([]byte, 40)
		head[0], head[5], head[6], head[7] = 0x60, 60, unix.IPPROTO_UDP, 64
		head[23], head[24], head[39] = 1, 0xfd, 9
	}
	ports := binary.BigEndian.AppendUint16(nil, about.Port())
	ports = append(ports, 0x12, 0x34, 0, 60, 0, 0)
	b := append(append([]byte{typ, code, 0, 0, 0, 0, 5, 0}, head...), ports...)
	if family == unix.AF_INET { // of the other family the kernel makes the sum
		sum := uint32(0)
		for i := 0; i < len(b); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(b[i:]))
		}
		binary.BigEndian.PutUint16(b[2:], ^uint16(sum+sum>>16))
	}
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, proto)
	if errors.Is(err, unix.EPERM) {
		t.Skip("SKIPPED: only root may forge ICMP; type: sudo -E go test ./internal/host/udp")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for range times {
		if err := unix.Sendto(fd, b, 0, to); err != nil {
			t.Fatal(err)
		}
	}
}

// reader opens a socket and reads it on and on; what it reads or ends with comes by the channel.
func reader(t *testing.T, at string) (*udp.Conn, <-chan error) {
	t.Helper()
	c, err := udp.Listen(netip.MustParseAddrPort(at), udp.Options{
		Unreachable: func(netip.AddrPort) {},
	})
	if err != nil {
		t.Skipf("SKIPPED: no %s here: %v", at, err)
	}
	t.Cleanup(func() { c.Close() })
	read := make(chan error, 1)
	go func() {
		for b := make([]byte, udp.MaxBatch); ; {
			_, _, _, err := c.Read(b)
			read <- err
			if err != nil {
				return
			}
		}
	}()
	return c, read
}

// hears checks that a socket still gets what is sent to it.
func hears(t *testing.T, c *udp.Conn, read <-chan error, after string) {
	t.Helper()
	other, err := udp.Listen(netip.AddrPortFrom(c.LocalAddr().Addr(), 0), udp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := other.Write([]byte("still there?"), 0, c.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-read:
		if err != nil {
			t.Fatalf("after %s the reader ended: %v", after, err)
		}
	case <-t.Context().Done():
		t.Fatalf("after %s nothing arrives any more", after)
	}
}

func TestNoICMPMessageEndsAReaderOrEatsADatagram(t *testing.T) {
	const unreachable4, exceeded4, parameter4 = 3, 11, 12
	const unreachable6, tooBig6, exceeded6, parameter6 = 1, 2, 3, 4
	for at, types := range map[string][]uint8{
		"127.0.0.1:0": {unreachable4, exceeded4, parameter4},
		"[::1]:0":     {unreachable6, tooBig6, exceeded6, parameter6},
	} {
		c, read := reader(t, at)
		sink, heard := reader(t, at)
		for _, typ := range types {
			for code := range uint8(16) {
				complain(t, c.LocalAddr(), typ, code, 1)
				// An error that waits for the next call must not cost what that sends.
				if err := c.Write([]byte("on its way"), 0, sink.LocalAddr()); err != nil {
					t.Errorf("type %d, code %d: %v", typ, code, err)
				}
				if err := <-heard; err != nil {
					t.Fatal(err)
				}
				hears(t, c, read, at)
			}
		}
	}
}

func TestManyICMPMessagesLeaveRoomForDatagrams(t *testing.T) {
	for at, net := range map[string][2]uint8{"127.0.0.1:0": {3, 0}, "[::1]:0": {1, 0}} {
		c, read := reader(t, at)
		complain(t, c.LocalAddr(), net[0], net[1], 20_000)
		hears(t, c, read, "20,000 complaints")
	}
}
