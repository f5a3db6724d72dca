// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package link carries frames between two interfaces late and not always, for kernels that cannot
// do it themselves. It never looks into them.
package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Way is what a link does to frames, in each direction.
type Way struct {
	Delay time.Duration
	Loss  float64 // the part that is lost, 0 to 1
	Seed  uint64
}

const (
	// frameMax is a frame of Ethernet with its header; what is longer was not cut, which is an
	// error of who set up the interface, and is lost.
	frameMax = 1514
	// queueMax is how many frames are on their way at most; what comes then is lost. A gigabit for
	// 25 ms is 2,000 frames.
	queueMax = 4096
	// bufferBytes holds what arrives while the reader does not run.
	bufferBytes = 4 << 20
)

// frame is one that will arrive.
type frame struct {
	due   time.Time
	bytes []byte
}

// place is a host: what f opens in Do stays in the host's network.
type place interface {
	Do(f func() error) error
}

// Join joins two interfaces of a host until end is called.
func Join(h place, a, b string, w Way) (end func(), err error) {
	files := [2]*os.File{}
	err = h.Do(func() error {
		for i, name := range [2]string{a, b} {
			if files[i], err = open(name); err != nil {
				return fmt.Errorf("link: %s: %w", name, err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	go carry(files[0], files[1], w, 1)
	go carry(files[1], files[0], w, 2)
	return func() {
		for _, f := range files {
			f.Close()
		}
	}, nil
}

// open makes a socket for the frames that come in at an interface.
func open(name string) (*os.File, error) {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_PACKET,
		unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	for _, o := range []struct{ level, name, value int }{
		{unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1},
		{unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, bufferBytes},
	} {
		err := unix.SetsockoptInt(fd, o.level, o.name, o.value)
		if err != nil && !errors.Is(err, unix.EPERM) {
			f.Close()
			return nil, err
		}
	}
	all := binary.NativeEndian.Uint16([]byte{0, unix.ETH_P_ALL})
	err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: i.Index})
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// carry takes frames in one direction until there are no more and all have arrived. All are late
// by the same time, so they keep their order.
func carry(from io.Reader, to io.Writer, w Way, direction uint64) {
	queue, empty := make(chan frame, queueMax), make(chan struct{})
	go func() {
		defer close(empty)
		for f := range queue {
			time.Sleep(time.Until(f.due))
			_, _ = to.Write(f.bytes) // lost is lost
		}
	}()
	defer func() {
		close(queue)
		<-empty
	}()
	dice := rand.New(rand.NewPCG(w.Seed, direction)) // it has to repeat
	b := make([]byte, 1<<16)
	for {
		n, err := from.Read(b)
		if err != nil {
			return // closed
		}
		if n > frameMax || dice.Float64() < w.Loss {
			continue
		}
		select {
		case queue <- frame{time.Now().Add(w.Delay), append([]byte(nil), b[:n]...)}:
		default:
		}
	}
}
