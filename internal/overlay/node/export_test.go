// SPDX-License-Identifier: Apache-2.0

package node

import (
	"net/netip"
	"time"
)

// RecodeContents parses what is sealed into a ticket and encodes it again.
func RecodeContents(b []byte) ([]byte, error) {
	c, err := parseContents(b)
	if err != nil {
		return nil, err
	}
	return c.Append(nil), nil
}

// RecodeKept parses what a child keeps of a ticket and encodes it again.
func RecodeKept(b []byte) ([]byte, error) {
	k, err := parseKept(b)
	if err != nil {
		return nil, err
	}
	return k.Append(nil), nil
}

// ErrKept is the error of both.
var ErrKept = errKept

// Worn reports whether a link needs a handshake, from the number of resumptions, the calendar of
// its last handshake, the link time before and after the present keys, and whether data flowed.
func Worn(count uint8, at uint32, before, up time.Duration, seconds uint32, data bool) bool {
	t := tenure{count: count, at: at, before: before}
	return t.worn(up, seconds, data)
}

// Place names the network of an address.
func Place(a netip.Addr) [8]byte { return place(a) }

// SpoilKEM makes a node's half of an exchange under way one that the other end does not have, as
// if a bit of the key or of the answer had been another one. It reports whether there was any.
func SpoilKEM(n *Node) bool {
	for _, l := range n.links.all() {
		if x := l.kem; x != nil && !x.mixed {
			x.keys.Chain[0] ^= 1
			return true
		}
	}
	return false
}
