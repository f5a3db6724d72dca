// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"slices"

	"staex/internal/ident"
)

// Layer says in what a frame travels.
type Layer uint8

// Layers, from the outside in.
const (
	LayerDatagram  Layer = iota + 1 // the payload of a UDP datagram
	LayerLink                       // the plaintext of a link frame
	LayerControl                    // a message in a control packet
	LayerData                       // the plaintext of a data frame
	LayerSession                    // a message in a data frame
	LayerHandshake                  // the payload of a Noise message
	LayerPath                       // the body of a Path or PathOK
)

// String returns the name that the pages use.
func (l Layer) String() string {
	switch l {
	case LayerDatagram:
		return "datagram"
	case LayerLink:
		return "link frame"
	case LayerControl:
		return "control message"
	case LayerData:
		return "data frame"
	case LayerSession:
		return "session message"
	case LayerHandshake:
		return "handshake payload"
	case LayerPath:
		return "path body"
	}
	return "layer?"
}

// Overhead returns how many bytes of UDP payload surround one frame of the layer at
// least: headers with the short counter, and the tag. It is 0 for what lies inside a
// handshake or a path set-up, whose surroundings depend on the message.
func (l Layer) Overhead() int {
	switch l {
	case LayerLink, LayerData:
		return MinDataSize
	case LayerControl:
		return DataHeaderShort + TagSize + ControlHeaderSize + MessageHeaderSize
	case LayerSession:
		return DataHeaderShort + TagSize + SessionHeaderSize
	case LayerDatagram, LayerHandshake, LayerPath:
	}
	return 0
}

// Frame describes a frame or message, so that tests can be made from the table.
type Frame struct {
	Name   string // unique, as in errors and in names of golden files
	Go     string // name of the Go type whose comment has the picture
	Layer  Layer
	Type   uint8  // number within the layer; 0 where the layer has no numbers
	Page   string // path of the page from the root of the module
	Min    int    // shortest encoding in bytes
	Max    int    // longest encoding in bytes
	Open   bool   // the last field ends where the input ends, so a cut may go unseen
	Sample func() []byte
	// Parse tells whether b is one whole frame.
	Parse func(b []byte) error
	// Recode parses b and encodes the result.
	Recode func(b []byte) ([]byte, error)
}

// Frames lists every frame and message of the protocol, in the order of the pages. Some
// stand in it more than once to show a variant, under one page. It is a function so that programs,
// which have no use for samples, do not carry them.
func Frames() []Frame {
	return slices.Concat(
		datagrams(), returns(), plaintexts(), controls(), revocations(), comparisons(),
		sessions(), exchanges(), hops(), payloads())
}

type encoder interface{ Append(dst []byte) []byte }

// with fills in the functions of a Frame from a sample and the parser of its type.
func with[T encoder](f Frame, sample T, parse func([]byte) (T, error)) Frame {
	f.Page = "docs/wire/" + f.Page + ".md"
	f.Sample = func() []byte { return sample.Append(nil) }
	f.Parse = func(b []byte) error {
		_, err := parse(b)
		return err
	}
	f.Recode = func(b []byte) ([]byte, error) {
		v, err := parse(b)
		if err != nil {
			return nil, err
		}
		return v.Append(nil), nil
	}
	return f
}

// sealed is a data or link frame with the bytes that nobody here can open.
type sealed struct {
	DataHeader
	rest []byte
}

func (s sealed) Append(dst []byte) []byte {
	return append(s.DataHeader.Append(dst), s.rest...)
}

func parseSealed(b []byte) (sealed, error) {
	h, n, err := ParseDataHeader(b)
	if err == nil && len(b) < n+TagSize {
		err = ErrShort
	}
	return sealed{h, b[n:]}, err
}

// controlPacket is a control packet as a whole.
type controlPacket struct {
	ControlHeader
	types  []uint8
	bodies [][]byte
}

func (p controlPacket) Append(dst []byte) []byte {
	dst = p.ControlHeader.Append(dst)
	for i, typ := range p.types {
		dst = AppendMessage(dst, typ, p.bodies[i])
	}
	return dst
}

func parseControlPacket(b []byte) (controlPacket, error) {
	r, err := ReadControl(b)
	if err != nil {
		return controlPacket{}, err
	}
	p := controlPacket{ControlHeader: r.Header}
	for {
		typ, body, ok := r.Next()
		if !ok {
			return p, r.Err()
		}
		p.types = append(p.types, typ)
		p.bodies = append(p.bodies, body)
	}
}

// pattern returns n bytes that count up from first, to see in a golden what lies where.
func pattern(first byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

func patternKey(first byte) ident.NodeID { return ident.NodeID(pattern(first, KeySize)) }

func patternID() [8]byte { return [8]byte(pattern(0xa0, 8)) }
