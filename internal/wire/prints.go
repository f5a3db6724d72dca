// SPDX-License-Identifier: Apache-2.0

package wire

// Prints is control message 22: more fingerprints of the list whose Head came before.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------------------------------------------------------+
//	|  fingerprints (8 k)                                           |
//	|  ...                                                          |
//	+---------------------------------------------------------------+
//
//	offset  size  field
//	0       8 k   fingerprints, 1 to 128
type Prints struct {
	Prints []byte // PrintSize to MaxPrints times PrintSize bytes
}

// Append appends the encoded body to dst. It panics when there are no or too many.
func (p Prints) Append(dst []byte) []byte {
	mustFit("fingerprints", len(p.Prints), PrintSize, MaxPrints*PrintSize)
	return append(dst, p.Prints...)
}

// ParsePrints reads the body of a message.
func ParsePrints(b []byte) (Prints, error) {
	c := cursor{frame: "prints", b: b}
	p := Prints{Prints: c.units("fingerprints", PrintSize, 1, MaxPrints)}
	if err := c.end(); err != nil {
		return Prints{}, err
	}
	return p, nil
}
