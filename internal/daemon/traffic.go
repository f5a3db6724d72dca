// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"sync/atomic"

	"staex/internal/overlay/plane"
	"staex/internal/wire"
)

// class is what the bytes on the underlay were for.
type class int

// The classes of bytes.
const (
	classData      class = iota // of tunnels, ours and those carried for others
	classControl                // what neighbours tell each other
	classKeepAlive              // signs of life, and questions about addresses and translators
	classHandshake              // of links and of sessions
	classes
)

var classNames = [classes]string{"data", "control", "keep-alive", "handshake"}

// What wakes: one name for each kind of goroutine that waits for something outside.
const (
	wokeNode = iota
	wokeSocket
	wokeDevice
	wokers
)

var wokeNames = [wokers]string{"node", "socket", "device"}

// traffic is what went through this daemon since its start. Bytes are UDP payload.
type traffic struct {
	in, out [classes]atomic.Uint64
	woke    [wokers]atomic.Uint64
}

// received counts one batch of n bytes: what a worker left to the node by its kind, and the rest,
// which it dealt with itself, as data.
func (t *traffic) received(n int, left []plane.Control) {
	for _, c := range left {
		t.in[classOf(c.B)].Add(uint64(len(c.B)))
		n -= len(c.B)
	}
	if n > 0 {
		t.in[classData].Add(uint64(n))
	}
}

// classOf tells what a datagram is for. Link frames are sealed, but a keep-alive is shorter than
// anything else that they carry.
func classOf(b []byte) class {
	switch wire.PeekType(b) {
	case wire.TypeData:
		return classData
	case wire.TypeNudge, wire.TypeNATProbe:
		return classKeepAlive
	case wire.TypeLink:
		_, size, err := wire.ParseDataHeader(b)
		if err == nil && len(b) <= size+wire.EchoSize+wire.TagSize {
			return classKeepAlive
		}
		return classControl
	default:
		return classHandshake
	}
}
