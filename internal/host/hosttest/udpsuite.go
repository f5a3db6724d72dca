// SPDX-License-Identifier: Apache-2.0

package hosttest

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"
)

// UDPConn is what the suite asks of an underlay socket.
type UDPConn interface {
	LocalAddr() netip.AddrPort
	Read(b []byte) (n, seg int, from netip.AddrPort, err error)
	ReadNow(b []byte) (n, seg int, from netip.AddrPort, err error)
	Write(b []byte, seg int, to netip.AddrPort) error
	Close() error
}

// UDPHost is a machine with loopback addresses of both families.
type UDPHost struct {
	Listen  func(addr netip.AddrPort) (UDPConn, error)
	ReadNow bool // whether the system can read without waiting
}

const (
	udpBuffer = 64 << 10

	// udpPatience ends a test that lost a datagram.
	udpPatience = 10 * time.Second
)

// TestUDP is the suite that the socket and its twin both pass.
func TestUDP(t *testing.T, h UDPHost) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, h UDPHost)
	}{
		{"a datagram arrives with its sender", udpSender},
		{"a run arrives as its datagrams", udpRuns},
		{"both families can have the same port", udpFamilies},
		{"a taken port is recognisable", udpTaken},
		{"a read that may not wait does not", udpReadsNow},
		{"closing ends a waiting read and every later call", udpCloses},
		{"what cannot be sent is refused", udpRefuses},
		{"a buffer too small is an error", udpShort},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, h) })
	}
}

func udpListen(t *testing.T, h UDPHost, addr string) UDPConn {
	t.Helper()
	c, err := h.Listen(netip.MustParseAddrPort(addr))
	if errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) {
		t.Skipf("this machine has no %s; bring up its loopback to run this test", addr)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func udpSend(t *testing.T, c UDPConn, b []byte, seg int, to netip.AddrPort) {
	t.Helper()
	if err := c.Write(b, seg, to); err != nil {
		t.Fatal(err)
	}
}

// udpReceive collects datagrams until want have come.
func udpReceive(t *testing.T, c UDPConn, want int) (all [][]byte, from netip.AddrPort) {
	t.Helper()
	stop := time.AfterFunc(udpPatience, func() { _ = c.Close() })
	defer stop.Stop()
	buf := make([]byte, udpBuffer)
	for len(all) < want {
		n, seg, sender, err := c.Read(buf)
		if err != nil {
			t.Fatalf("after %d of %d datagrams: %v", len(all), want, err)
		}
		for d := range slices.Chunk(buf[:n], seg) {
			all = append(all, bytes.Clone(d))
		}
		from = sender
	}
	return all, from
}

func udpSender(t *testing.T, h UDPHost) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		a, b := udpListen(t, h, addr), udpListen(t, h, addr)
		udpSend(t, a, []byte("hello"), 0, b.LocalAddr())
		got, from := udpReceive(t, b, 1)
		if string(got[0]) != "hello" || from != a.LocalAddr() {
			t.Errorf("%s: got %q from %v, want hello from %v", addr, got[0], from, a.LocalAddr())
		}
	}
}

func udpRuns(t *testing.T, h UDPHost) {
	for _, c := range []struct {
		name      string
		size, seg int
	}{
		{"one", 100, 0},
		{"segment as long as the datagram", 100, 100},
		{"segment longer than the datagram", 100, 1400},
		{"three and a short one", 3*1000 + 1, 1000},
		{"more segments than one send carries", 150 * 100, 100},
		{"more bytes than one send carries", 100_000, 1452},
		{"a segment near the limit", 130_000, 64_999},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := udpListen(t, h, "127.0.0.1:0"), udpListen(t, h, "127.0.0.1:0")
			sent := make([]byte, c.size)
			for i := range sent {
				sent[i] = byte(i * 7)
			}
			seg := c.seg
			if seg == 0 {
				seg = c.size
			}
			want := slices.Collect(slices.Chunk(sent, seg))
			udpSend(t, a, sent, c.seg, b.LocalAddr())
			if got, _ := udpReceive(t, b, len(want)); !slices.EqualFunc(got, want, bytes.Equal) {
				t.Errorf("%d datagrams differ from the %d sent", len(got), len(want))
			}
		})
	}
}

func udpFamilies(t *testing.T, h UDPHost) {
	v4 := udpListen(t, h, "0.0.0.0:0")
	both := netip.AddrPortFrom(netip.IPv6Unspecified(), v4.LocalAddr().Port())
	udpListen(t, h, both.String())
}

func udpTaken(t *testing.T, h UDPHost) {
	a := udpListen(t, h, "127.0.0.1:0")
	if _, err := h.Listen(a.LocalAddr()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("got %v, want EADDRINUSE", err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	udpListen(t, h, a.LocalAddr().String())
}

func udpReadsNow(t *testing.T, h UDPHost) {
	a, b := udpListen(t, h, "127.0.0.1:0"), udpListen(t, h, "127.0.0.1:0")
	buf := make([]byte, udpBuffer)
	if n, _, _, err := b.ReadNow(buf); n != 0 || err != nil {
		t.Fatalf("an idle socket gave %d bytes and %v", n, err)
	}
	if !h.ReadNow {
		return
	}
	udpSend(t, a, []byte("now"), 0, b.LocalAddr())
	n, seg, from, err := b.ReadNow(buf) // loopback delivers within the send
	if string(buf[:n]) != "now" || seg != 3 || from != a.LocalAddr() || err != nil {
		t.Errorf("got %q, segments of %d, from %v (%v)", buf[:n], seg, from, err)
	}
}

func udpCloses(t *testing.T, h UDPHost) {
	c := udpListen(t, h, "127.0.0.1:0")
	ended := make(chan error)
	go func() {
		_, _, _, err := c.Read(make([]byte, udpBuffer))
		ended <- err
	}()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("the waiting read got %v, want net.ErrClosed", err)
	}
	if err := c.Write([]byte("x"), 0, c.LocalAddr()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a write afterwards got %v, want net.ErrClosed", err)
	}
	if err := c.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a second close got %v, want net.ErrClosed", err)
	}
}

func udpRefuses(t *testing.T, h UDPHost) {
	a := udpListen(t, h, "127.0.0.1:0")
	if a.Write([]byte("x"), 0, netip.MustParseAddrPort("[::1]:9")) == nil {
		t.Error("an IPv4 socket claims to have sent to ::1")
	}
	if a.Write([]byte("x"), 0, netip.AddrPort{}) == nil {
		t.Error("a send to no address succeeded")
	}
	if err := a.Write(make([]byte, 70_000), 0, a.LocalAddr()); !errors.Is(err, syscall.EMSGSIZE) {
		t.Errorf("70,000 bytes in one datagram: %v, want EMSGSIZE", err)
	}
}

func udpShort(t *testing.T, h UDPHost) {
	if !h.ReadNow {
		return // the portable socket cannot tell
	}
	a := udpListen(t, h, "127.0.0.1:0")
	udpSend(t, a, make([]byte, 100), 0, a.LocalAddr())
	if _, _, _, err := a.Read(make([]byte, 10)); err == nil {
		t.Error("100 bytes fitted into 10")
	}
}
