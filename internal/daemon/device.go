// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"

	"staex/internal/host/tun"
	"staex/internal/overlay/flow"
)

// device is the virtual device as the goroutines share it. Anybody with the right to may delete the
// one that is open; the keeper then puts another in its place. The zero value holds none.
type device struct {
	now  atomic.Pointer[[]*tun.Device] // its queues: one, or one for each lane
	kept bool                          // there is a keeper; set before anybody reads
	most int                           // how many queues have readers; set before that, too

	mu     sync.Mutex // guards what follows, and the order of changes
	closed bool
	change chan struct{} // closed when now changes or the device is closed
}

// put makes these queues the open device.
func (v *device) put(queues []*tun.Device) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.most = len(queues)
	v.place(queues)
}

func (v *device) place(queues []*tun.Device) {
	v.now.Store(&queues)
	if v.change != nil {
		close(v.change)
	}
	v.change = make(chan struct{})
}

// current is the first queue, which is always there.
func (v *device) current() *tun.Device { return (*v.now.Load())[0] }

// Name is the name that the kernel gave the device.
func (v *device) Name() string { return v.current().Name() }

// Offloads tells which super-packets the kernel may hand over.
func (v *device) Offloads() tun.Offloads { return v.current().Offloads() }

// Write hands the host a packet. The packets of one flow go to one queue: the kernel hands over
// its answers there.
func (v *device) Write(b []byte) error {
	queues := *v.now.Load()
	if len(queues) == 1 {
		return queues[0].Write(b)
	}
	return queues[flow.Spread(b)%uint(len(queues))].Write(b)
}

// replace opens another device of the same name in the place of one that was deleted or renamed.
// Until that succeeds every write fails.
func (v *device) replace(mtu int) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return os.ErrClosed
	}
	old := *v.now.Load()
	if old[0].Gone() {
		queues, err := tun.AgainQueues(old, mtu, v.most)
		if err != nil {
			return err
		}
		v.place(queues)
		return closeAll(old)
	}
	_ = closeAll(old) // an earlier try may have closed it
	queues, err := tun.OpenQueues(old[0].Name(), mtu, v.most)
	if err != nil {
		return err
	}
	v.place(queues)
	return nil
}

func closeAll(queues []*tun.Device) error {
	var errs []error
	for _, q := range queues {
		errs = append(errs, q.Close())
	}
	return errors.Join(errs...)
}

// after waits for the successor of queue i whose read failed. It is nil when the daemon has closed
// the device, and, with the error, when the device is there and fails all the same. A device that
// comes back with fewer queues has no successor for some of them, until it comes back again.
func (v *device) after(i int, old *tun.Device, failed error) (*tun.Device, error) {
	for {
		v.mu.Lock()
		queues, closed, change := *v.now.Load(), v.closed, v.change
		v.mu.Unlock()
		switch {
		case closed:
			return nil, nil
		case i >= len(queues):
		case queues[i] != old:
			return queues[i], nil
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
	return closeAll(*v.now.Load())
}
