// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"strconv"

	"staex/internal/host/udp"
	"staex/internal/wire"
)

// probeBuffer is what a second socket may hold: one answer is under way at a time.
const probeBuffer = 4 << 10

// openProbes opens a second socket for each family, at a port that the machine chooses, where the
// node is to learn how long a translator keeps a mapping. Others have no use for it.
func (d *daemon) openProbes() error {
	if !d.files.cfg.Link.KeepAliveAuto {
		return nil
	}
	d.later(d.host.probes.close)
	for _, c := range d.host.sockets.all() {
		at := netip.AddrPortFrom(c.LocalAddr().Addr(), 0)
		probe, err := udp.Listen(at, udp.Options{
			BufferBytes: probeBuffer, DSCP: d.files.cfg.Link.DSCP,
		})
		if err != nil {
			return d.listenFailure(at, err)
		}
		if at.Addr().Is4() {
			d.host.probes.v4 = probe
		} else {
			d.host.probes.v6 = probe
		}
	}
	return nil
}

// startProbes starts what reads the second sockets.
func (d *daemon) startProbes() {
	for i, c := range d.host.probes.all() {
		d.crew.start("probe "+strconv.Itoa(i), func() error { return d.readProbes(c) })
	}
}

// readProbes is the goroutine of one second socket. It ends when the socket is closed.
func (d *daemon) readProbes(c *udp.Conn) error {
	buf := make([]byte, wire.MaxDatagram) // longer runs are nobody's answer
	for {
		n, seg, from, err := c.Read(buf)
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case errors.Is(err, udp.ErrBuffer):
			continue
		case err != nil:
			return err
		}
		d.traffic.in[classKeepAlive].Add(uint64(n))
		d.loop.frames.probed(unmapped(from), buf[:min(n, seg)])
	}
}

// probed takes an answer from a second socket; it may be lost, and is asked for again.
func (q queue) probed(from netip.AddrPort, b []byte) {
	select {
	case q <- parcel{from: from, frame: bytes.Clone(b), probe: true}:
	default:
	}
}
