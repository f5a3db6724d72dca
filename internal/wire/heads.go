// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"

	"staex/internal/ident"
)

// MaxHeads is how many networks one message speaks of. It holds every network that a first
// message can be addressed to; who admits more sends several.
const MaxHeads = 32

const headStateSize = 8 + 4 + 8 + 4

// Heads is control message 20: what the sender knows of the revocations and the time of the
// networks it admits. It also tells the neighbour of which networks to pass news on.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------------------------------------------------------+
//	|  hash of the network (8)                                      |
//	|                                                               |
//	+---------------------------------------------------------------+
//	|  number of the newest list                                    |
//	+---------------------------------------------------------------+
//	|  digest of the revoked keys (8)                               |
//	|                                                               |
//	+---------------------------------------------------------------+
//	|  moment, Unix seconds                                         |
//	+---------------------------------------------------------------+
//	|  more networks in the same form ...                           |
//	+---------------------------------------------------------------+
//
//	offset  size  field
//	0       8     hash of the network's key
//	8       4     number of the newest list; 0: none, or send everything
//	12      8     digest of the revoked keys; 0 with number 0: send everything
//	20      4     moment that has certainly passed in the network; 0: not known
//	24      24 k  more networks, 32 in all at most
type Heads struct {
	States []HeadState // 1 to MaxHeads; a copy
}

// HeadState is what one node knows of one network.
type HeadState struct {
	Network ident.NetworkHash
	Number  uint32
	Digest  [8]byte
	Moment  uint32
}

// Append appends the encoded body to dst. It panics when there are no or too many networks.
func (h Heads) Append(dst []byte) []byte {
	mustFit("networks", len(h.States), 1, MaxHeads)
	for _, s := range h.States {
		dst = append(dst, s.Network[:]...)
		dst = binary.BigEndian.AppendUint32(dst, s.Number)
		dst = append(dst, s.Digest[:]...)
		dst = binary.BigEndian.AppendUint32(dst, s.Moment)
	}
	return dst
}

// ParseHeads reads the body of a message.
func ParseHeads(b []byte) (Heads, error) {
	c := cursor{frame: "heads", b: b}
	raw := c.units("networks", headStateSize, 1, MaxHeads)
	if err := c.end(); err != nil {
		return Heads{}, err
	}
	h := Heads{States: make([]HeadState, 0, len(raw)/headStateSize)}
	for ; len(raw) > 0; raw = raw[headStateSize:] {
		h.States = append(h.States, HeadState{
			Network: ident.NetworkHash(raw), Number: binary.BigEndian.Uint32(raw[8:]),
			Digest: [8]byte(raw[12:]), Moment: binary.BigEndian.Uint32(raw[20:]),
		})
	}
	return h, nil
}
