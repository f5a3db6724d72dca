// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"fmt"

	"staex/internal/ident"
)

// cursor reads fields from the front of b and keeps the first error: after it, every
// read gives zero, so parsers need one check, at the end.
type cursor struct {
	frame string
	b     []byte
	err   error
}

func (c *cursor) fail(field string, err error) {
	if c.err == nil {
		c.err = &FieldError{Frame: c.frame, Field: field, Err: err}
	}
}

// take returns the next n bytes, or nil after an error. The capacity is cut, so that an
// append by the caller cannot overwrite what follows.
func (c *cursor) take(field string, n int) []byte {
	if c.err == nil && len(c.b) < n {
		c.fail(field, ErrShort)
	}
	if c.err != nil {
		return nil
	}
	head := c.b[:n:n]
	c.b = c.b[n:]
	return head
}

func (c *cursor) u8(field string) uint8 {
	if b := c.take(field, 1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) u16(field string) uint16 {
	if b := c.take(field, 2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) u32(field string) uint32 {
	if b := c.take(field, 4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) u64(field string) uint64 {
	if b := c.take(field, 8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// u48 reads 6 bytes.
func (c *cursor) u48(field string) (v uint64) {
	for _, x := range c.take(field, 6) {
		v = v<<8 | uint64(x)
	}
	return v
}

func (c *cursor) label(field string) Label {
	if b := c.take(field, 3); b != nil {
		return Label(b[0])<<16 | Label(b[1])<<8 | Label(b[2])
	}
	return 0
}

func (c *cursor) id() (id [8]byte) {
	copy(id[:], c.take("id", len(id)))
	return id
}

func (c *cursor) mac(field string) (mac [MACSize]byte) {
	copy(mac[:], c.take(field, len(mac)))
	return mac
}

func (c *cursor) key(field string) (key ident.NodeID) {
	copy(key[:], c.take(field, len(key)))
	return key
}

// keys reads a count byte and that many keys. No keys give nil.
func (c *cursor) keys(field string, most int) []ident.NodeID {
	n := int(c.u8(field))
	if n > most {
		c.fail(field, ErrBadLength)
	}
	raw := c.take(field, n*KeySize)
	if len(raw) == 0 {
		return nil
	}
	keys := make([]ident.NodeID, n)
	for i := range keys {
		copy(keys[i][:], raw[i*KeySize:])
	}
	return keys
}

// names reads a count byte and that many names, each behind a length of one byte. No names give
// nil.
func (c *cursor) names(field string) (list [][]byte) {
	n := int(c.u8(field))
	if n > MaxNames {
		c.fail(field, ErrBadLength)
	}
	total := 0
	for range n {
		size := int(c.u8(field))
		total += 1 + size
		if c.err == nil && (size == 0 || size > MaxName || total > MaxNamesSize) {
			c.fail(field, ErrBadLength)
		}
		if b := c.take(field, size); c.err == nil {
			list = append(list, b)
		}
	}
	return list
}

// address reads a length byte, 0, 4 or 16, and an IP address of that length.
func (c *cursor) address(field string) []byte {
	n := int(c.u8(field))
	if c.err == nil && n != 0 && n != 4 && n != 16 {
		c.fail(field, ErrBadLength)
	}
	return c.take(field, n)
}

// sized reads a length of 2 bytes, which must lie between least and most, and that many
// bytes.
func (c *cursor) sized(field string, least, most int) []byte {
	n := int(c.u16(field))
	if c.err == nil && (n < least || n > most) {
		c.fail(field, ErrBadLength)
	}
	return c.take(field, n)
}

// zero reads n bytes that must be zero.
func (c *cursor) zero(field string, n int) {
	for _, b := range c.take(field, n) {
		if b != 0 {
			c.fail(field, ErrBadPadding)
		}
	}
}

// rest returns all bytes that remain, which must be between least and most.
func (c *cursor) rest(field string, least, most int) []byte {
	if c.err == nil && len(c.b) < least {
		c.fail(field, ErrShort)
	}
	if c.err == nil && len(c.b) > most {
		c.fail(field, ErrBadLength)
	}
	return c.take(field, len(c.b))
}

// units returns all bytes that remain, which must be between least and most units of size
// bytes each.
func (c *cursor) units(field string, size, least, most int) []byte {
	if c.err == nil && len(c.b)%size != 0 {
		c.fail(field, ErrShort)
	}
	return c.rest(field, least*size, most*size)
}

// slots reads all bytes that remain as flow slots. The last value means no slot.
func (c *cursor) slots(field string) []uint8 {
	slots := c.rest(field, 1, MaxSlots)
	for _, slot := range slots {
		if slot == noSlot {
			c.fail(field, ErrBadValue)
		}
	}
	return slots
}

// outer reads byte 0 of a datagram whose low nibble is zero.
func (c *cursor) outer(typ uint8) {
	if b := c.u8("type"); c.err == nil && b != typ<<4 {
		c.fail("type", ErrBadType)
	}
}

// end returns the first error, or ErrTrailing when bytes remain.
func (c *cursor) end() error {
	if c.err == nil && len(c.b) > 0 {
		c.fail("end", ErrTrailing)
	}
	return c.err
}

func appendLabel(dst []byte, l Label) []byte {
	return append(dst, byte(l>>16), byte(l>>8), byte(l))
}

// append48 appends the low 48 bits of v.
func append48(dst []byte, v uint64) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(v>>32))
	return binary.BigEndian.AppendUint32(dst, uint32(v))
}

func appendZeros(dst []byte, n int) []byte {
	for range n {
		dst = append(dst, 0)
	}
	return dst
}

func appendSized(dst []byte, field string, b []byte, most int) []byte {
	mustFit(field, len(b), 0, most)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(b)))
	return append(dst, b...)
}

func appendKeys(dst []byte, field string, keys []ident.NodeID) []byte {
	mustFit(field, len(keys), 0, maxKeys)
	dst = append(dst, byte(len(keys)))
	for i := range keys {
		dst = append(dst, keys[i][:]...)
	}
	return dst
}

// mustFit panics when a field to be encoded breaks its bound. What was parsed keeps
// every bound, so this is a mistake of the program and never of a peer.
func mustFit(field string, n, least, most int) {
	if n < least || n > most {
		panic(fmt.Sprintf("wire: append %s: length %d, want %d to %d", field, n, least, most))
	}
}
