// SPDX-License-Identifier: Apache-2.0

package revoke

import (
	"encoding/binary"
	"fmt"

	"staex/internal/ident"
)

const entrySize = PrintSize + 4 + 1

// Append appends the bytes by which the data directory keeps a set. There is one encoding of each.
//
//	version 1 | network 32
//	heads: number 1, each length 2, head | resignations: number 2, each 218
//	entries: number 4, each fingerprint 8, since 4, heads 1
func (s *Set) Append(dst []byte) []byte {
	dst = append(dst, version)
	dst = append(dst, s.network[:]...)
	dst = append(dst, byte(len(s.heads)))
	for _, h := range s.heads {
		b := h.Append(nil)
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(b)))
		dst = append(dst, b...)
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(s.resigned)))
	for _, r := range s.resigned {
		dst = r.Append(dst)
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(s.entries)))
	for _, e := range s.entries {
		dst = append(dst, e.print[:]...)
		dst = binary.BigEndian.AppendUint32(dst, e.since)
		dst = append(dst, e.heads)
	}
	return dst
}

// DecodeSet reads a stored set that fills b exactly and verifies every signature and hash in it
// again: a damaged file must not bring keys back unnoticed. Errors wrap ErrEncoding or ErrSigner.
func DecodeSet(b []byte) (*Set, error) {
	r := &reader{rest: b}
	if v := r.take(1); v == nil || v[0] != version {
		return nil, fmt.Errorf("%w: a set of another version", ErrEncoding)
	}
	s := &Set{most: MaxUnion}
	copy(s.network[:], r.take(ident.KeySize))
	if err := s.decodeProofs(r); err != nil {
		return nil, err
	}
	count := int(binary.BigEndian.Uint32(r.fixed(4)))
	if r.short || count > MaxUnion || len(r.rest) != count*entrySize {
		return nil, fmt.Errorf("%w: %d bytes for %d keys", ErrEncoding, len(r.rest), count)
	}
	s.entries = make([]entry, count)
	for i := range s.entries {
		e := &s.entries[i]
		e.print = Fingerprint(r.take(PrintSize))
		e.since = binary.BigEndian.Uint32(r.take(4))
		e.heads = r.take(1)[0]
		if i > 0 && compare(s.entries[i-1].print, e.print) >= 0 {
			return nil, fmt.Errorf("%w: keys are not in order", ErrEncoding)
		}
		if e.heads>>len(s.heads) != 0 {
			return nil, fmt.Errorf("%w: a key of a head that is not there", ErrEncoding)
		}
	}
	s.renew()
	return s, s.check()
}

// decodeProofs reads the heads and resignations.
func (s *Set) decodeProofs(r *reader) error {
	heads := int(r.fixed(1)[0])
	if heads >= MaxHeads {
		return fmt.Errorf("%w: %d heads", ErrEncoding, heads)
	}
	for range heads {
		h, err := DecodeHead(r.take(int(binary.BigEndian.Uint16(r.fixed(2)))))
		if err != nil {
			return err
		}
		s.heads = append(s.heads, h)
	}
	resigned := int(binary.BigEndian.Uint16(r.fixed(2)))
	if resigned > MaxResignations {
		return fmt.Errorf("%w: %d resignations", ErrEncoding, resigned)
	}
	for range resigned {
		x, err := DecodeResignation(r.take(ResignationSize))
		if err != nil {
			return err
		}
		s.resigned = append(s.resigned, x)
	}
	return nil
}

// check verifies what a stored set says of itself.
func (s *Set) check() error {
	for i, h := range s.heads {
		if h.Network != s.network {
			return ErrNetwork
		}
		if i > 0 && h.Number > s.heads[i-1].Number {
			return fmt.Errorf("%w: heads are not in order", ErrEncoding)
		}
		if err := h.Verify(); err != nil {
			return err
		}
		if !fits(h, s.where(func(e entry) bool { return e.heads&(1<<i) != 0 })) {
			return fmt.Errorf("%w: the keys are not those of list %d", ErrEncoding, h.Number)
		}
	}
	for _, x := range s.resigned {
		if x.Network != s.network {
			return ErrNetwork
		}
		if err := x.Verify(); err != nil {
			return err
		}
		if !s.Has(x.Cert.Key) {
			return fmt.Errorf("%w: a resignation without its key", ErrEncoding)
		}
	}
	return nil
}

// reader takes fields off the front; after the end it yields nil and sets short.
type reader struct {
	rest  []byte
	short bool
}

func (r *reader) take(n int) []byte {
	if n > len(r.rest) {
		r.short, r.rest = true, nil
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

// fixed is take for a few bytes of a number: zeros after the end.
func (r *reader) fixed(n int) []byte {
	if b := r.take(n); b != nil {
		return b
	}
	return make([]byte, n)
}
