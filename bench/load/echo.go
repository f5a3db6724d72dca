// SPDX-License-Identifier: Apache-2.0

//go:build linux

package load

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// silent is the first byte of a datagram that gets no answer.
const silent = 's'

// lateTime is when an answer counts as lost.
const lateTime = time.Second

// Echo is a UDP service that answers every datagram with the same bytes, and a client of it.
type Echo struct {
	client, server *net.UDPConn
	wait           sync.WaitGroup
}

// OpenEcho starts the service and its client.
func OpenEcho(ctx context.Context, p Path) (*Echo, error) {
	server, err := p.listenUDP(ctx, PortEcho)
	if err != nil {
		return nil, err
	}
	client, err := p.dialUDP(PortEcho)
	if err != nil {
		shut(server)
		return nil, err
	}
	e := &Echo{client: client, server: server}
	e.wait.Go(e.answer)
	return e, nil
}

func (e *Echo) answer() {
	b := make([]byte, 2048)
	for {
		n, from, err := e.server.ReadFromUDPAddrPort(b)
		if err != nil {
			return // closed
		}
		if n > 0 && b[0] == silent {
			continue
		}
		_, _ = e.server.WriteToUDPAddrPort(b[:n], from) // who asks again gets an answer again
	}
}

// questionGap is the time between two questions of a round trip: long enough for every queue and
// every poll loop to fall asleep.
const questionGap = 2 * time.Millisecond

// RoundTrips asks for a while and returns how long the answers took in microseconds, the shortest
// first.
func RoundTrips(ctx context.Context, p Path, d time.Duration) ([]float64, error) {
	e, err := OpenEcho(ctx, p)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	took, err := e.Ask(int(d/questionGap), questionGap, 2*d)
	if err != nil {
		return nil, err
	}
	if len(took) == 0 {
		return nil, errors.New("no answer came")
	}
	slices.Sort(took)
	micro := make([]float64, len(took))
	for i, d := range took {
		micro[i] = float64(d.Nanoseconds()) / 1000
	}
	return micro, nil
}

// Ask asks so many times, a gap apart, or as often as fits into the limit, and returns how long
// each answer took. A question without an answer within a second is left out. It blocks in the
// kernel, as ping does: the way through the runtime's poller is not what is measured.
func (e *Echo) Ask(times int, gap, limit time.Duration) ([]time.Duration, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	file, err := e.client.File()
	if err != nil {
		return nil, err
	}
	defer file.Close()
	fd := int(file.Fd())
	if err := unix.SetNonblock(fd, false); err != nil {
		return nil, err
	}
	defer func() { _ = unix.SetNonblock(fd, true) }() // as the runtime has it
	wait := unix.NsecToTimeval(lateTime.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
		return nil, err
	}
	var took []time.Duration
	question, answer := make([]byte, 16), make([]byte, 64)
	end := time.Now().Add(limit)
	for i := range times {
		if i > 0 && time.Now().After(end) {
			break
		}
		question[1], question[2] = byte(i>>8), byte(i)
		begin := time.Now()
		if _, err := unix.Write(fd, question); err != nil {
			return took, err
		}
		for {
			n, err := unix.Read(fd, answer)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err != nil {
				break // late or lost
			}
			if n == len(question) && answer[1] == question[1] && answer[2] == question[2] {
				took = append(took, time.Since(begin))
				break
			}
		}
		time.Sleep(gap)
	}
	return took, nil
}

// Tell sends a datagram of so many bytes that gets no answer.
func (e *Echo) Tell(size int) error {
	b := make([]byte, size)
	b[0] = silent
	_, err := e.client.Write(b)
	return err
}

// Close ends both.
func (e *Echo) Close() {
	shut(e.client, e.server)
	e.wait.Wait()
}

// Answers says whether the service of a path answers within the limit.
func Answers(ctx context.Context, p Path, limit time.Duration) bool {
	e, err := OpenEcho(ctx, p)
	if err != nil {
		return false
	}
	defer e.Close()
	return e.First(limit, 20*time.Millisecond) == nil
}

// First asks every gap until the first answer comes; the error says that none came in time.
func (e *Echo) First(limit, gap time.Duration) error {
	end := time.Now().Add(limit)
	b := make([]byte, 64)
	for time.Now().Before(end) {
		_, _ = e.client.Write([]byte("first")) // nothing may listen or lead there yet
		if err := e.client.SetReadDeadline(time.Now().Add(gap)); err != nil {
			return err
		}
		for {
			n, err := e.client.Read(b)
			if err == nil && n > 0 {
				return e.client.SetReadDeadline(time.Time{})
			}
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			time.Sleep(gap) // the way says no
			break
		}
	}
	return os.ErrDeadlineExceeded
}
