// SPDX-License-Identifier: Apache-2.0

package wire

import "encoding/binary"

// Types of control messages, which travel between neighbours. Numbers are never reused.
// A type that is not known is counted and skipped.
const (
	ControlRecord  = 1 // Record
	ControlPath    = 2 // Path
	ControlPathOK  = 3 // PathOK
	ControlPathNo  = 4 // PathNo
	ControlUnknown = 5 // Unknown
	ControlGone    = 6 // Gone
	ControlBye     = 7 // Bye
	ControlWant    = 8 // Want
	ControlUp      = 9 // Up

	ControlGrant  = 10 // Grant
	ControlPeriod = 11 // Period
	ControlMoved  = 12 // Moved

	ControlHeads  = 20 // Heads
	ControlHead   = 21 // Head
	ControlPrints = 22 // Prints
	ControlResign = 23 // Resign
	ControlTime   = 24 // Time

	ControlLookup = 30 // Lookup
	ControlFound  = 31 // Found

	ControlDigest = 40 // Digest
	ControlDiffer = 41 // Differ
	ControlFetch  = 42 // Fetch

	ControlKEMKey    = 50 // KEMKey
	ControlKEMAnswer = 51 // KEMAnswer

	ControlJunk   = 60 // Junk
	ControlJunkOK = 61 // JunkOK
	ControlTooBig = 62 // TooBig

	ControlQuarantine = 70 // Quarantine
)

// Sizes of control packets in bytes.
const (
	ControlHeaderSize = 8 // number and acknowledgement
	MessageHeaderSize = 3 // type and length of a message

	// MaxMessageBody is the largest body of one message. A packet of MinDatagram bytes
	// carries it even with the long counter.
	MaxMessageBody = MinDatagram - DataHeaderLong - TagSize -
		ControlHeaderSize - MessageHeaderSize
)

// ControlHeader begins a control packet: the plaintext of a link frame of 8 bytes and
// more. Messages follow to its end.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------------------------------------------------------+
//	|                            number                             |
//	+---------------------------------------------------------------+
//	|                        acknowledgement                        |
//	+---------------+-------------------------------+---------------+
//	|     type      |  length of the body (n)       |  body (n) ... |
//	+---------------+-------------------------------+---------------+
//	|  more messages ...                                            |
//	+---------------------------------------------------------------+
//
//	offset  size  field
//	0       4     number of this packet; 0 when it only acknowledges
//	4       4     acknowledgement: all packets up to this number have come
//	8       1     type of the first message
//	9       2     length of its body, n
//	11      n     body; further messages follow in the same form
type ControlHeader struct {
	Number uint32 // counts from 1 in each direction of a link; 0: pure acknowledgement
	Ack    uint32 // highest number up to which all came; 0: none
}

// Append appends the encoded header to dst.
func (h ControlHeader) Append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, h.Number)
	return binary.BigEndian.AppendUint32(dst, h.Ack)
}

// ParseControlHeader reads the header of a control packet and returns the messages after
// it. A pure acknowledgement has none: there they are ErrTrailing.
func ParseControlHeader(b []byte) (h ControlHeader, messages []byte, err error) {
	c := cursor{frame: "control", b: b}
	h.Number = c.u32("number")
	h.Ack = c.u32("ack")
	if h.Number == 0 {
		err = c.end()
	} else {
		err = c.err
	}
	if err != nil {
		return ControlHeader{}, nil, err
	}
	return h, c.b, nil
}

// AppendMessage appends one message, its type and length before its body, to dst. It
// panics when body has more than MaxMessageBody bytes.
func AppendMessage(dst []byte, typ uint8, body []byte) []byte {
	mustFit("body", len(body), 0, MaxMessageBody)
	dst = append(dst, typ)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(body)))
	return append(dst, body...)
}

// NextMessage splits the first message off b, which must not be empty. It does not judge
// the type.
func NextMessage(b []byte) (typ uint8, body, rest []byte, err error) {
	c := cursor{frame: "control", b: b}
	typ = c.u8("type")
	body = c.sized("body", 0, MaxMessageBody)
	if c.err != nil {
		return 0, nil, nil, c.err
	}
	return typ, body, c.b, nil
}

// ControlReader reads a control packet from its header to its last message.
type ControlReader struct {
	Header ControlHeader
	rest   []byte
	err    error
}

// ReadControl begins to read a control packet. Its messages are not checked yet.
func ReadControl(b []byte) (ControlReader, error) {
	h, messages, err := ParseControlHeader(b)
	return ControlReader{Header: h, rest: messages}, err
}

// Next returns the next message, and false at the end of the packet or at an error.
func (r *ControlReader) Next() (typ uint8, body []byte, ok bool) {
	if r.err != nil || len(r.rest) == 0 {
		return 0, nil, false
	}
	typ, body, r.rest, r.err = NextMessage(r.rest)
	return typ, body, r.err == nil
}

// Err returns what ended the reading early, or nil at the end of the packet. Messages
// that came before are sound.
func (r *ControlReader) Err() error { return r.err }
