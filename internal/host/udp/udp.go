// SPDX-License-Identifier: Apache-2.0

// Package udp is the underlay socket: it moves datagrams, many per system call where the kernel
// can, and never looks inside them.
//
// One [Conn] serves one address family. On Linux a send of several equal datagrams is one call
// (UDP_SEGMENT, "GSO") and a receive returns a run of them (UDP_GRO); elsewhere the same methods
// work one datagram at a time.
package udp

import (
	"errors"
	"net/netip"
)

const (
	// MaxBatch is the size in bytes of a buffer that [Conn.Read] can always fill: the largest run
	// of datagrams a kernel hands over at once.
	MaxBatch = 64 << 10

	// MaxSendBytes bounds one send. IPv4 cannot carry more than 65,507 bytes of UDP payload even
	// when the kernel cuts it, and the rest is room for headers of devices below.
	MaxSendBytes = 65000

	// MaxSegments bounds the datagrams of one send: kernels before 6.6 refuse more
	// (UDP_MAX_SEGMENTS).
	MaxSegments = 64

	// DefaultBufferBytes is what the socket may hold in each direction when [Options] says
	// nothing: sixteen full batches, enough to ride out a scheduling pause of a few milliseconds
	// at gigabit speed, and little enough to be named beside the memory of a small device.
	DefaultBufferBytes = 1 << 20
)

// ErrBuffer is returned by reads whose buffer was smaller than the run of datagrams that arrived.
// The run is lost. A buffer of [MaxBatch] bytes meets it only where a kernel joins too many.
var ErrBuffer = errors.New("udp: receive buffer too small, datagrams lost")

// errEmptyBuffer is a mistake of the caller, told apart from a lost run.
var errEmptyBuffer = errors.New("udp: receive buffer is empty")

// Options are what a socket is opened with. The zero value is the normal choice.
type Options struct {
	// BufferBytes is the size of each socket buffer; 0 means DefaultBufferBytes.
	BufferBytes int
	// DSCP is the service class of every datagram, 0 to 63 (RFC 2474). They are not ECN-capable.
	// Other systems than Linux leave it at 0.
	DSCP uint8
	// Unreachable is told, from any goroutine that reads or writes, the address of an earlier
	// datagram that a machine refused by ICMP. Such a message can be forged: it is a hint. Nil
	// asks for none; other systems than Linux never call it.
	Unreachable func(netip.AddrPort)
	// Doubt is told, from any goroutine that reads or writes, once for each offload that the
	// kernel claims to have and gets wrong: what it is. The socket does without for a while. Nil
	// is told nothing; other systems than Linux have no offloads.
	Doubt func(offload string)

	beside bool // it shares its address, or only its port, with another socket of ours
	aside  bool // it receives nothing
	pins   *pins
}

func (o Options) bufferBytes() int {
	if o.BufferBytes <= 0 {
		return DefaultBufferBytes
	}
	return o.BufferBytes
}

// chunk returns how many bytes of a write with segments of seg bytes go into one send.
func chunk(size, seg int) int {
	if seg <= 0 || seg >= size {
		return size
	}
	return max(1, min(MaxSegments, MaxSendBytes/seg)) * seg
}
