// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"

	"staex/internal/host/tun"
)

// device is the virtual device as the goroutines share it. Anybody with the right to may delete the
// one that is open; the keeper then puts another in its place. The zero value holds none.
type device struct {
	now  atomic.Pointer[tun.Device]
	kept bool // there is a keeper; set before anybody reads

	mu     sync.Mutex // guards what follows, and the order of changes
	closed bool
	change chan struct{} // closed when now changes or the device is closed
}

// put makes dev the open device.
func (v *device) put(dev *tun.Device) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.place(dev)
}

func (v *device) place(dev *tun.Device) {
	v.now.Store(dev)
	if v.change != nil {
		close(v.change)
	}
	v.change = make(chan struct{})
}

func (v *device) current() *tun.Device { return v.now.Load() }

// Name is the name that the kernel gave the device.
func (v *device) Name() string { return v.now.Load().Name() }

// Offloads tells which super-packets the kernel may hand over.
func (v *device) Offloads() tun.Offloads { return v.now.Load().Offloads() }

// Write hands the host a packet.
func (v *device) Write(b []byte) error { return v.now.Load().Write(b) }

// replace opens another device of the same name in the place of one that was deleted or renamed.
// Until that succeeds every write fails.
func (v *device) replace(mtu int) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return os.ErrClosed
	}
	old := v.now.Load()
	if old.Gone() {
		dev, err := old.Again(mtu)
		if err != nil {
			return err
		}
		v.place(dev)
		return old.Close()
	}
	_ = old.Close() // an earlier try may have closed it
	dev, err := tun.Open(old.Name(), mtu)
	if err != nil {
		return err
	}
	v.place(dev)
	return nil
}

// after waits for the successor of a device whose read failed. It is nil when the daemon has closed
// the device, and, with the error, when the device is there and fails all the same.
func (v *device) after(old *tun.Device, failed error) (*tun.Device, error) {
	for {
		v.mu.Lock()
		now, closed, change := v.now.Load(), v.closed, v.change
		v.mu.Unlock()
		switch {
		case closed:
			return nil, nil
		case now != old:
			return now, nil
		case !v.kept, !errors.Is(failed, os.ErrClosed) && !old.Gone():
			return nil, failed
		}
		<-change
	}
}

// Close gives the device up and ends its reader.
func (v *device) Close() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.closed {
		v.closed = true
		close(v.change)
		v.change = nil
	}
	return v.now.Load().Close()
}
