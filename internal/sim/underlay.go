// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"time"
)

// NAT translates the addresses of the hosts behind it. The zero kind has endpoint independent
// mappings; what comes in must come from an address that was written to (RFC 4787: address and
// port dependent filtering). Unused mappings end.
type NAT struct {
	Addr      netip.Addr
	Timeout   time.Duration
	Fresh     time.Duration // instead of Timeout for a new mapping, as Linux has it; 0: the same
	Filter    Filter
	Symmetric bool // a mapping of its own for each destination (address and port dependent)
	next      uint16
	out       map[mapKey]*mapping
	in        map[uint16]*mapping
}

// mapKey finds a mapping from inside; to is zero when mappings are endpoint independent.
type mapKey struct{ from, to netip.AddrPort }

type mapping struct {
	inside netip.AddrPort
	port   uint16
	used   time.Duration
	peers  map[netip.AddrPort]time.Duration

	born     time.Duration
	answered bool
	stream   bool // packets went both ways when it was older than streamAge
}

// streamAge is how old a mapping has to be until Linux takes it for more than one question and its
// answer.
const streamAge = 2 * time.Second

// alive tells whether a mapping still stands.
func (n *NAT) alive(now time.Duration, m *mapping) bool {
	if n.Fresh > 0 && !m.stream {
		return now-m.used <= n.Fresh
	}
	return now-m.used <= n.Timeout
}

// use notes a packet through a mapping.
func (m *mapping) use(now time.Duration) {
	m.used = now
	m.stream = m.stream || m.answered && now-m.born > streamAge
}

// NewNAT puts a translator at a public address.
func (w *World) NewNAT(addr string, timeout time.Duration) *NAT {
	n := &NAT{Addr: netip.MustParseAddr(addr), Timeout: timeout}
	n.Forget()
	w.nats[n.Addr] = n
	return n
}

// Forget loses every mapping, as a restarted router does.
func (n *NAT) Forget() {
	n.next += 40000 // fresh ports, so that a stale one is recognised
	n.out, n.in = map[mapKey]*mapping{}, map[uint16]*mapping{}
}

func (n *NAT) outward(now time.Duration, from, to netip.AddrPort) netip.AddrPort {
	key := mapKey{from: from}
	if n.Symmetric {
		key.to = to
	}
	m := n.out[key]
	if m == nil || !n.alive(now, m) {
		if m != nil {
			delete(n.in, m.port)
		}
		n.next++
		m = &mapping{
			inside: from, port: n.next, peers: map[netip.AddrPort]time.Duration{}, born: now,
		}
		n.out[key], n.in[m.port] = m, m
	}
	m.use(now)
	m.peers[to] = now
	return netip.AddrPortFrom(n.Addr, m.port)
}

func (n *NAT) inward(now time.Duration, from netip.AddrPort, port uint16) (netip.AddrPort, bool) {
	m := n.in[port]
	if m == nil || !n.alive(now, m) {
		return netip.AddrPort{}, false
	}
	if !n.admits(m, from) {
		return netip.AddrPort{}, false
	}
	m.answered = true
	m.use(now)
	return m.inside, true
}

// secondPort is how far the port of a host's second socket is from that of its first.
const secondPort = 10000

// second is the address of the host's second socket.
func second(first netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(first.Addr(), first.Port()+secondPort)
}

// send puts a datagram on the wire.
func (w *World) send(h *Host, to netip.AddrPort, b []byte) { w.sendFrom(h, h.Addr, to, b) }

// sendFrom puts a datagram on the wire from one of the host's sockets.
func (w *World) sendFrom(h *Host, from, to netip.AddrPort, b []byte) {
	if h.NAT != nil {
		from = h.NAT.outward(w.Now, from, to)
	}
	w.check(h, b)
	w.note(h.Name, to, b)
	w.audit.sent(w, h, to, b)
	if w.attack.takes(h, from, to, b) {
		return
	}
	link, copies := w.linkTo(h, to), 1
	if link.Twice > 0 && w.dice.Float64() < link.Twice {
		copies = 2
		w.audit.copied(b)
	}
	if link.Loss > 0 && w.dice.Float64() < link.Loss {
		copies = 0
		w.Lost++
	}
	if link.Most > 0 && len(b) > link.Most {
		copies = 0
		w.Lost++
	}
	for range copies {
		d := link.Delay
		if link.Jitter > 0 {
			d += time.Duration(w.dice.Int64N(int64(link.Jitter)))
		}
		frame := bytes.Clone(b)
		w.At(w.Now+d, func() { w.arrive(h, from, to, frame) })
	}
}

// arrive takes a datagram off the wire.
func (w *World) arrive(sender *Host, from, to netip.AddrPort, b []byte) {
	if w.attack.hears(from, to, b) {
		return
	}
	inside := to
	if nat := w.nats[to.Addr()]; nat != nil {
		var ok bool
		if inside, ok = nat.inward(w.Now, from, to.Port()); !ok {
			w.Lost++
			return
		}
	}
	h, probe := w.byAddr[inside], false
	if h == nil {
		first := netip.AddrPortFrom(inside.Addr(), inside.Port()-secondPort)
		h, probe = w.byAddr[first], true
	}
	if h == nil || h.Node == nil || w.cut[cutKey(sender.Name, h.Name)] {
		w.Lost++
		if h != nil && h.Node == nil && !h.Dark {
			w.refuse(sender, to)
		}
		return
	}
	const header = 28 // IPv4 and UDP
	w.bytes[sender.Name+">"+h.Name] += len(b) + header
	w.Frames++
	if probe {
		h.Node.FromProbe(h.reading(), from, b, &h.out)
		h.done()
		return
	}
	h.receive(from, b)
}

// refuse is the ICMP error of a machine that runs no node: the sender hears of it.
func (w *World) refuse(sender *Host, to netip.AddrPort) {
	w.At(w.Now+w.link.Delay, func() {
		if sender.Node != nil {
			sender.Node.Unreachable(w.reading(), to, &sender.out)
			sender.done()
		}
	})
}

// note hashes a frame's bytes, time and link into the trace.
func (w *World) note(name string, to netip.AddrPort, b []byte) {
	var at [8]byte
	binary.BigEndian.PutUint64(at[:], uint64(w.Now))
	for _, part := range [][]byte{at[:], []byte(name), []byte(to.String()), b} {
		var size [4]byte
		binary.BigEndian.PutUint32(size[:], uint32(len(part)))
		w.trace.Write(size[:])
		w.trace.Write(part)
	}
}

// check holds every frame to what must never leave a node.
func (w *World) check(h *Host, b []byte) {
	if len(w.marker) > 0 && bytes.Contains(b, w.marker) {
		w.broken("%s sent the marker in clear", h.Name)
	}
}
