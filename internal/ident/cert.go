// SPDX-License-Identifier: Apache-2.0

package ident

import (
	"encoding/binary"
	"fmt"
)

// certVersion is the first byte of every certificate.
const certVersion = 1

// certType is the second byte of every certificate. Numbers are never reused.
type certType uint8

const (
	typeNetwork        certType = 1
	typeNode           certType = 2
	typeServerEndpoint certType = 3
	typeClientEndpoint certType = 4
	typeNames          certType = 5
)

func (t certType) String() string {
	switch t {
	case typeNetwork:
		return "network certificate"
	case typeNode:
		return "node certificate"
	case typeServerEndpoint:
		return "server endpoint certificate"
	case typeClientEndpoint:
		return "client endpoint certificate"
	case typeNames:
		return "names certificate"
	default:
		return fmt.Sprintf("certificate of unknown type %d", uint8(t))
	}
}

// Validity is when a certificate holds, in Unix seconds; 0 means unlimited at that side.
type Validity struct{ NotBefore, NotAfter uint32 }

// Expired tells whether the certificate's time is over at a moment that is known to have passed,
// in Unix seconds. A certificate is never called "not yet valid": no clock here can prove that.
func (v Validity) Expired(bound uint32) bool { return v.NotAfter != 0 && bound > v.NotAfter }

func (v Validity) check() error {
	if v.NotAfter != 0 && v.NotAfter < v.NotBefore {
		return fmt.Errorf("%w: it ends before it begins", ErrCert)
	}
	return nil
}

func (v Validity) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, v.NotBefore)
	return binary.BigEndian.AppendUint32(dst, v.NotAfter)
}

// reader takes a certificate apart. After the first missing byte everything reads as zero and
// short is set, so that decoders check once.
type reader struct {
	rest  []byte
	short bool
}

// take is the next n bytes; they alias the input.
func (r *reader) take(n int) []byte {
	if n > len(r.rest) {
		r.short, r.rest = true, nil
		return make([]byte, n) // n comes from one byte at most
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) uint8() uint8         { return r.take(1)[0] }
func (r *reader) uint16() uint16       { return binary.BigEndian.Uint16(r.take(2)) }
func (r *reader) uint32() uint32       { return binary.BigEndian.Uint32(r.take(4)) }
func (r *reader) key() [KeySize]byte   { return [KeySize]byte(r.take(KeySize)) }
func (r *reader) hash() NetworkHash    { return NetworkHash(r.take(len(NetworkHash{}))) }
func (r *reader) signature() Signature { return Signature(r.take(SignatureSize)) }
func (r *reader) validity() Validity   { return Validity{r.uint32(), r.uint32()} }

// text is a string with its length in one byte before it.
func (r *reader) text() string { return string(r.take(int(r.uint8()))) }

// end says what is wrong with the certificate's length, if anything.
func (r *reader) end(t certType) error {
	if r.short {
		return fmt.Errorf("%w: this %s was cut", ErrCert, t)
	}
	if len(r.rest) != 0 {
		return fmt.Errorf("%w: %d bytes follow this %s", ErrCert, len(r.rest), t)
	}
	return nil
}

// open begins to read a certificate that must be of one of the wanted types.
func open(b []byte, maxSize int, wanted ...certType) (*reader, certType, error) {
	if len(b) < 2 {
		return nil, 0, fmt.Errorf("%w: it has %d bytes", ErrCert, len(b))
	}
	if b[0] != certVersion {
		return nil, 0, fmt.Errorf("%w: its version %d is not known here", ErrCert, b[0])
	}
	t := certType(b[1])
	for _, want := range wanted {
		if t != want {
			continue
		}
		if len(b) > maxSize {
			return nil, 0, fmt.Errorf("%w: %d bytes, a %s has at most %d",
				ErrSize, len(b), t, maxSize)
		}
		return &reader{rest: b[2:]}, t, nil
	}
	return nil, 0, fmt.Errorf("%w: this is a %s, not a %s", ErrCert, t, wanted[0])
}

// appendText appends a string with its length in one byte before it.
func appendText(dst []byte, s string) []byte {
	return append(append(dst, byte(len(s))), s...)
}

// checkCertKey names the field whose key is unusable.
func checkCertKey(key [KeySize]byte, field string) error {
	if err := checkKey(&key); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrCert, field, err)
	}
	return nil
}
