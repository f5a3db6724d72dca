// SPDX-License-Identifier: Apache-2.0

package udp_test

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"staex/internal/host/udp"
)

// anywhere opens a socket at every address of a family.
func anywhere(t *testing.T, addr netip.Addr) *udp.Conn {
	t.Helper()
	c, err := udp.Listen(netip.AddrPortFrom(addr, 0), udp.Options{})
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func aside(t *testing.T, c *udp.Conn) *udp.Conn {
	t.Helper()
	b, err := c.Aside(udp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

var families = map[string]struct{ any, loop netip.Addr }{
	"IPv4": {netip.IPv4Unspecified(), netip.AddrFrom4([4]byte{127, 0, 0, 1})},
	"IPv6": {netip.IPv6Unspecified(), netip.IPv6Loopback()},
}

func TestASocketAsideSendsFromItsAddressAndTakesNothingAway(t *testing.T) {
	for name, f := range families {
		for bound, at := range map[string]netip.Addr{"anywhere": f.any, "at one": f.loop} {
			t.Run(name+" "+bound, func(t *testing.T) {
				first, peer := anywhere(t, at), anywhere(t, f.loop)
				second, third := aside(t, first), aside(t, first)
				run := bytes.Repeat([]byte("0123456789"), 250)
				buf := make([]byte, udp.MaxBatch)
				for _, c := range []*udp.Conn{first, second, third} {
					if err := c.Write(run, 1000, peer.LocalAddr()); err != nil {
						t.Fatal(err)
					}
					for got := 0; got < len(run); {
						n, _, from, err := peer.Read(buf)
						want := netip.AddrPortFrom(f.loop, first.LocalAddr().Port())
						if err != nil || from != want {
							t.Fatalf("from %v, want %v: %v", from, want, err)
						}
						got += n
					}
				}
				to := netip.AddrPortFrom(f.loop, first.LocalAddr().Port())
				for range 8 {
					if err := peer.Write([]byte("hello"), 0, to); err != nil {
						t.Fatal(err)
					}
					if n, _, _, err := first.Read(buf); err != nil || n != 5 {
						t.Fatalf("%d bytes: %v", n, err)
					}
				}
				if n := second.Unsent(); n != 0 {
					t.Errorf("%d bytes are unsent after they arrived", n)
				}
			})
		}
	}
}

func TestNobodyElseGetsAPortThatHasSocketsAside(t *testing.T) {
	for name, f := range families {
		t.Run(name, func(t *testing.T) {
			first := anywhere(t, f.any)
			aside(t, first)
			reuse := func(_, _ string, raw syscall.RawConn) error {
				return raw.Control(func(fd uintptr) {
					_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
					_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
				})
			}
			for _, at := range []netip.Addr{f.any, f.loop} {
				lc := net.ListenConfig{Control: reuse}
				addr := netip.AddrPortFrom(at, first.LocalAddr().Port())
				c, err := lc.ListenPacket(context.Background(), "udp", addr.String())
				if err == nil {
					_ = c.Close()
					t.Errorf("somebody else could bind %v", addr)
				}
			}
		})
	}
}

func TestWritingThroughASocketAsideAllocatesNothing(t *testing.T) {
	for name, f := range families {
		t.Run(name, func(t *testing.T) {
			first, peer := anywhere(t, f.loop), anywhere(t, f.loop)
			second := aside(t, first)
			run := make([]byte, 3000)
			n := testing.AllocsPerRun(100, func() {
				if second.Write(run, 1000, peer.LocalAddr()) != nil || second.Unsent() < 0 {
					t.Error("not sent")
				}
			})
			if n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}
