// SPDX-License-Identifier: Apache-2.0

package udp

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"staex/internal/host/hosttest"
)

func listen(t testing.TB, addr string) *Conn {
	t.Helper()
	c, err := Listen(netip.MustParseAddrPort(addr), Options{})
	if errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) {
		t.Skipf("this machine has no %s; bring up its loopback to run this test", addr)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// receive collects datagrams until want have come; the test's own deadline ends a loss.
func receive(t testing.TB, c *Conn, want int) (datagrams [][]byte, from netip.AddrPort) {
	t.Helper()
	stop := time.AfterFunc(10*time.Second, func() { _ = c.Close() })
	defer stop.Stop()
	buf := make([]byte, MaxBatch)
	for len(datagrams) < want {
		n, seg, sender, err := c.Read(buf)
		if err != nil {
			t.Fatalf("after %d of %d datagrams: %v", len(datagrams), want, err)
		}
		for d := range slices.Chunk(buf[:n], seg) {
			datagrams = append(datagrams, bytes.Clone(d))
		}
		from = sender
	}
	return datagrams, from
}

func TestTheSocketBehavesLikeItsTwin(t *testing.T) {
	hosttest.TestUDP(t, hosttest.UDPHost{
		ReadNow: runtime.GOOS == "linux",
		Listen: func(a netip.AddrPort) (hosttest.UDPConn, error) {
			c, err := Listen(a, Options{})
			if err != nil {
				return nil, err // not a nil *Conn in an interface
			}
			return c, nil
		},
	})
}

func TestEmptyDatagramsAreSkipped(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reading without waiting exists on Linux only; run this test there")
	}
	a, b := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	buf := make([]byte, MaxBatch)
	if n, _, _, err := b.ReadNow(buf); n != 0 || err != nil {
		t.Fatalf("empty socket gave %d bytes and %v", n, err)
	}
	stranger, err := net.ListenUDP("udp4", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	for range 200 { // empty datagrams are no reason to stop, nor to be reported
		if _, err := stranger.WriteToUDPAddrPort(nil, b.LocalAddr()); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Write([]byte("x"), 0, b.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	if got, _ := receive(t, b, 1); string(got[0]) != "x" {
		t.Errorf("got %q behind empty datagrams, want x", got[0])
	}
	if err := a.Write([]byte("y"), 0, b.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	if n, _, _, err := b.ReadNow(buf); n != 1 || err != nil {
		t.Errorf("got %d bytes (%v), want y", n, err)
	}
}

func TestAPortNobodyListensToDoesNotBreakTheSocket(t *testing.T) {
	a, b, gone := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	_ = gone.Close()
	for range 3 {
		if err := a.Write([]byte("nobody"), 0, gone.LocalAddr()); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Write([]byte("still here"), 0, a.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	if got, _ := receive(t, a, 1); string(got[0]) != "still here" {
		t.Errorf("got %q", got[0])
	}
}

func TestAShortBufferIsReported(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("lost datagrams are noticed on Linux only; run this test there")
	}
	a := listen(t, "127.0.0.1:0")
	if err := a.Write(make([]byte, 100), 0, a.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := a.Read(make([]byte, 10)); !errors.Is(err, ErrBuffer) {
		t.Errorf("got %v, want ErrBuffer", err)
	}
	if _, _, _, err := a.Read(nil); err == nil {
		t.Error("a read into nothing succeeded")
	}
}

func TestSeveralWritersDoNotMixTheirDatagrams(t *testing.T) {
	a, b := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	const writers, each = 4, 20
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			run := bytes.Repeat([]byte{byte(w)}, 300)
			for range each {
				if err := a.Write(run, 100, b.LocalAddr()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	got, _ := receive(t, b, writers*each*3)
	wg.Wait()
	for _, d := range got {
		if len(d) != 100 || bytes.Count(d, d[:1]) != 100 {
			t.Fatalf("a datagram of %d bytes has bytes of several writers", len(d))
		}
	}
}

func TestChunksStayWithinWhatOneSendCarries(t *testing.T) {
	for _, tc := range []struct{ size, seg, want int }{
		{0, 0, 0},
		{10, 0, 10},
		{10, 10, 10},
		{10, -1, 10},
		{1000, 1, 64},
		{70_000, 1452, 44 * 1452},
		{200_000, 65_000, 65_000},
		{200_000, 100_000, 100_000},
	} {
		if got := chunk(tc.size, tc.seg); got != tc.want {
			t.Errorf("chunk(%d, %d) = %d, want %d", tc.size, tc.seg, got, tc.want)
		}
	}
}

func TestTheFastPathDoesNotAllocate(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only the Linux socket avoids allocations; run this test there")
	}
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		c := listen(t, addr)
		buf, out := make([]byte, MaxBatch), make([]byte, 5000)
		allocs := testing.AllocsPerRun(100, func() {
			if err := c.Write(out, 1000, c.LocalAddr()); err != nil {
				t.Fatal(err)
			}
			if n, _, _, err := c.Read(buf); n == 0 || err != nil {
				t.Fatal(n, err)
			}
			if _, _, _, err := c.ReadNow(buf); err != nil {
				t.Fatal(err)
			}
		})
		if allocs != 0 {
			t.Errorf("%s: %v allocations for a send and a receive", addr, allocs)
		}
	}
}

func BenchmarkRunOverLoopback(b *testing.B) {
	for _, seg := range []int{96, 1452} {
		c := listen(b, "127.0.0.1:0")
		out, buf := make([]byte, chunk(1<<20, seg)), make([]byte, MaxBatch)
		b.Run(strconv.Itoa(seg), func(b *testing.B) {
			b.SetBytes(int64(len(out)))
			for b.Loop() {
				if err := c.Write(out, seg, c.LocalAddr()); err != nil {
					b.Fatal(err)
				}
				for got := 0; got < len(out); {
					n, _, _, err := c.Read(buf)
					if err != nil {
						b.Fatal(err)
					}
					got += n
				}
			}
		})
	}
}
