// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"staex/internal/host/udp"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/plane"
	"staex/internal/wire"
)

// startReaders starts what carries packets.
func (d *daemon) startReaders() {
	queues := len(*d.host.device.now.Load())
	for i := range d.host.lanes {
		lane := &d.host.lanes[i]
		for _, c := range lane.all() {
			name, w := "socket "+strconv.Itoa(len(d.workers)), d.newWorker()
			d.crew.start(name, func() error { return d.readSocket(lane, c, w) })
		}
		if i < queues {
			name, w := "device "+strconv.Itoa(i), d.newWorker()
			d.crew.start(name, func() error { return d.readDevice(i, w) })
		}
	}
}

// newWorker makes a worker and remembers it, because its counters are read by others.
func (d *daemon) newWorker() *plane.Worker {
	w := plane.NewWorker(d.node.Tables())
	w.Segmented = d.host.device.Offloads().UDP
	d.workers = append(d.workers, w)
	return w
}

// readSocket is the goroutine of one socket of a lane: one batch of datagrams after the other
// through the tables, to the device, to next hops and, what concerns it, to the node. When more
// arrive than it carries, small ones share the sends. It ends when the socket is closed.
func (d *daemon) readSocket(lane *sockets, c *udp.Conn, w *plane.Worker) error {
	buf := make([]byte, plane.Enough+udp.MaxBatch)
	for {
		n, seg, from, err := c.Read(buf[:udp.MaxBatch])
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
		answerHere(c, from, buf[:n])
		w.Inbound(now, unmapped(from), buf[:n], seg)
		if c.Behind() {
			n = more(now, c, w, buf, n)
		}
		if w.Joined {
			c.Single()
		}
		d.traffic.received(n, w.Control)
		d.sendRuns(now, lane, w, buf, w.Transit)
		d.sendRuns(now, lane, w, w.Buf, w.Runs)
		d.deliver(w)
		d.loop.frames.offer(w)
	}
}

// more takes what else waits in a socket, behind the n bytes that the buffer has already, as long
// as it surely fits and those are few. It returns how many bytes there are then. An error of the
// socket comes again with the next Read.
func more(now time.Duration, c *udp.Conn, w *plane.Worker, buf []byte, n int) int {
	for n < plane.Enough && w.RoomForBatch() {
		k, seg, from, err := c.ReadNow(buf[n : n+udp.MaxBatch])
		if errors.Is(err, udp.ErrBuffer) {
			w.C.Drops[drop.Oversized].Add(1)
		}
		if err != nil || k == 0 {
			break
		}
		answerHere(c, from, buf[n:n+k])
		w.InboundAt(now, unmapped(from), buf[:n+k], n, seg)
		n += k
	}
	return n
}

// answerHere has a peer that begins to talk answered from the address that it knows.
func answerHere(c *udp.Conn, from netip.AddrPort, b []byte) {
	switch wire.PeekType(b) {
	case wire.TypeHello1, wire.TypeTicket, wire.TypeNATProbe:
		c.AnswerHere(unmapped(from))
	}
}

// sendRuns sends what a worker cut out of a buffer, through the sockets of its own lane.
func (d *daemon) sendRuns(now time.Duration, lane *sockets, w *plane.Worker, buf []byte,
	runs []plane.Run,
) {
	for _, r := range runs {
		sent, err := lane.sendData(now, buf[r.Off:r.Off+r.Len], r.Seg, r.To)
		switch {
		case err != nil:
			w.C.Drops[drop.NoRoute].Add(1)
		case sent:
			d.sentData(r.Len)
		}
	}
}

// sentData counts bytes of tunnels that have left.
func (d *daemon) sentData(bytes int) { d.traffic.out[classData].Add(uint64(bytes)) }

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
