// SPDX-License-Identifier: Apache-2.0

package tun

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
)

// errStands is the answer to a wish that only a deleted device could have.
var errStands = errors.New("tun: a device that stands is not made again")

// Packets is a device of the system that moves plain packets, as golang.zx2c4.com/wireguard/tun
// has it. Each packet stands offset bytes behind the start of its buffer, and the bytes before it
// are the device's to use.
type Packets interface {
	Name() (string, error)
	Read(bufs [][]byte, sizes []int, offset int) (int, error)
	Write(bufs [][]byte, offset int) (int, error)
	Close() error
}

// Plain is a TUN device of a system without offloads: every packet is read and written by itself,
// and super-packets are cut here. It is made by NewPlain.
//
// Read belongs to one goroutine at a time; Write may be called by several.
type Plain struct {
	packets Packets
	name    string
	closed  atomic.Bool

	// The arguments of the system's Read, owned by the reading goroutine.
	in struct {
		bufs  [1][]byte
		sizes [1]int
	}

	// mu guards the arguments of the system's Write, and its calls: that of Windows serves one
	// at a time.
	mu  sync.Mutex
	out struct {
		bufs [1][]byte
		room [MaxPacket]byte
	}
}

// NewPlain makes a device out of packets, which it owns unless there is an error.
func NewPlain(packets Packets) (*Plain, error) {
	name, err := packets.Name()
	if err != nil {
		return nil, fmt.Errorf("tun: name of the device: %w", err)
	}
	return &Plain{packets: packets, name: name}, nil
}

// Name returns the name that the system gave the device.
func (d *Plain) Name() string { return d.name }

// Offloads returns none. Super-packets of all kinds may be written all the same.
func (*Plain) Offloads() Offloads { return Offloads{} }

// Gone returns false: nobody learns here that somebody deleted the device.
func (*Plain) Gone() bool { return false }

// Again returns an error: there is nothing to make again where nothing is gone.
func (*Plain) Again(int) (*Device, error) { return nil, errStands }

// Single returns false: nothing but single packets comes out anyway.
func (*Plain) Single() bool { return false }

// Close gives the device up. A waiting Read returns an error that satisfies
// errors.Is(err, os.ErrClosed), and so does every call after it.
func (d *Plain) Close() error {
	if d.closed.Swap(true) {
		return d.failed("close", nil)
	}
	if err := d.packets.Close(); err != nil {
		return fmt.Errorf("tun: close %s: %w", d.name, err)
	}
	return nil
}

// Read waits for a packet from the host and puts an empty offload header and the packet into b,
// which should have MaxPacket bytes. It allocates nothing.
func (d *Plain) Read(b []byte) (int, error) {
	if len(b) <= HeaderSize {
		return 0, errShort
	}
	d.in.bufs[0] = b
	for !d.closed.Load() {
		n, err := d.packets.Read(d.in.bufs[:], d.in.sizes[:], HeaderSize)
		if err != nil {
			return 0, d.failed("read", err)
		}
		if n > 0 && d.in.sizes[0] > 0 {
			clear(b[:HeaderSize])
			return HeaderSize + d.in.sizes[0], nil
		}
	}
	return 0, d.failed("read", nil)
}

// ReadNow returns 0: without waiting, nothing can be had here.
func (d *Plain) ReadNow([]byte) (int, error) {
	if d.closed.Load() {
		return 0, d.failed("read", nil)
	}
	return 0, nil
}

// Write hands the host the packet that follows its offload header, or one by one the packets for
// which a super-packet stands; those after one that fails are lost. It refuses a header that does
// not fit its packet with EINVAL. It allocates nothing.
func (d *Plain) Write(b []byte) error {
	if d.closed.Load() {
		return d.failed("write", nil)
	}
	cuts, err := Cut(b)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		n := cuts.Next(d.out.room[HeaderSize:])
		if n == 0 {
			return nil
		}
		d.out.bufs[0] = d.out.room[:HeaderSize+n]
		if _, err := d.packets.Write(d.out.bufs[:], HeaderSize); err != nil {
			return d.failed("write", err)
		}
	}
}

// failed says which call failed. Devices tell in words of their own that they were closed.
func (d *Plain) failed(op string, err error) error {
	if d.closed.Load() && !errors.Is(err, os.ErrClosed) {
		err = os.ErrClosed
	}
	return fmt.Errorf("tun: %s %s: %w", op, d.name, err)
}
