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

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7)
	}
	return b
}

func TestADatagramArrivesWithItsSender(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		a, b := listen(t, addr), listen(t, addr)
		if err := a.Write([]byte("hello"), 0, b.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		got, from := receive(t, b, 1)
		if string(got[0]) != "hello" || from != a.LocalAddr() {
			t.Errorf("%s: got %q from %v, want hello from %v", addr, got[0], from, a.LocalAddr())
		}
	}
}

func TestARunArrivesAsItsDatagrams(t *testing.T) {
	for _, tc := range []struct {
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
		t.Run(tc.name, func(t *testing.T) {
			a, b := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
			sent := pattern(tc.size)
			seg := tc.seg
			if seg == 0 {
				seg = tc.size
			}
			want := slices.Collect(slices.Chunk(sent, seg))
			if err := a.Write(sent, tc.seg, b.LocalAddr()); err != nil {
				t.Fatal(err)
			}
			got, _ := receive(t, b, len(want))
			if !slices.EqualFunc(got, want, bytes.Equal) {
				t.Errorf("%d datagrams differ from the %d sent", len(got), len(want))
			}
		})
	}
}

func TestBothFamiliesShareAPort(t *testing.T) {
	v4 := listen(t, "0.0.0.0:0")
	v6, err := Listen(netip.AddrPortFrom(netip.IPv6Unspecified(), v4.LocalAddr().Port()), Options{})
	if errors.Is(err, syscall.EAFNOSUPPORT) {
		t.Skip("this machine has no IPv6; enable it to run this test")
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = v6.Close()
}

func TestATakenPortIsRecognisable(t *testing.T) {
	a := listen(t, "127.0.0.1:0")
	_, err := Listen(a.LocalAddr(), Options{})
	if runtime.GOOS != "windows" && !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("got %v, want EADDRINUSE", err)
	}
}

func TestReadNowDoesNotWait(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reading without waiting exists on Linux only; run this test there")
	}
	a, b := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	buf := make([]byte, MaxBatch)
	if n, _, _, err := b.ReadNow(buf); n != 0 || err != nil {
		t.Fatalf("empty socket gave %d bytes and %v", n, err)
	}
	for range 200 { // empty datagrams are no reason to stop, nor to be reported
		if err := emptyDatagram(a, b.LocalAddr()); err != nil {
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
	n, seg, from, err := b.ReadNow(buf) // loopback delivers within the send
	if n != 1 || seg != 1 || from != a.LocalAddr() || err != nil {
		t.Errorf("got n=%d seg=%d from=%v err=%v, want y", n, seg, from, err)
	}
}

func emptyDatagram(c *Conn, to netip.AddrPort) error {
	_, err := c.pc.WriteToUDPAddrPort(nil, to)
	return err
}

func TestCloseEndsAWaitingRead(t *testing.T) {
	c := listen(t, "127.0.0.1:0")
	ended := make(chan error)
	go func() {
		_, _, _, err := c.Read(make([]byte, MaxBatch))
		ended <- err
	}()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("waiting read got %v, want net.ErrClosed", err)
	}
	err := c.Write([]byte("x"), 0, netip.MustParseAddrPort("127.0.0.1:9"))
	if !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after close got %v, want net.ErrClosed", err)
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

func TestTheWrongFamilyIsAnError(t *testing.T) {
	a := listen(t, "127.0.0.1:0")
	if a.Write([]byte("x"), 0, netip.MustParseAddrPort("[::1]:9")) == nil {
		t.Error("an IPv4 socket claims to have sent to ::1")
	}
	if a.Write([]byte("x"), 0, netip.AddrPort{}) == nil {
		t.Error("a send to no address succeeded")
	}
}

func TestATooLargeDatagramIsRecognisable(t *testing.T) {
	a := listen(t, "127.0.0.1:0")
	err := a.Write(make([]byte, 70_000), 0, a.LocalAddr())
	if !errors.Is(err, syscall.EMSGSIZE) {
		t.Errorf("got %v, want EMSGSIZE", err)
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
		{0, 0, 0}, {10, 0, 10}, {10, 10, 10}, {10, -1, 10}, {1000, 1, 64},
		{70_000, 1452, 44 * 1452}, {200_000, 65_000, 65_000}, {200_000, 100_000, 100_000},
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
