// SPDX-License-Identifier: Apache-2.0

//go:build linux

package load

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// batch is how many datagrams go to the kernel at a time.
const batch = 64

// pace is how often a flood with a rate sends what is due.
const pace = time.Millisecond

// superBytes is the longest super-packet, a burst that arrives as it was sent.
const superBytes = 64 << 10

// messenger sends and receives many datagrams per system call, for IPv4 or IPv6.
type messenger interface {
	ReadBatch(m []ipv4.Message, flags int) (int, error)
	WriteBatch(m []ipv4.Message, flags int) (int, error)
}

// Flood is a stream of datagrams that nobody answers.
type Flood struct {
	out, in  *net.UDPConn
	sender   messenger
	messages []ipv4.Message
	size     int // of a datagram's payload, in bytes
	burst    int // datagrams to a message
	received atomic.Int64
	wait     sync.WaitGroup
}

// OpenFlood prepares a flood of datagrams with a payload of so many bytes along a path. With a
// burst over 1 the kernel gets so many of them as one super-packet (UDP_SEGMENT), which costs the
// sender next to nothing: what is measured then is not the generator.
func OpenFlood(ctx context.Context, p Path, size, burst int) (*Flood, error) {
	in, err := p.listenUDP(ctx, PortFlood)
	if err != nil {
		return nil, err
	}
	out, err := p.dialUDP(PortFlood)
	if err != nil {
		shut(in)
		return nil, err
	}
	f := &Flood{out: out, in: in, sender: messages(p, out), size: size, burst: burst}
	err = errors.Join(deepen(out), deepen(in))
	if burst > 1 {
		err = errors.Join(err, option(out, unix.UDP_SEGMENT, size), option(in, unix.UDP_GRO, 1))
	}
	if err != nil {
		shut(out, in)
		return nil, err
	}
	payload := [][]byte{make([]byte, size*burst)}
	for range batch {
		f.messages = append(f.messages, ipv4.Message{Buffers: payload})
	}
	f.wait.Go(func() { f.count(messages(p, in)) })
	return f, nil
}

// messages is the way to a socket's system calls for many datagrams.
func messages(p Path, c *net.UDPConn) messenger {
	if p.Target.Is4() {
		return ipv4.NewPacketConn(c)
	}
	return ipv6.NewPacketConn(c)
}

func (f *Flood) count(from messenger) {
	room := make([]ipv4.Message, batch)
	space := 2048
	if f.burst > 1 {
		space = superBytes
	}
	for i := range room {
		room[i].Buffers = [][]byte{make([]byte, space)}
	}
	for {
		n, err := from.ReadBatch(room, 0)
		if err != nil {
			return // closed
		}
		for _, m := range room[:n] {
			f.received.Add(int64(max(1, m.N/f.size)))
		}
	}
}

// Received is how many datagrams have arrived.
func (f *Flood) Received() int64 { return f.received.Load() }

// Send sends datagrams for a while, rate of them a second, or as many as possible if it is 0. It
// returns how many the kernel has taken.
func (f *Flood) Send(rate int, d time.Duration) (int, error) {
	sent, begin := 0, time.Now()
	for {
		past := time.Since(begin)
		if past >= d {
			return sent, nil
		}
		due := batch
		if rate > 0 {
			due = int(past.Seconds()*float64(rate)) - sent
		}
		for due > 0 {
			n, err := f.sender.WriteBatch(f.messages[:min(due, len(f.messages))], 0)
			// What a full queue refuses is lost; a device that is not up yet is no reason to end.
			if err != nil && !errors.Is(err, unix.ENOBUFS) && !errors.Is(err, unix.EAGAIN) {
				return sent, err
			}
			if n <= 0 {
				n = 1
			}
			sent += n
			due -= n
		}
		if rate > 0 {
			time.Sleep(pace)
		}
	}
}

// Bursts sends so many bursts, a gap apart, so that they stay apart on their way, and returns how
// many datagrams the kernel has taken.
func (f *Flood) Bursts(n int, gap time.Duration) (int, error) {
	for range n {
		if _, err := f.sender.WriteBatch(f.messages[:1], 0); err != nil {
			return 0, err
		}
		rest := unix.NsecToTimespec(gap.Nanoseconds()) // the runtime's timers count milliseconds
		_ = unix.Nanosleep(&rest, nil)                 // a signal ends it early, which is as good
	}
	return n * f.burst, nil
}

// Close ends the flood.
func (f *Flood) Close() {
	shut(f.out, f.in)
	f.wait.Wait()
}
