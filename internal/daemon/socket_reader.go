// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"net"
	"strconv"
	"syscall"

	"staex/internal/host/udp"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/plane"
)

// startReaders starts what carries packets.
func (d *daemon) startReaders() {
	for i, c := range d.host.sockets.all() {
		w := d.newWorker()
		d.crew.start("socket "+strconv.Itoa(i), func() error { return d.readSocket(c, w) })
	}
	w := d.newWorker()
	d.crew.start("device", func() error { return d.readDevice(w) })
}

// newWorker makes a worker and remembers it, because its counters are read by others.
func (d *daemon) newWorker() *plane.Worker {
	w := plane.NewWorker(d.node.Tables())
	w.Segmented = d.host.device.Offloads().UDP
	d.workers = append(d.workers, w)
	return w
}

// readSocket is the goroutine of one socket: one batch of datagrams after the other through the
// tables, to the device, to next hops and, what concerns it, to the node. It ends when the socket
// is closed.
func (d *daemon) readSocket(c *udp.Conn, w *plane.Worker) error {
	buf := make([]byte, udp.MaxBatch)
	for {
		n, seg, from, err := c.Read(buf)
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case errors.Is(err, udp.ErrBuffer):
			w.C.Drops[drop.Oversized].Add(1)
			continue
		case err != nil:
			return err
		}
		now := up()
		d.traffic.woke[wokeSocket].Add(1)
		w.Reset()
		w.Inbound(now, unmapped(from), buf[:n], seg)
		if w.Joined {
			c.Single()
		}
		d.traffic.received(n, w.Control)
		d.sendRuns(w, buf, w.Transit)
		d.sendRuns(w, w.Buf, w.Runs)
		d.deliver(w)
		d.loop.frames.offer(w)
	}
}

// sendRuns sends what a worker cut out of a buffer.
func (d *daemon) sendRuns(w *plane.Worker, buf []byte, runs []plane.Run) {
	for _, r := range runs {
		if d.host.sockets.send(buf[r.Off:r.Off+r.Len], r.Seg, r.To) != nil {
			w.C.Drops[drop.NoRoute].Add(1)
			continue
		}
		d.traffic.out[classData].Add(uint64(r.Len))
	}
}

// deliver writes what a worker has for the host to the device.
func (d *daemon) deliver(w *plane.Worker) {
	for _, p := range w.Packets {
		switch err := d.host.device.Write(p); {
		case errors.Is(err, syscall.EINVAL):
			w.C.Drops[drop.BadOffload].Add(1)
		case err != nil:
			w.C.Drops[drop.NoDevice].Add(1)
		}
	}
}
