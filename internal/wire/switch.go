// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"

	"staex/internal/ident"
)

// States of Switch.
const (
	SwitchEnabled  = 1 // the tunnel may carry packets, as far as the sender is asked
	SwitchDisabled = 2 // the tunnel carries nothing until it is enabled
	SwitchDeleted  = 3 // the tunnel is gone for good
)

// Switch is session message 8: one end enables, disables or deletes a tunnel and tells
// the other.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------------------------------------------------------+
//	|  id (8)                                                       |
//	+---------------------------------------------------------------+
//	|  tunnel: key of its server endpoint (32)                      |
//	+---------------+-----------------------------------------------+
//	|     state     |  sequence number ...                          |
//	+---------------+-----------------------------------------------+
//	|  ... sequence |
//	+---------------+
//
//	offset  size  field
//	0       8     id of this change
//	8       32    tunnel: key of its server endpoint
//	40      1     state: 1 enabled, 2 disabled, 3 deleted
//	41      4     sequence number of the sender for this tunnel
type Switch struct {
	ID     [8]byte      // random, made once for a change
	Tunnel ident.NodeID // key of the tunnel's server endpoint
	State  uint8        // SwitchEnabled, SwitchDisabled or SwitchDeleted
	Seq    uint32       // counts up with every change of the sender; the newest holds
}

// Append appends the encoded body to dst.
func (s Switch) Append(dst []byte) []byte {
	dst = append(dst, s.ID[:]...)
	dst = append(dst, s.Tunnel[:]...)
	return binary.BigEndian.AppendUint32(append(dst, s.State), s.Seq)
}

// ParseSwitch reads the body of a message.
func ParseSwitch(b []byte) (Switch, error) {
	c := cursor{frame: "switch", b: b}
	s := Switch{
		ID:     c.id(),
		Tunnel: c.key("tunnel"),
		State:  c.u8("state"),
		Seq:    c.u32("sequence"),
	}
	if c.err == nil && (s.State < SwitchEnabled || s.State > SwitchDeleted) {
		c.fail("state", ErrBadValue)
	}
	if err := c.end(); err != nil {
		return Switch{}, err
	}
	return s, nil
}
