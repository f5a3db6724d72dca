// SPDX-License-Identifier: Apache-2.0

package forward

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// maxDatagram is the largest payload of UDP in bytes.
const maxDatagram = 65507

// A udpDoor passes datagrams on. Each client has a socket of its own towards the other end, so that
// answers find their way back.
type udpDoor struct {
	to     netip.AddrPort
	socket net.PacketConn

	mu      sync.Mutex // guards the fields below
	closed  bool
	clients map[string]net.Conn // by the address of the client
	active  sync.WaitGroup
}

func (d *udpDoor) serve() {
	defer d.active.Wait()
	b := make([]byte, maxDatagram)
	for {
		n, from, err := d.socket.ReadFrom(b)
		switch {
		case closed(err):
			return
		case err != nil:
			continue // an earlier answer could not be delivered
		}
		if far := d.client(from); far != nil {
			_ = far.SetReadDeadline(time.Now().Add(IdleTime))
			_, _ = far.Write(b[:n]) // datagrams may get lost
		}
	}
}

// client is the socket of a client; nil where there is no room for another one.
func (d *udpDoor) client(from net.Addr) net.Conn {
	d.mu.Lock()
	defer d.mu.Unlock()
	name := from.String()
	if far := d.clients[name]; far != nil {
		return far
	}
	if d.closed || len(d.clients) >= MaxClients {
		return nil
	}
	far, err := net.Dial("udp", d.to.String())
	if err != nil {
		return nil
	}
	d.clients[name] = far
	d.active.Go(func() { d.answers(name, from, far) })
	return far
}

// answers carries what comes back to a client, until neither has said anything for IdleTime.
func (d *udpDoor) answers(name string, to net.Addr, far net.Conn) {
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		_ = far.Close() // datagrams have no end to be told
		if d.clients[name] == far {
			delete(d.clients, name)
		}
	}()
	b := make([]byte, maxDatagram)
	for {
		n, err := far.Read(b)
		if err != nil {
			if closed(err) || errors.Is(err, os.ErrDeadlineExceeded) {
				return
			}
			continue // the other end refused one; it may take the next
		}
		_ = far.SetReadDeadline(time.Now().Add(IdleTime))
		if _, err := d.socket.WriteTo(b[:n], to); closed(err) {
			return
		}
	}
}

func (d *udpDoor) close() {
	_ = d.socket.Close() // ends serve
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	for _, far := range d.clients {
		_ = far.Close() // ends its answers
	}
}
