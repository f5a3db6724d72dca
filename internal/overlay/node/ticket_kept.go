// SPDX-License-Identifier: Apache-2.0

package node

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"golang.org/x/crypto/blake2s"

	"staex/internal/ident"
	"staex/internal/overlay/session"
	"staex/internal/wire"
)

const (
	// maxResumes is how often a link is resumed before the child must come with a handshake.
	maxResumes = 64
	// maxWorn is how long a link that carried data may go without one.
	maxWorn = 7 * 24 * time.Hour
)

// errKept says that a ticket, from the disk or from another node, does not parse.
var errKept = errors.New("ticket does not parse")

// tenure is the age of a link's keys in terms of Diffie-Hellman: what was agreed on once wears off
// with resumptions and, if data flowed, with time.
type tenure struct {
	count  uint8         // resumptions since
	data   bool          // data flowed since, before the present keys
	hybrid bool          // the post-quantum exchange was part of it
	before time.Duration // link time since, before the present keys
	at     uint32        // calendar time of the handshake in seconds, 0 unknown
	up     time.Duration // when the present keys came up, on the Up clock
}

// age is the time since the handshake: what the link lived through or what the calendar says
// (seconds, 0 if it may not be trusted), whichever is more.
func (t *tenure) age(up time.Duration, seconds uint32) time.Duration {
	age := t.before + up - t.up
	if t.at != 0 && seconds > t.at {
		age = max(age, time.Duration(seconds-t.at)*time.Second)
	}
	return age
}

// worn reports that the next resumption is one too many.
func (t *tenure) worn(up time.Duration, seconds uint32, data bool) bool {
	return t.count >= maxResumes || (t.data || data) && t.age(up, seconds) >= maxWorn
}

// place names the network that an address belongs to, as far as an address can tell: the address
// itself, or the /64 of an IPv6 address, hashed.
func place(a netip.Addr) (name [8]byte) {
	bits := 64
	if a = a.Unmap().WithZone(""); a.Is4() {
		bits = 32
	}
	p, err := a.Prefix(bits)
	if err != nil || !p.IsValid() {
		return name
	}
	b := p.Addr().As16()
	sum := blake2s.Sum256(append([]byte("staex place v1"), b[:]...))
	return [8]byte(sum[:])
}

// ticketContents is what a parent seals into a ticket:
//
//	offset  size  what
//	0       1     version 1
//	1       1     resumptions since the last Diffie-Hellman
//	2       1     flags: bit 0, data flowed since then; bit 1, with the post-quantum exchange
//	3       4     link time since then in seconds
//	7       4     calendar time of it in Unix seconds, 0 unknown
//	11      2     keep-alive period of the child in seconds
//	13      2     size: the largest UDP payload of the link in bytes
//	15      8     place that the child was at
//	23      32    resumption secret
//	55      rest  node certificate of the child
type ticketContents struct {
	tenure tenure // its up is not in the ticket
	period uint16
	size   uint16
	place  [8]byte
	secret session.Resume
	cert   *ident.NodeCert
}

const (
	contentsVersion = 1
	contentsHead    = 55
)

func (c *ticketContents) Append(dst []byte) []byte {
	dst = append(dst, contentsVersion, c.tenure.count, bits(c.tenure.data, c.tenure.hybrid))
	dst = binary.BigEndian.AppendUint32(dst, uint32(c.tenure.before/time.Second))
	dst = binary.BigEndian.AppendUint32(dst, c.tenure.at)
	dst = binary.BigEndian.AppendUint16(dst, c.period)
	dst = binary.BigEndian.AppendUint16(dst, c.size)
	dst = append(dst, c.place[:]...)
	secret := c.secret.Bytes()
	return c.cert.Append(append(dst, secret[:]...))
}

func parseContents(b []byte) (*ticketContents, error) {
	if len(b) < contentsHead || b[0] != contentsVersion || b[2] > 3 {
		return nil, errKept
	}
	c := &ticketContents{
		tenure: tenure{
			count: b[1], data: b[2]&1 != 0, hybrid: b[2]&2 != 0,
			at:     binary.BigEndian.Uint32(b[7:]),
			before: time.Duration(binary.BigEndian.Uint32(b[3:])) * time.Second,
		},
		period: binary.BigEndian.Uint16(b[11:]), size: binary.BigEndian.Uint16(b[13:]),
		place: [8]byte(b[15:23]), secret: session.ResumeFromBytes([32]byte(b[23:contentsHead])),
	}
	var err error
	if c.cert, err = ident.DecodeNodeCert(b[contentsHead:]); err != nil {
		return nil, errKept
	}
	return c, nil
}

// keptTicket is what a child holds of a parent, in memory and on its disk:
//
//	offset  size  what
//	0       1     version 2
//	1       1     flags: bit 0, the post-quantum exchange is part of the secret
//	2       32    resumption secret
//	34      2     size: the largest UDP payload of the link in bytes
//	36      2     length of ticket, n
//	38      8     fingerprint of the own certificate that the parent has seen
//	46      n     ticket
//	46+n    rest  node certificate of the parent
type keptTicket struct {
	hybrid bool
	mine   [fingerprintSize]byte
	secret session.Resume
	size   uint16
	ticket []byte
	cert   *ident.NodeCert
}

const (
	keptVersion = 2
	keptHead    = 46

	fingerprintSize = 8
)

func (k *keptTicket) Append(dst []byte) []byte {
	secret := k.secret.Bytes()
	dst = append(append(dst, keptVersion, bits(k.hybrid)), secret[:]...)
	dst = binary.BigEndian.AppendUint16(dst, k.size)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(k.ticket)))
	dst = append(dst, k.mine[:]...)
	return k.cert.Append(append(dst, k.ticket...))
}

func parseKept(b []byte) (*keptTicket, error) {
	if len(b) < keptHead || b[0] != keptVersion || b[1] > 1 {
		return nil, errKept
	}
	n := int(binary.BigEndian.Uint16(b[36:]))
	if n < wire.MinTicket || n > wire.MaxTicket || len(b) < keptHead+n {
		return nil, errKept
	}
	k := &keptTicket{
		hybrid: b[1] == 1,
		secret: session.ResumeFromBytes([32]byte(b[2:34])),
		size:   binary.BigEndian.Uint16(b[34:]),
		mine:   [fingerprintSize]byte(b[38:]),
		ticket: append([]byte(nil), b[keptHead:keptHead+n]...),
	}
	var err error
	if k.cert, err = ident.DecodeNodeCert(b[keptHead+n:]); err != nil {
		return nil, errKept
	}
	return k, nil
}

// ownFingerprint stands for this node's certificate: a parent knows by a ticket the one that it was
// shown when it gave it, so a renewed one has to be shown in a handshake.
func (n *Node) ownFingerprint() [fingerprintSize]byte {
	sum := blake2s.Sum256(n.who.Cert.Append([]byte("staex own certificate v1")))
	return [fingerprintSize]byte(sum[:])
}

// bits packs flags into a byte, the first one lowest.
func bits(flags ...bool) (b byte) {
	for i, set := range flags {
		if set {
			b |= 1 << i
		}
	}
	return b
}
