// SPDX-License-Identifier: Apache-2.0

package wire

import "encoding/binary"

// Sizes in bytes of the header of data and link frames.
const (
	DataHeaderShort = 6 // with the low 16 bits of the counter
	DataHeaderLong  = 8 // with the low 32 bits of the counter

	// MinDataSize is the smallest data or link frame: a header and a tag.
	MinDataSize = DataHeaderShort + TagSize
)

const (
	bitLong    = 1 << 1 // c: the counter has 32 bits
	bitFlag    = 1 << 0 // h: see DataHeader.Flag
	epochShift = 2
	epochMask  = 3
)

// DataHeader is the clear part of a data frame (TypeData) and of a link frame
// (TypeLink). What follows it is sealed.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-------+---+-+-+-----------------------------------------------+
//	| type  |e e|c|h|                     label                     |
//	+-------+---+-+-+---------------+-------------------------------+
//	|  counter, low 16 bits         |  low 32 bits if c             |
//	+-------------------------------+-------------------------------+
//	|  sealed ...                                                   |
//	+---------------------------------------------------------------+
//	|  tag (16)                                                     |
//	+---------------------------------------------------------------+
//	|  hop MAC (4), only in a data frame with h                     |
//	+---------------------------------------------------------------+
//
//	offset  size    field
//	0       1       type (4 bits), epoch (2), long counter (1), flag (1)
//	1       3       label, chosen by the receiver
//	4       2 or 4  counter, its low 16 bits, or 32 when c is set
//	6 or 8  n       sealed bytes
//	6+n     16      tag; 8+n with the long counter
//	end     4       hop MAC when the flag of a data frame is set
type DataHeader struct {
	Type    uint8  // TypeData or TypeLink
	Epoch   uint8  // low two bits of the epoch, 0 to 3
	Long    bool   // Counter has 32 bits instead of 16
	Flag    bool   // data: a hop MAC follows the tag; link: an answer is asked for
	Label   Label  // row of the receiver
	Counter uint32 // low 16 or 32 bits of the packet counter
}

// Size returns the encoded size in bytes: 6, or 8 with the long counter.
func (h DataHeader) Size() int {
	if h.Long {
		return DataHeaderLong
	}
	return DataHeaderShort
}

// Append appends the encoded header to dst. Of a short counter it keeps the low 16 bits,
// of the epoch the low 2.
func (h DataHeader) Append(dst []byte) []byte {
	b0 := h.Type<<4 | (h.Epoch&epochMask)<<epochShift
	if h.Long {
		b0 |= bitLong
	}
	if h.Flag {
		b0 |= bitFlag
	}
	dst = append(dst, b0, byte(h.Label>>16), byte(h.Label>>8), byte(h.Label))
	if h.Long {
		return binary.BigEndian.AppendUint32(dst, h.Counter)
	}
	return binary.BigEndian.AppendUint16(dst, uint16(h.Counter))
}

// ParseDataHeader reads the header at the start of a data or link frame. n is its size;
// what follows, b[n:], is sealed and not looked at, so b may end there. The errors are
// ErrShort and ErrBadType. It does not allocate.
func ParseDataHeader(b []byte) (h DataHeader, n int, err error) {
	if len(b) < DataHeaderShort {
		return DataHeader{}, 0, ErrShort
	}
	h = DataHeader{
		Type:    b[0] >> 4,
		Epoch:   b[0] >> epochShift & epochMask,
		Long:    b[0]&bitLong != 0,
		Flag:    b[0]&bitFlag != 0,
		Label:   Label(b[1])<<16 | Label(b[2])<<8 | Label(b[3]),
		Counter: uint32(b[4])<<8 | uint32(b[5]),
	}
	if h.Type != TypeData && h.Type != TypeLink {
		return DataHeader{}, 0, ErrBadType
	}
	if !h.Long {
		return h, DataHeaderShort, nil
	}
	if len(b) < DataHeaderLong {
		return DataHeader{}, 0, ErrShort
	}
	h.Counter = h.Counter<<16 | uint32(b[6])<<8 | uint32(b[7])
	return h, DataHeaderLong, nil
}

// HasHopMAC reports whether byte 0 of a data frame says that a hop MAC follows the tag.
func HasHopMAC(b0 byte) bool { return b0&bitFlag != 0 }

// SetHopMAC says in byte 0 of a data frame that a hop MAC follows the tag, or that none does.
func SetHopMAC(b []byte, on bool) {
	if on {
		b[0] |= bitFlag
	} else {
		b[0] &^= bitFlag
	}
}

// AAD returns the one byte of additional data under which a data or link frame is
// sealed, made of byte 0 of the frame. The flag of a data frame is cleared, because
// every hop sets it for itself; a link frame has one hop and protects all of byte 0.
func AAD(b0 byte) byte {
	if b0>>4 == TypeData {
		return b0 &^ bitFlag
	}
	return b0
}
