// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"staex/bench/load"
)

// Ends replace the two ends of a session: they send frames under its label as fast as they can and
// count what arrives. Nothing is sealed and nothing opened, so what costs is the way.
type Ends struct {
	out, in       *net.UDPConn
	frames, bytes atomic.Int64 // that arrived
	wait          sync.WaitGroup
}

const (
	// windowBytes and windowFrames are how much is on its way at most: less than any buffer there
	// holds, so that a relay which is slower than the source loses nothing.
	windowBytes, windowFrames = 512 << 10, 512
	// nap is how long the source waits while so much is on its way, and lostTime when what has not
	// arrived counts as lost.
	nap, lostTime = 20 * time.Microsecond, 20 * time.Millisecond
)

// bufferBytes is asked for on both sockets, so that neither is what loses.
const bufferBytes = 16 << 20

// OpenEnds binds the addresses of the two ends; who had them must have ended.
func OpenEnds(from, to load.Place, source, sink netip.AddrPort) (*Ends, error) {
	e := &Ends{}
	open := func(p load.Place, a netip.AddrPort, gro bool) (c *net.UDPConn, err error) {
		err = p.Do(func() error {
			if c, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(a)); err != nil {
				return err
			}
			return options(c, gro)
		})
		return c, err
	}
	var err error
	if e.out, err = open(from, source, false); err != nil {
		return nil, fmt.Errorf("the source: %w", err)
	}
	if e.in, err = open(to, sink, true); err != nil {
		shut(e.out)
		return nil, fmt.Errorf("the sink: %w", err)
	}
	e.wait.Go(e.count)
	return e, nil
}

// options makes the buffers deep and, for a receiver, batches whole.
func options(c *net.UDPConn, gro bool) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		for _, o := range []int{unix.SO_RCVBUFFORCE, unix.SO_SNDBUFFORCE} {
			failed = errors.Join(failed,
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, o, bufferBytes))
		}
		if gro {
			failed = errors.Join(failed,
				unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_GRO, 1))
		}
	})
	return errors.Join(err, failed)
}

func (e *Ends) count() {
	b, control := make([]byte, 1<<16), make([]byte, 64)
	for {
		n, k, _, _, err := e.in.ReadMsgUDPAddrPort(b, control)
		if err != nil {
			return // closed
		}
		size := n
		if k >= unix.CmsgLen(2) {
			size = int(binary.NativeEndian.Uint16(control[unix.CmsgLen(0):]))
		}
		if n > 0 {
			e.frames.Add(int64((n + size - 1) / size))
			e.bytes.Add(int64(n))
		}
	}
}

// Send sends frames of so many bytes under a label, together in one send, for a while, as fast as
// they arrive.
func (e *Ends) Send(to netip.AddrPort, label uint32, size, together int, d time.Duration) error {
	b := make([]byte, size*together)
	for at := 0; at < len(b); at += size {
		binary.BigEndian.PutUint32(b[at:], plainData|label)
	}
	var control []byte
	if together > 1 {
		control = make([]byte, unix.CmsgSpace(2))
		binary.NativeEndian.PutUint64(control, uint64(unix.CmsgLen(2)))
		binary.NativeEndian.PutUint32(control[8:], unix.IPPROTO_UDP)
		binary.NativeEndian.PutUint32(control[12:], unix.UDP_SEGMENT)
		binary.NativeEndian.PutUint16(control[16:], uint16(size))
	}
	sent, bytes := e.frames.Load(), e.bytes.Load()
	arrived, progress := e.frames.Load(), time.Now()
	for begin := time.Now(); time.Since(begin) < d; {
		if n := e.frames.Load(); n != arrived {
			arrived, progress = n, time.Now()
		}
		if sent-arrived > windowFrames || bytes-e.bytes.Load() > windowBytes {
			if time.Since(progress) > lostTime {
				sent, bytes = e.frames.Load(), e.bytes.Load()
			}
			time.Sleep(nap)
			continue
		}
		sent += int64(together)
		bytes += int64(len(b))
		_, _, err := e.out.WriteMsgUDPAddrPort(b, control, to)
		if err != nil && !errors.Is(err, unix.ENOBUFS) && !errors.Is(err, unix.EAGAIN) {
			return err
		}
	}
	return nil
}

// shut closes connections of which nothing more is wanted.
func shut(all ...net.Conn) {
	for _, c := range all {
		c.Close()
	}
}

// Close ends both.
func (e *Ends) Close() {
	shut(e.out, e.in)
	e.wait.Wait()
}
