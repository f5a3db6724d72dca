// SPDX-License-Identifier: Apache-2.0

package hosttest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

const (
	// tunQueue is how many packets wait on each side of a TUN twin: the kernel's default for a
	// device (txqueuelen 500). More are lost, as there.
	tunQueue = 500

	// tunHeader is the size of the offload header before each packet.
	tunHeader = 10
)

// TUN is the twin of a tun.Device. The embedded methods are the device side; Emit and Absorb are
// the host behind it.
type TUN struct {
	name     string
	toDevice chan []byte
	toHost   chan []byte
	closed   chan struct{}
	once     sync.Once
}

// NewTUN makes a device that exists in this process only.
func NewTUN(name string) *TUN {
	return &TUN{
		name:     name,
		toDevice: make(chan []byte, tunQueue),
		toHost:   make(chan []byte, tunQueue),
		closed:   make(chan struct{}),
	}
}

// Name returns the name of the device.
func (d *TUN) Name() string { return d.name }

// Emit has the host send a packet with its offload header through the device. The bytes are
// copied. It reports false when the packet was lost: queue full or device closed.
func (d *TUN) Emit(b []byte) bool {
	if d.isClosed() {
		return false
	}
	select {
	case d.toDevice <- bytes.Clone(b):
		return true
	default:
		return false
	}
}

// Absorb waits for the next packet the host receives from the device, with its offload header;
// nil when the device is closed.
func (d *TUN) Absorb() []byte {
	select {
	case b := <-d.toHost:
		return b
	case <-d.closed:
		return nil
	}
}

// AbsorbNow is Absorb that does not wait; nil when nothing came.
func (d *TUN) AbsorbNow() []byte {
	select {
	case b := <-d.toHost:
		return b
	default:
		return nil
	}
}

// Read waits for a packet the host sends. Errors satisfy errors.Is(err, os.ErrClosed).
func (d *TUN) Read(b []byte) (int, error) {
	if d.isClosed() {
		return 0, d.closedError("read")
	}
	select {
	case p := <-d.toDevice:
		return copy(b, p), nil
	case <-d.closed:
		return 0, d.closedError("read")
	}
}

// ReadNow is Read that does not wait: it returns 0 when nothing is there.
func (d *TUN) ReadNow(b []byte) (int, error) {
	if d.isClosed() {
		return 0, d.closedError("read")
	}
	select {
	case p := <-d.toDevice:
		return copy(b, p), nil
	default:
		return 0, nil
	}
}

// Write hands the host a packet that follows its offload header. A full queue loses it.
func (d *TUN) Write(b []byte) error {
	if d.isClosed() {
		return d.closedError("write")
	}
	if len(b) <= tunHeader {
		return fmt.Errorf("hosttest: write %s: %w", d.name, io.ErrShortWrite)
	}
	if v := b[tunHeader] >> 4; v != 4 && v != 6 {
		return fmt.Errorf("hosttest: write %s: not IP: %w", d.name, errors.ErrUnsupported)
	}
	select {
	case d.toHost <- bytes.Clone(b):
	default:
	}
	return nil
}

// Close ends waiting reads.
func (d *TUN) Close() error {
	err := d.closedError("close")
	d.once.Do(func() {
		close(d.closed)
		err = nil
	})
	return err
}

func (d *TUN) isClosed() bool {
	select {
	case <-d.closed:
		return true
	default:
		return false
	}
}

func (d *TUN) closedError(op string) error {
	return fmt.Errorf("hosttest: %s %s: %w", op, d.name, os.ErrClosed)
}
