// SPDX-License-Identifier: Apache-2.0

package wire

// Stages of a PathHandshake.
const (
	StageNoise3  = 3 // Body is message 3 of Noise XK
	StageConfirm = 4 // Body asks the peer to confirm that it has the session
)

// MaxPathHandshakeBody is the largest body of a PathHandshake, in bytes.
const MaxPathHandshakeBody = MaxDatagram - pathHandshakeHead

const pathHandshakeHead = 5

// PathHandshake is the part of a session handshake that follows the path which Path and
// PathOK have laid. Relays forward it by label as they do a data frame.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+-----------------------------------------------+
//	|     0x70      |       label, rewritten at every hop           |
//	+---------------+-----------------------------------------------+
//	|     stage     |  body ... to the end of the datagram          |
//	+---------------+-----------------------------------------------+
//
//	offset  size  field
//	0       1     0x70
//	1       3     label of the receiver, rewritten at every hop
//	4       1     stage: 3 Noise message 3, 4 confirm
//	5       rest  body
type PathHandshake struct {
	Label Label  // row of the receiver
	Stage uint8  // StageNoise3 or StageConfirm
	Body  []byte // at most MaxPathHandshakeBody bytes
}

// Append appends the encoded frame to dst. It panics when Body is too long.
func (p PathHandshake) Append(dst []byte) []byte {
	mustFit("body", len(p.Body), 0, MaxPathHandshakeBody)
	dst = append(dst, TypePathHandshake<<4)
	dst = appendLabel(dst, p.Label)
	dst = append(dst, p.Stage)
	return append(dst, p.Body...)
}

// ParsePathHandshake reads a whole datagram.
func ParsePathHandshake(b []byte) (PathHandshake, error) {
	c := cursor{frame: "path-handshake", b: b}
	c.outer(TypePathHandshake)
	p := PathHandshake{Label: c.label("label")}
	p.Stage = c.u8("stage")
	if c.err == nil && p.Stage != StageNoise3 && p.Stage != StageConfirm {
		c.fail("stage", ErrBadValue)
	}
	p.Body = c.rest("body", 0, MaxPathHandshakeBody)
	if err := c.end(); err != nil {
		return PathHandshake{}, err
	}
	return p, nil
}
