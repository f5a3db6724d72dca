// SPDX-License-Identifier: Apache-2.0

package wire

// Version is the version of the protocol that Hello1 carries. All else hangs from it:
// no other frame has a version.
const Version = 1

// Sizes of Hello1 in bytes.
const (
	MinHello1   = 512         // a stranger must send at least as much as it is answered
	MaxHello1   = MaxDatagram // so that it is never fragmented
	Hello1Noise = 32          // the ephemeral key: all of the first message of Noise XX

	hello1Head = 8 + Hello1Noise
	hello1Tail = 2 * MACSize
)

// Hello1 opens a link: the child's first datagram to a parent. It is padded, because the
// parent never answers an unproven address with more bytes than it received.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+-----------------------------------------------+
//	|     0x30      |               label of the sender             |
//	+---------------+-----------------------------------------------+
//	|  version (1)  |                   zero                        |
//	+---------------+-----------------------------------------------+
//	|  noise: ephemeral key (32)                                    |
//	+---------------------------------------------------------------+
//	|  zero padding (size - 72) ...                                 |
//	+---------------------------------------------------------------+
//	|  mac1 (16)                                                    |
//	+---------------------------------------------------------------+
//	|  mac2 (16)                                                    |
//	+---------------------------------------------------------------+
//
//	offset   size     field
//	0        1        0x30
//	1        3        label of the sender, which marks the answers
//	4        1        version, 1
//	5        3        zero
//	8        32       noise, message 1 of XX: the ephemeral key
//	40       size-72  zero padding
//	size-32  16       mac1 over all bytes before it
//	size-16  16       mac2 over all bytes before it; zero without a cookie
type Hello1 struct {
	Version uint8         // always Version; Append writes it as it stands
	Label   Label         // control label of the initiator, which answers carry
	Noise   []byte        // Hello1Noise bytes
	Mac1    [MACSize]byte // keyed with what the responder admits
	Mac2    [MACSize]byte // keyed with the cookie; zero without one
	Size    int           // total size in bytes, MinHello1 to MaxHello1
}

// Append appends the encoded frame to dst. It panics when Noise or Size is out of range.
func (h Hello1) Append(dst []byte) []byte {
	mustFit("noise", len(h.Noise), Hello1Noise, Hello1Noise)
	mustFit("size", h.Size, MinHello1, MaxHello1)
	dst = append(dst, TypeHello1<<4)
	dst = appendLabel(dst, h.Label)
	dst = append(dst, h.Version, 0, 0, 0)
	dst = append(dst, h.Noise...)
	dst = appendZeros(dst, h.Size-hello1Head-hello1Tail)
	dst = append(dst, h.Mac1[:]...)
	return append(dst, h.Mac2[:]...)
}

// ParseHello1 reads a whole datagram. It does not check the MACs.
func ParseHello1(b []byte) (Hello1, error) {
	c := cursor{frame: "hello1", b: b}
	c.outer(TypeHello1)
	h := Hello1{Size: len(b)}
	h.Label = c.label("label")
	h.Version = c.u8("version")
	if c.err == nil && h.Version != Version {
		c.fail("version", ErrBadVersion)
	}
	if c.err == nil && len(b) < MinHello1 {
		c.fail("size", ErrShort)
	}
	if c.err == nil && len(b) > MaxHello1 {
		c.fail("size", ErrBadLength)
	}
	c.zero("zero", 3)
	h.Noise = c.take("noise", Hello1Noise)
	c.zero("padding", max(0, len(b)-hello1Head-hello1Tail))
	h.Mac1 = c.mac("mac1")
	h.Mac2 = c.mac("mac2")
	if err := c.end(); err != nil {
		return Hello1{}, err
	}
	return h, nil
}

// MACInput returns the part of an encoded Hello1 that mac1 covers: all but both MACs.
// It panics when b is shorter than these.
func MACInput(b []byte) []byte { return b[: len(b)-2*MACSize : len(b)-2*MACSize] }

// MAC2Input returns the part of an encoded Hello1 that mac2 covers: all but mac2 itself.
// It panics when b is shorter than mac2.
func MAC2Input(b []byte) []byte { return b[: len(b)-MACSize : len(b)-MACSize] }

// PutMAC1 writes mac1 into an encoded Hello1. Write it before mac2, which covers it.
func PutMAC1(b []byte, mac [MACSize]byte) { copy(b[len(b)-2*MACSize:], mac[:]) }

// PutMAC2 writes mac2 into an encoded Hello1.
func PutMAC2(b []byte, mac [MACSize]byte) { copy(b[len(b)-MACSize:], mac[:]) }
