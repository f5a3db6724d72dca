// SPDX-License-Identifier: Apache-2.0

// Package wire is the bytes of every frame and message that nodes exchange.
//
// It turns values into bytes and bytes into values. It never encrypts, verifies, keeps
// state, or decides anything: a value that parses is well formed, not true.
//
// Every parser is strict. There is exactly one encoding of a value, so that for all b
// that ParseX accepts, appending the result gives b again. Byte slices in a parsed value
// alias the input and live as long as it does; lists of keys are copies. Integers are big
// endian. The pages in docs/wire describe the same bytes for another implementation.
package wire

import (
	"errors"
	"fmt"
)

// Types of datagrams: the high nibble of byte 0 of every UDP payload. Numbers are never
// reused. A type that is not known is counted and dropped.
const (
	TypeData          = 1  // end-to-end frame, forwarded by label
	TypeLink          = 2  // frame between two neighbours
	TypeHello1        = 3  // first message of a link handshake
	TypeHello2        = 4  // second message of a link handshake
	TypeHello3        = 5  // third message of a link handshake
	TypeCookie        = 6  // demand to repeat Hello1 with a cookie
	TypePathHandshake = 7  // handshake message that follows a path
	TypeNudge         = 8  // a neighbour is asked where it lives
	TypeReset         = 9  // a restarted parent lost the link
	TypeTicket        = 10 // resumption of a link
	TypeTicketAnswer  = 11 // answer to a resumption
	TypeNATProbe      = 12 // how long does a translator keep a mapping?
	TypeSizeProbe     = 13 // does a datagram of this size pass?
)

// Sizes in bytes that the frames share.
const (
	TagSize    = 16 // AEAD tag at the end of every sealed part
	HopMACSize = 4  // hop MAC after the tag of a data frame that has one
	KeySize    = 32 // public key
	MACSize    = 16 // MAC of a stranger's datagram

	// MinDatagram is the UDP payload that every path is taken to carry unproven.
	MinDatagram = 1200
	// MaxDatagram is the largest UDP payload: an Ethernet frame less IPv6 and UDP headers.
	MaxDatagram = 1452
)

// Bounds of the fields of variable length, in bytes unless the name says otherwise. The
// largest control message still fits in MinDatagram when it travels alone.
const (
	MaxRecord       = 320     // signed record
	MaxNodeCert     = 140     // node certificate
	MaxEndpointCert = 320     // endpoint certificate
	MaxNetworkCert  = 384     // network certificate
	MaxNamesCert    = 320     // names certificate
	MaxPathBody     = 512     // end-to-end part of Path and PathOK
	MaxTrail        = maxKeys // keys in the trail of a probe
	MaxParents      = maxKeys // keys in a chain of parents
	MaxNames        = 8       // DNS names in an offer
	MaxName         = 63      // bytes of a DNS name
	MaxNamesSize    = 400     // bytes of all names in an offer with their lengths
	MaxSlots        = 255     // flow slots in one message
)

const (
	// maxKeys bounds every list of keys: it must fit into MinDatagram beside a body.
	maxKeys = 16
	// noSlot is the flow slot that means none.
	noSlot = 255
)

// Errors of the parsers. Those of ParseDataHeader come bare, all others inside a
// [FieldError].
var (
	ErrShort      = errors.New("input too short")
	ErrTrailing   = errors.New("bytes after the end")
	ErrBadType    = errors.New("wrong type")
	ErrBadVersion = errors.New("unknown version")
	ErrBadPadding = errors.New("padding is not zero")
	ErrBadLength  = errors.New("length out of range")
	ErrBadValue   = errors.New("value out of range")
)

// FieldError tells which field of which frame did not parse. It wraps one of the errors
// of this package, so callers use [errors.Is].
type FieldError struct {
	Frame string // name of the frame as in Frames
	Field string // name of the field as on the frame's page
	Err   error  // one of the errors of this package
}

// Error returns the frame, the field and the reason in one line.
func (e *FieldError) Error() string {
	return "parse " + e.Frame + ": " + e.Field + ": " + e.Err.Error()
}

// Unwrap returns the reason.
func (e *FieldError) Unwrap() error { return e.Err }

// Label names a row in the table of the node that receives the frame, which also chose
// it. It has 24 bits; encoders ignore the upper 8. Zero means no label.
type Label uint32

// MaxLabel is the largest label.
const MaxLabel Label = 1<<24 - 1

// String returns the label as six hexadecimal digits.
func (l Label) String() string { return fmt.Sprintf("%06x", uint32(l)) }

// PeekType returns the type of a datagram, 0 to 15, and 0 for an empty one.
func PeekType(b []byte) uint8 {
	if len(b) == 0 {
		return 0
	}
	return b[0] >> 4
}

// PeekLabel returns the label in bytes 1 to 3 and whether there are that many bytes. In
// every datagram but Hello1, Ticket and Reset this label belongs to the receiver; in those
// to the sender.
func PeekLabel(b []byte) (Label, bool) {
	if len(b) < 4 {
		return 0, false
	}
	return Label(b[1])<<16 | Label(b[2])<<8 | Label(b[3]), true
}

// SetLabel writes the label into bytes 1 to 3: all that a relay changes in a datagram it
// forwards. It panics when b has fewer than 4 bytes.
func SetLabel(b []byte, l Label) {
	_ = b[3]
	b[1], b[2], b[3] = byte(l>>16), byte(l>>8), byte(l)
}
