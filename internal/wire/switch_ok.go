// SPDX-License-Identifier: Apache-2.0

package wire

// SwitchOK is session message 9: the Switch is stored and in force.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------------------------------------------------------+
//	|  id (8)                                                       |
//	+---------------------------------------------------------------+
//
//	offset  size  field
//	0       8     id, from Switch
type SwitchOK struct {
	ID [8]byte // the id of the Switch
}

// Append appends the encoded body to dst.
func (s SwitchOK) Append(dst []byte) []byte { return append(dst, s.ID[:]...) }

// ParseSwitchOK reads the body of a message.
func ParseSwitchOK(b []byte) (SwitchOK, error) {
	c := cursor{frame: "switch-ok", b: b}
	s := SwitchOK{ID: c.id()}
	if err := c.end(); err != nil {
		return SwitchOK{}, err
	}
	return s, nil
}
