// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"net/netip"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/plane"
	"staex/internal/wire"
)

// A parcel is what the fast path leaves to the node: a datagram, or facts.
type parcel struct {
	link  plane.LinkID
	from  netip.AddrPort
	frame []byte
	seen  []plane.Notice
	gone  bool // ICMP says that nobody is at from
	probe bool // the frame came to the second socket
}

// isWork tells apart what an idle node gets all the time.
func (p parcel) isWork() bool {
	return !p.probe && (p.link == 0 || classOf(p.frame) != classKeepAlive)
}

// A queue leads from the fast path to the node. It never blocks the fast path.
type queue chan parcel

// offer copies what a worker has for the node.
func (q queue) offer(w *plane.Worker) {
	for _, c := range w.Control {
		if len(c.B) > wire.MaxDatagram {
			w.C.Drops[drop.BadFrame].Add(1)
			continue
		}
		q.put(w, parcel{link: c.Link, from: c.From, frame: bytes.Clone(c.B)})
	}
	if len(w.Notices) == 0 {
		return
	}
	seen := make([]plane.Notice, len(w.Notices))
	for i, n := range w.Notices {
		n.Body = bytes.Clone(n.Body)
		seen[i] = n
	}
	q.put(w, parcel{seen: seen})
}

// refused takes the hint of an ICMP error; it may be lost.
func (q queue) refused(addr netip.AddrPort) {
	select {
	case q <- parcel{from: addr, gone: true}:
	default:
	}
}

func (q queue) put(w *plane.Worker, p parcel) {
	select {
	case q <- p:
	default:
		w.C.Drops[drop.QueueFull].Add(1)
	}
}
