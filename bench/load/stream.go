// SPDX-License-Identifier: Apache-2.0

//go:build linux

package load

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// chunk is how much a stream writes and reads at a time: what iperf3 does.
const chunk = 128 << 10

// Stream is one or more TCP connections that carry as much as they can, until Close. Each end of
// each has a thread that blocks in the kernel: this costs a quarter of what waiting in the
// runtime's poller does, and the rest of the machine is for who is measured.
type Stream struct {
	received atomic.Int64
	listener net.Listener
	wait     sync.WaitGroup

	mu    sync.Mutex // guards ends
	ends  []*os.File
	ended bool
}

// OpenStream starts n connections along a path.
func OpenStream(ctx context.Context, p Path, n int) (*Stream, error) {
	l, err := p.listenTCP(ctx, PortStream)
	if err != nil {
		return nil, err
	}
	s := &Stream{listener: l}
	s.wait.Go(s.accept)
	for range n {
		c, err := p.dialTCP(ctx, PortStream)
		if err == nil {
			err = s.start(c, write)
		}
		if err != nil {
			s.Close()
			return nil, err
		}
	}
	return s, nil
}

func (s *Stream) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return // closed
		}
		if s.start(c, s.read) != nil {
			return // nothing will arrive, which is what will be reported
		}
	}
}

// start gives one end of a connection to a thread that lives until f returns.
func (s *Stream) start(c net.Conn, f func(fd int)) error {
	defer c.Close()
	t, ok := c.(*net.TCPConn)
	if !ok {
		return net.ErrClosed
	}
	if err := t.SetLinger(0); err != nil { // what stands in queues is not waited for
		return err
	}
	end, err := t.File()
	if err != nil {
		return err
	}
	fd := int(end.Fd())
	if err := unix.SetNonblock(fd, false); err != nil {
		end.Close()
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return end.Close()
	}
	s.ends = append(s.ends, end)
	s.wait.Go(func() {
		runtime.LockOSThread()
		f(fd)
	})
	return nil
}

func write(fd int) {
	b := make([]byte, chunk)
	for {
		if _, err := unix.Write(fd, b); err != nil && !errors.Is(err, unix.EINTR) {
			return // shut down
		}
	}
}

func (s *Stream) read(fd int) {
	b := make([]byte, chunk)
	for {
		n, err := unix.Read(fd, b)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n == 0 {
			return
		}
		s.received.Add(int64(n))
	}
}

// Received is how many bytes have arrived.
func (s *Stream) Received() int64 { return s.received.Load() }

// Close ends the connections without a farewell.
func (s *Stream) Close() {
	s.listener.Close()
	s.mu.Lock()
	s.ended = true
	for _, end := range s.ends {
		_ = unix.Shutdown(int(end.Fd()), unix.SHUT_RDWR) // gone already is as good
	}
	s.mu.Unlock()
	s.wait.Wait()
	for _, end := range s.ends {
		end.Close()
	}
}
