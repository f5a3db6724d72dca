// SPDX-License-Identifier: Apache-2.0

package forward

import (
	"context"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

// acceptPause is how long a listener rests after an error such as "too many open files".
const acceptPause = 100 * time.Millisecond

// A tcpDoor passes connections on.
type tcpDoor struct {
	to       netip.AddrPort
	listener net.Listener
	all      *places // of all doors together

	mu     sync.Mutex // guards the fields below
	closed bool
	open   map[io.Closer]struct{}
	active sync.WaitGroup
}

func (d *tcpDoor) serve() {
	defer d.active.Wait()
	for {
		c, err := d.listener.Accept()
		switch {
		case err == nil:
		case closed(err):
			return
		default:
			time.Sleep(acceptPause)
			continue
		}
		if !d.all.take() {
			_ = c.Close() // who comes too much is told by being hung up on
			continue
		}
		d.active.Go(func() {
			defer d.all.giveBack()
			d.pass(c)
		})
	}
}

// pass carries one connection until both sides have said that they are done, or the door closes.
func (d *tcpDoor) pass(near net.Conn) {
	if !d.admit(near) {
		return
	}
	defer d.dismiss(near)
	ctx, cancel := context.WithTimeout(context.Background(), DialTime)
	defer cancel()
	call := &dialing{cancel}
	if !d.admit(call) {
		return
	}
	var dialer net.Dialer
	far, err := dialer.DialContext(ctx, "tcp", d.to.String())
	d.dismiss(call)
	if err != nil || !d.admit(far) {
		return // the near end sees its connection close, as it would without us
	}
	defer d.dismiss(far)
	var both sync.WaitGroup
	both.Go(func() { copyHalf(far, near) })
	both.Go(func() { copyHalf(near, far) })
	both.Wait()
}

// dialing is a connection that the other end has not answered yet. Closing it ends the wait.
type dialing struct{ cancel context.CancelFunc }

func (c *dialing) Close() error {
	c.cancel()
	return nil
}

// copyHalf carries one direction and passes its end on.
func copyHalf(to, from net.Conn) {
	_, err := io.Copy(to, from)
	half, ok := to.(interface{ CloseWrite() error })
	if err != nil || !ok || half.CloseWrite() != nil {
		_ = to.Close() // a broken direction breaks the connection
		_ = from.Close()
	}
}

// admit remembers a connection, so that close finds it; a closed door admits none.
func (d *tcpDoor) admit(c io.Closer) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		_ = c.Close() // nothing was sent
		return false
	}
	d.open[c] = struct{}{}
	return true
}

func (d *tcpDoor) dismiss(c io.Closer) {
	_ = c.Close() // both directions are done
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.open, c)
}

func (d *tcpDoor) close() {
	_ = d.listener.Close() // ends serve
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	for c := range d.open {
		_ = c.Close() // ends its copies, or its wait
	}
}
