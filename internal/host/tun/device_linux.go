// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tun

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"staex/internal/host/prompt"
)

// Device is one TUN device, non-blocking on the runtime's poller.
//
// Read and ReadNow belong to one goroutine at a time; Write may be called by several.
type Device struct {
	file     *os.File
	raw      syscall.RawConn
	name     string
	offloads Offloads
	closed   atomic.Bool
	single   int // reads left without super-packets, owned by the reading goroutine

	// The arguments and results of a read, owned by the reading goroutine.
	in struct {
		buf   []byte
		wait  bool
		n     int
		errno syscall.Errno
		run   prompt.Run
		try   func(fd uintptr) bool
	}

	outMu sync.Mutex // guards the arguments and results of a write
	out   struct {
		buf   []byte
		errno syscall.Errno
		try   func(fd uintptr) bool
		call  func(fd uintptr, b []byte) (int, syscall.Errno)
		cut   [8]int // of each gso type: super-packets left that are cut here
		room  []byte // for the packets that are cut; nil until then
	}
}

// Open makes the device name, or attaches to it when an administrator made it before, and sets
// its MTU in bytes; 0 leaves the MTU alone. A name with "%d" lets the kernel number it. The device
// is down until somebody brings it up. Without the right to make devices the error satisfies
// errors.Is(err, os.ErrPermission); when another program holds it, errors.Is(err, syscall.EBUSY).
func Open(name string, mtu int) (*Device, error) { return open(name, mtu, 0) }

func open(name string, mtu int, kind uint16) (*Device, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("tun: open /dev/net/tun: %w", err)
	}
	return onFile(fd, name, mtu, kind)
}

// Again makes the device anew after somebody deleted it (see Gone), on the same open file: a
// process that gave up rights since may not be able to open another. The old Device is to be
// closed then; after an error it stays as it is.
func (d *Device) Again(mtu int) (*Device, error) { return d.again(mtu, 0) }

func (d *Device) again(mtu int, kind uint16) (*Device, error) {
	fd := -1
	var failed error
	err := d.raw.Control(func(old uintptr) {
		fd, failed = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err = errors.Join(err, failed); err != nil {
		return nil, fmt.Errorf("tun: make %s again: %w", d.name, err)
	}
	return onFile(fd, d.name, mtu, kind)
}

// onFile makes a device out of an open file, which it closes after an error.
func onFile(fd int, name string, mtu int, kind uint16) (*Device, error) {
	d := &Device{}
	if err := d.attach(fd, name, kind); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	if err := setMTU(d.name, mtu); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	// The descriptor must be attached before the poller sees it: an unattached one reports an
	// error at once and is never watched again.
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, errors.Join(fmt.Errorf("tun: open %s: %w", d.name, err), unix.Close(fd))
	}
	d.file = os.NewFile(uintptr(fd), d.name)
	var err error
	if d.raw, err = d.file.SyscallConn(); err != nil {
		return nil, errors.Join(fmt.Errorf("tun: open %s: %w", d.name, err), d.file.Close())
	}
	d.in.try, d.out.try, d.out.call = d.tryRead, d.tryWrite, prompt.Write
	return d, nil
}

// attach turns the descriptor into the device, or a queue of it, and asks for the offloads.
func (d *Device) attach(fd int, name string, kind uint16) error {
	req, err := unix.NewIfreq(name)
	if err != nil {
		return fmt.Errorf("tun: device name %q: %w", name, err)
	}
	req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR | kind)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
		if errors.Is(err, unix.EINVAL) && kind == 0 && exists(name) {
			err = unix.EBUSY // somebody made it with several queues
		}
		return fmt.Errorf("tun: make device %s: %w", name, err)
	}
	d.name = req.Name()
	// A device that outlives its opener keeps these from the last one.
	if err := unix.IoctlSetPointerInt(fd, unix.TUNSETVNETHDRSZ, HeaderSize); err != nil {
		return fmt.Errorf("tun: set header size of %s: %w", d.name, err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TUNSETVNETLE, 1); err != nil {
		return fmt.Errorf("tun: set byte order of %s: %w", d.name, err)
	}
	d.offloads = askOffloads(asks(fd))
	return nil
}

func setMTU(name string, mtu int) error {
	if mtu <= 0 {
		return nil
	}
	req, err := unix.NewIfreq(name)
	if err != nil {
		return fmt.Errorf("tun: device name %q: %w", name, err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("tun: set MTU of %s: %w", name, err)
	}
	req.SetUint32(uint32(mtu))
	err = unix.IoctlIfreq(fd, unix.SIOCSIFMTU, req)
	if err = errors.Join(err, unix.Close(fd)); err != nil {
		return fmt.Errorf("tun: set MTU of %s to %d: %w", name, mtu, err)
	}
	return nil
}

// Name returns the name the kernel gave the device.
func (d *Device) Name() string { return d.name }

// Offloads tells which super-packets the kernel may hand over. All kinds may be written always.
func (d *Device) Offloads() Offloads { return d.offloads }

// Close gives the device up; unless an administrator made it, it vanishes with its addresses and
// routes. A waiting Read returns an error that satisfies errors.Is(err, os.ErrClosed), and so does
// every call after it.
func (d *Device) Close() error {
	d.closed.Store(true)
	if err := d.file.Close(); err != nil {
		return fmt.Errorf("tun: close %s: %w", d.name, err)
	}
	return nil
}

// Gone tells whether somebody deleted the device under its descriptor. Every call but Close fails
// from then on, and only Again or another Open helps.
func (d *Device) Gone() bool {
	gone := false
	err := d.raw.Control(func(fd uintptr) {
		req, err := unix.NewIfreq(d.name)
		gone = err == nil && errors.Is(unix.IoctlIfreq(int(fd), unix.TUNGETIFF, req), unix.EBADFD)
	})
	return err == nil && gone
}

// Read waits for a packet from the host and puts its offload header and the packet into b, which
// should have MaxPacket bytes; what does not fit is lost. It allocates nothing.
func (d *Device) Read(b []byte) (int, error) {
	n, err := d.read(b, true)
	if err == nil {
		d.rejoin()
	}
	return n, err
}

// ReadNow is Read that does not wait: it returns 0 when nothing is there.
func (d *Device) ReadNow(b []byte) (int, error) {
	return d.read(b, false)
}

func (d *Device) read(b []byte, wait bool) (int, error) {
	in := &d.in
	in.buf, in.wait = b, wait
	err := d.raw.Read(in.try)
	in.buf = nil
	switch {
	case err != nil:
		return 0, fmt.Errorf("tun: read %s: %w", d.name, d.ended(err))
	case in.errno == unix.EAGAIN:
		return 0, nil
	case in.errno != 0:
		return 0, fmt.Errorf("tun: read %s: %w", d.name, in.errno)
	}
	return in.n, nil
}

// ended is an error of the poller: it has no exported name for a file that was closed, and another
// error for a device that somebody deleted.
func (d *Device) ended(err error) error {
	if d.closed.Load() {
		return os.ErrClosed
	}
	return err
}

// tryRead is called by the poller with the descriptor; false means wait until it is readable.
func (d *Device) tryRead(fd uintptr) bool {
	in := &d.in
	for {
		in.n, in.errno = in.run.Read(fd, in.buf)
		switch {
		case in.errno == unix.EINTR:
		case in.errno == unix.EAGAIN && in.wait:
			in.run.Waits()
			return false
		default:
			return true
		}
	}
}

// Write hands the host a packet or super-packet that follows its offload header. The kernel
// refuses a header that does not fit its packet with EINVAL, and everything with EIO while the
// device is down. It allocates nothing.
func (d *Device) Write(b []byte) error {
	if len(b) <= HeaderSize {
		return errShort
	}
	d.outMu.Lock()
	defer d.outMu.Unlock()
	if b[1] != gsoNone {
		return d.writeSuper(b)
	}
	return d.write(b)
}

// write hands over one packet or super-packet as it is.
func (d *Device) write(b []byte) error {
	d.out.buf = b
	err := d.raw.Write(d.out.try)
	d.out.buf = nil
	if err != nil {
		return fmt.Errorf("tun: write %s: %w", d.name, d.ended(err))
	}
	if d.out.errno != 0 {
		return fmt.Errorf("tun: write %s: %w", d.name, d.out.errno)
	}
	return nil
}

// tryWrite is called by the poller; false means wait until the device takes more.
func (d *Device) tryWrite(fd uintptr) bool {
	out := &d.out
	for {
		_, out.errno = out.call(fd, out.buf)
		if out.errno != unix.EINTR {
			return out.errno != unix.EAGAIN
		}
	}
}
