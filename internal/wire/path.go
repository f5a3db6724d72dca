// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"

	"staex/internal/ident"
)

// Kinds of Path.
const (
	PathHello  = 1 // Body is message 1 of Noise XK with its MAC
	PathResume = 2 // Body proves a session that already exists
	PathProbe  = 3 // Body is the probe's own; relays may add themselves to Trail

	// The destination is a node, and one of its endpoints is meant: Body begins with its key, what
	// follows is that of PathHello or PathResume. So a relay sees who is to be reached without
	// knowing the endpoints of that node.
	PathHelloInside  = 4
	PathResumeInside = 5
)

// Path is control message 2: lay a path to a key. Every relay that passes it on keeps a
// row for the way back and puts its own label in Back.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------------------------------------------------------+
//	|  destination key (32)                                         |
//	+---------------------------------------------------------------+
//	|  set-up id (8)                                                |
//	+---------------+---------------+-------------------------------+
//	|     kind      |     hops      |  label for the way back ...   |
//	+---------------+---------------+---------------+---------------+
//	|  ... label    |  size, smallest proven        | length of ... |
//	+---------------+-------------------------------+---------------+
//	|  ... body (b) |  body (b) ...                                 |
//	+---------------+-----------------------------------------------+
//	|  keys (t)     |  trail (32 t), only in a probe                |
//	+---------------+-----------------------------------------------+
//
//	offset  size  field
//	0       32    destination key
//	32      8     set-up id
//	40      1     kind: 1 hello, 2 resume, 3 probe, 4 hello inside, 5 resume inside
//	41      1     hops that are left
//	42      3     label for the way back, chosen by the sender
//	45      2     size in bytes, the smallest that is proven on the way so far
//	47      2     length of body, b, 0 to 512
//	49      b     body, end to end
//	49+b    1     keys in the trail, t, 0 to 16; 0 unless kind is probe
//	50+b    32 t  trail, first relay first
type Path struct {
	Dest  ident.NodeID   // key that is looked for; not checked to be a point
	ID    [8]byte        // random; the same at every hop
	Kind  uint8          // PathHello, PathResume, PathProbe, PathHelloInside or PathResumeInside
	Hops  uint8          // hops that are left; counted down by each relay
	Back  Label          // label in the sender's table for frames on the way back
	Size  uint16         // smallest UDP payload in bytes that is proven on the way
	Body  []byte         // at most MaxPathBody bytes, opaque to relays
	Trail []ident.NodeID // relays passed, at most MaxTrail, only in a probe; a copy
}

// Append appends the encoded body to dst. It panics when a field breaks its bound.
func (p Path) Append(dst []byte) []byte {
	if p.Kind != PathProbe {
		mustFit("trail", len(p.Trail), 0, 0)
	}
	dst = append(dst, p.Dest[:]...)
	dst = append(dst, p.ID[:]...)
	dst = append(dst, p.Kind, p.Hops)
	dst = appendLabel(dst, p.Back)
	dst = binary.BigEndian.AppendUint16(dst, p.Size)
	dst = appendSized(dst, "body", p.Body, MaxPathBody)
	return appendKeys(dst, "trail", p.Trail)
}

// ParsePath reads the body of a message.
func ParsePath(b []byte) (Path, error) {
	c := cursor{frame: "path", b: b}
	p := Path{
		Dest: c.key("destination"),
		ID:   c.id(),
		Kind: c.u8("kind"),
		Hops: c.u8("hops"),
		Back: c.label("back"),
		Size: c.u16("size"),
		Body: c.sized("body", 0, MaxPathBody),
	}
	if c.err == nil && (p.Kind < PathHello || p.Kind > PathResumeInside) {
		c.fail("kind", ErrBadValue)
	}
	most := 0
	if p.Kind == PathProbe {
		most = MaxTrail
	}
	p.Trail = c.keys("trail", most)
	if err := c.end(); err != nil {
		return Path{}, err
	}
	return p, nil
}
