// SPDX-License-Identifier: Apache-2.0

// Package tun is the virtual network device by which the host's packets enter and leave the
// overlay; it never changes what a packet says and knows no addresses.
//
// Every packet is preceded by a header of [HeaderSize] bytes (virtio_net_hdr, little endian:
// virtio specification 1.2, section 5.1.6) by which the kernel hands over super-packets of up to
// 64 KiB that were never cut and whose checksums were never computed, and takes the same back:
//
//	0       1          2           4           6             8              10
//	+-------+----------+-----------+-----------+-------------+--------------+--------
//	| flags | gso type | hdr_len   | gso_size  | csum_start  | csum_offset  | IP ...
//	+-------+----------+-----------+-----------+-------------+--------------+--------
//
// That is Linux. Elsewhere the host hands over plain packets, and super-packets are cut here.
package tun

import "errors"

const (
	// HeaderSize is the length in bytes of the offload header before every packet.
	HeaderSize = 10

	// MaxPacket is the size in bytes of a buffer that [Device.Read] can always fill: the header
	// and the largest IP packet.
	MaxPacket = HeaderSize + 65535
)

// errShort is a write without room for a header and the first byte of a packet.
var errShort = errors.New("tun: packet shorter than its offload header")

// Offloads are the kinds of super-packet the kernel may hand over.
type Offloads struct {
	TCP bool // TCP over IPv4 and IPv6 (TSO), and unfinished checksums
	UDP bool // UDP over IPv4 and IPv6 (USO, Linux 6.2)
}
