// SPDX-License-Identifier: Apache-2.0

//go:build linux

package udp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

var honest = kernel{(*message).sendmsg, (*message).recvmsg}

// on opens a socket over a kernel, and tells what it was told to doubt.
func on(t *testing.T, k kernel) (c *Conn, doubts *[]string) {
	t.Helper()
	doubts = new([]string)
	c, err := listenOn(k, netip.MustParseAddrPort("127.0.0.1:0"), Options{
		Doubt: func(what string) { *doubts = append(*doubts, what) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, doubts
}

// refuses is a kernel that answers runs with an error and, if single is not 0, datagrams too.
func refuses(run, single syscall.Errno, runs *int) kernel {
	return kernel{func(m *message, fd uintptr) {
		switch {
		case m.seg > 0:
			*runs++
			m.errno = run
		case single != 0:
			m.errno = single
		default:
			m.sendmsg(fd)
		}
	}, (*message).recvmsg}
}

func TestARefusedRunIsSentOneByOneAndTheKernelNotAskedForAWhile(t *testing.T) {
	for _, errno := range []syscall.Errno{
		unix.EIO, unix.EINVAL, unix.EMSGSIZE, unix.EOPNOTSUPP, unix.ENOPROTOOPT,
	} {
		t.Run(errno.Error(), func(t *testing.T) {
			var runs int
			a, doubts := on(t, refuses(errno, 0, &runs))
			b := listen(t, "127.0.0.1:0")
			if runs != 1 {
				t.Fatalf("the kernel was tried %d times at the start, want once", runs)
			}
			runs = 0
			sent := bytes.Repeat([]byte("01234567"), 312)
			for range 10 {
				if err := a.Write(sent, 1000, b.LocalAddr()); err != nil {
					t.Fatal(err)
				}
				got, _ := receive(t, b, 3)
				if !slices.EqualFunc(got, slices.Collect(slices.Chunk(sent, 1000)), bytes.Equal) {
					t.Fatalf("%d datagrams differ from those sent", len(got))
				}
			}
			if runs != 1 || !slices.Equal(*doubts, []string{doubtCut}) {
				t.Errorf("%d runs were tried, doubts %q; want one of each", runs, *doubts)
			}
			a.pause = 1 // the last send of a while
			for range 2 {
				if err := a.Write(sent, 1000, b.LocalAddr()); err != nil {
					t.Fatal(err)
				}
			}
			if runs != 2 || len(*doubts) != 1 {
				t.Errorf("%d runs were tried in two whiles, %d doubts told", runs, len(*doubts))
			}
		})
	}
}

func TestAPathThatIsTooNarrowSpeaksNotAgainstRuns(t *testing.T) {
	for _, errno := range []syscall.Errno{unix.EMSGSIZE, unix.EINVAL} {
		var runs int
		a, doubts := on(t, refuses(errno, unix.EMSGSIZE, &runs))
		runs = 0
		for range 3 {
			err := a.Write(make([]byte, 3000), 1000, a.LocalAddr())
			if !errors.Is(err, unix.EMSGSIZE) {
				t.Errorf("got %v, want EMSGSIZE", err)
			}
		}
		if runs != 3 || len(*doubts) > 0 {
			t.Errorf("%v: %d of 3 runs were tried, doubts %q", errno, runs, *doubts)
		}
	}
}

// said changes the size of the datagrams of a run that the kernel reports. It returns 0 for a
// message that is no run.
func said(m *message, size func(was int) int) (was int) {
	at := unix.CmsgLen(0)
	if int(m.header.Controllen) < at+4 || m.errno != 0 {
		return 0
	}
	was = int(binary.NativeEndian.Uint32(m.control[at:]))
	binary.NativeEndian.PutUint32(m.control[at:], uint32(size(was)))
	return was
}

func sizes(size func(was, n int) int) kernel {
	return kernel{(*message).sendmsg, func(m *message, fd uintptr) {
		m.recvmsg(fd)
		said(m, func(was int) int { return size(was, m.n) })
	}}
}

// unsized is a kernel that joins datagrams and does not say how long they are.
var unsized = kernel{(*message).sendmsg, func(m *message, fd uintptr) {
	m.recvmsg(fd)
	m.header.Controllen = 0
}}

func TestAKernelThatLiesOnTheLoopbackIsGivenNoRuns(t *testing.T) {
	for name, k := range map[string]kernel{
		"joins without a size": unsized,
		"says a wrong size":    sizes(func(was, _ int) int { return was + 1 }),
		"says half the size":   sizes(func(was, _ int) int { return was / 2 }),
		"says no size":         sizes(func(int, int) int { return 0 }),
		"says a negative size": sizes(func(int, int) int { return -600 }),
		"says too large a size": sizes(func(_, n int) int {
			return n + 1
		}),
		"does not cut": {func(m *message, fd uintptr) {
			m.seg = 0
			m.sendmsg(fd)
		}, (*message).recvmsg},
		"tells of more than there is": {(*message).sendmsg, func(m *message, fd uintptr) {
			m.recvmsg(fd)
			m.n *= 2
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c, doubts := on(t, k)
			if !slices.Equal(*doubts, []string{doubtCut}) || c.gso || joins(t, c) {
				t.Fatalf("doubts %q, cuts %v, joins %v", *doubts, c.gso, joins(t, c))
			}
			b := listen(t, "127.0.0.1:0")
			c.kernel = honest // alone the datagrams are all right
			if err := c.Write(make([]byte, 2500), 1000, b.LocalAddr()); err != nil {
				t.Fatal(err)
			}
			if got, _ := receive(t, b, 3); len(got[0]) != 1000 || len(got[2]) != 500 {
				t.Error("other datagrams arrived than were sent")
			}
		})
	}
}

// joins asks the kernel whether it may join the datagrams of a socket.
func joins(t *testing.T, c *Conn) (on bool) {
	t.Helper()
	err := c.socket.hold(func(fd int) {
		v, err := unix.GetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO)
		on = err == nil && v != 0
	})
	if err != nil {
		t.Fatal(err)
	}
	return on
}

// A device may do what the loopback does not, so each lie is told to a socket that was opened in
// good faith, too.
func TestARunOfWrongSizeEndsRunsForAWhile(t *testing.T) {
	lost := kernel{(*message).sendmsg, func(m *message, fd uintptr) {
		m.recvmsg(fd)
		m.header.Flags |= unix.MSG_CTRUNC
		m.header.Controllen = 0
	}}
	long := kernel{(*message).sendmsg, func(m *message, fd uintptr) {
		m.recvmsg(fd)
		m.truncated = m.errno == 0 && m.n > 1000
	}}
	more := kernel{(*message).sendmsg, func(m *message, fd uintptr) {
		if m.recvmsg(fd); m.n > 1000 {
			m.n = MaxBatch + 1
		}
	}}
	for name, tc := range map[string]struct {
		k    kernel
		want error
	}{
		"no size":            {sizes(func(int, int) int { return 0 }), nil},
		"negative":           {sizes(func(int, int) int { return -1 }), nil},
		"larger than all":    {sizes(func(_, n int) int { return n + 1 }), nil},
		"lost":               {lost, nil},
		"more than 64 KiB":   {long, ErrBuffer},
		"more than the room": {more, ErrBuffer},
	} {
		t.Run(name, func(t *testing.T) {
			c, doubts := on(t, honest)
			c.kernel = tc.k
			if !joins(t, c) {
				t.Skip("this kernel joins no datagrams; needs Linux 5.0")
			}
			buf := make([]byte, MaxBatch)
			for range 3 { // the rest comes one by one, whatever the kernel would say
				if err := c.Write(make([]byte, 3000), 1000, c.LocalAddr()); err != nil {
					t.Fatal(err)
				}
			}
			for i := range 7 {
				n, seg, _, err := c.Read(buf)
				if !errors.Is(err, tc.want) && err != nil {
					t.Fatal(err)
				}
				if err == nil && (n > len(buf) || seg < 1 || seg > n) {
					t.Fatalf("%d bytes in datagrams of %d", n, seg)
				}
				if i == 0 {
					c.kernel = honest
					if joins(t, c) {
						t.Fatal("the kernel still joins")
					}
					for range 2 {
						_, _, _, err = c.Read(buf) // were joined before
					}
					if err != nil {
						t.Fatal(err)
					}
					if err := c.Write(make([]byte, 6000), 1000, c.LocalAddr()); err != nil {
						t.Fatal(err)
					}
				} else if n != 1000 || seg != 1000 {
					t.Fatalf("%d bytes in datagrams of %d, want one of 1000", n, seg)
				}
			}
			if !slices.Equal(*doubts, []string{doubtJoin}) {
				t.Errorf("doubts %q, want one", *doubts)
			}
			c.single = 1 // the last read of the while
			if err := c.Write([]byte("x"), 0, c.LocalAddr()); err != nil {
				t.Fatal(err)
			}
			if _, _, _, err := c.Read(buf); err != nil || !joins(t, c) {
				t.Errorf("the kernel may not join after a while: %v", err)
			}
		})
	}
}
