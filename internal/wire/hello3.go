// SPDX-License-Identifier: Apache-2.0

package wire

// MaxHello3Noise is the largest Noise message in a Hello3, in bytes.
const MaxHello3Noise = MaxDatagram - hello3Head

const hello3Head = 4

// Hello3 ends the link handshake. The child has checked the parent before it sends this.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+-----------------------------------------------+
//	|     0x50      |              label of the receiver            |
//	+---------------+-----------------------------------------------+
//	|  noise ... to the end of the datagram                         |
//	+---------------------------------------------------------------+
//
//	offset  size  field
//	0       1     0x50
//	1       3     label of the receiver, from Hello2
//	4       rest  noise, message 3 of XX; its payload is a LinkPayload
type Hello3 struct {
	To    Label  // control label of the responder
	Noise []byte // at most MaxHello3Noise bytes
}

// Append appends the encoded frame to dst. It panics when Noise is too long.
func (h Hello3) Append(dst []byte) []byte {
	mustFit("noise", len(h.Noise), 0, MaxHello3Noise)
	dst = append(dst, TypeHello3<<4)
	dst = appendLabel(dst, h.To)
	return append(dst, h.Noise...)
}

// ParseHello3 reads a whole datagram.
func ParseHello3(b []byte) (Hello3, error) {
	c := cursor{frame: "hello3", b: b}
	c.outer(TypeHello3)
	h := Hello3{To: c.label("to")}
	h.Noise = c.rest("noise", 0, MaxHello3Noise)
	if err := c.end(); err != nil {
		return Hello3{}, err
	}
	return h, nil
}
