// SPDX-License-Identifier: Apache-2.0

package ident

import (
	"bytes"
	"crypto/hkdf"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"hash"

	"golang.org/x/crypto/blake2s"
)

// MaxNameLength is the longest permitted name in bytes, that of a DNS label (RFC 1035, 2.3.4).
const MaxNameLength = 63

// NamesKey is the secret that the members of one network share to hide their names from relays.
// It cannot be compared with == and cannot be printed. The zero NamesKey means "none"; a tag or MAC
// of it panics, because one made without a secret could be forged by anybody.
type NamesKey struct {
	key hidden
}

// Kinds of what a tag stands for.
const (
	// TagName is the kind of a DNS name.
	TagName byte = 1
	// TagAddress is the kind of a static address.
	TagAddress byte = 2
	// TagSignedName and TagSignedAddress are the kinds of what the network's key gave to a node.
	TagSignedName    byte = 3
	TagSignedAddress byte = 4
	// tagMAC separates MAC8 from tags; no tag has this kind.
	tagMAC byte = 0xff
)

// namesKeyInfo keeps the names key apart from everything else derived from a network key.
const namesKeyInfo = "staex names v1"

// NamesKey derives a network's names key from its private key: HKDF (RFC 5869) with HMAC-BLAKE2s,
// the seed as input, no salt, and "staex names v1" as info.
func (s *Secret) NamesKey() NamesKey {
	key, err := hkdf.Key(func() hash.Hash { return keyedHash(nil) },
		s.key()[:KeySize], nil, namesKeyInfo, KeySize)
	if err != nil {
		panic("ident: derive names key: " + err.Error()) // only for lengths out of range
	}
	return NamesKey{key: hide(key)}
}

// NamesKeyFromBytes is the names key of the given 32 bytes. Errors wrap ErrSecret.
func NamesKeyFromBytes(b []byte) (NamesKey, error) {
	if len(b) != KeySize {
		return NamesKey{}, fmt.Errorf("%w: a names key has %d bytes, not %d",
			ErrSecret, KeySize, len(b))
	}
	return NamesKey{key: hide(bytes.Clone(b))}, nil
}

// EncodeNamesKeyText is a names key, not zero, as the content of its file, which only its
// owner may read.
func EncodeNamesKeyText(k NamesKey) []byte { return EncodeText(k.key()) }

// DecodeNamesKeyText reads what EncodeNamesKeyText writes. Errors wrap ErrText or ErrSecret and
// never repeat the text.
func DecodeNamesKeyText(b []byte) (NamesKey, error) {
	raw, err := DecodeText(b)
	if err != nil {
		return NamesKey{}, fmt.Errorf("names key: %w", err)
	}
	return NamesKeyFromBytes(raw)
}

// IsZero tells whether the key means "none".
func (k NamesKey) IsZero() bool { return k.key == nil }

// keyedHash is BLAKE2s-256 with a key of at most 32 bytes.
func keyedHash(key []byte) hash.Hash {
	h, err := blake2s.New256(key)
	if err != nil {
		panic("ident: BLAKE2s: " + err.Error()) // only for keys longer than 32 bytes
	}
	return h
}

// Tag is what a relay sees of a name or address: the first 8 bytes of BLAKE2s keyed with k over
// kind and name. kind is one of the Tag constants; name is the lower-case name, or the address as
// netip prints it.
func (k NamesKey) Tag(kind byte, name string) [8]byte {
	h := keyedHash(k.key())
	_, _ = h.Write([]byte{kind}) // a hash never fails to write
	_, _ = h.Write([]byte(name))
	return [8]byte(h.Sum(nil)[:8])
}

// MAC8 is a short proof that its maker is a member: the first 8 bytes of BLAKE2s keyed with k over
// the parts, each with its length before it. It never equals a tag of the same bytes.
func (k NamesKey) MAC8(parts ...[]byte) [8]byte {
	h := keyedHash(k.key())
	_, _ = h.Write([]byte{tagMAC})
	for _, part := range parts {
		_, _ = h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		_, _ = h.Write(part)
	}
	return [8]byte(h.Sum(nil)[:8])
}

// Equal tells in constant time whether both are the same key; neither may be zero.
func (k NamesKey) Equal(other NamesKey) bool {
	return subtle.ConstantTimeCompare(k.key(), other.key()) == 1
}

// String hides the key.
func (NamesKey) String() string { return redacted }

// GoString hides the key.
func (NamesKey) GoString() string { return redacted }

// Format hides the key from every verb of package fmt.
func (NamesKey) Format(f fmt.State, _ rune) { printRedacted(f) }

// MarshalText refuses, so that no encoder of text or JSON writes the key by accident.
func (NamesKey) MarshalText() ([]byte, error) { return nil, errSecretText() }

// CheckName tells whether name may be given to a node, an endpoint or a network: one DNS label of
// 1 to 63 lower-case letters, digits and hyphens, no hyphen at either end. Names that programs
// look up on their own and names that read as a node id are refused. Errors wrap ErrName.
func CheckName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%w: it is empty", ErrName)
	case len(name) > MaxNameLength:
		return fmt.Errorf("%w: it has %d characters, at most %d are permitted",
			ErrName, len(name), MaxNameLength)
	case name[0] == '-' || name[len(name)-1] == '-':
		return fmt.Errorf("%w: %q begins or ends with a hyphen", ErrName, name)
	}
	for i := range len(name) {
		if !isLabelByte(name[i]) {
			return fmt.Errorf("%w: %q: character %d is %q; "+
				"use lower-case letters, digits and hyphens", ErrName, name, i+1, name[i:i+1])
		}
	}
	return checkReserved(name)
}

func isLabelByte(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-'
}

// checkReserved refuses well-formed names that would hijack something else.
func checkReserved(name string) error {
	switch name {
	case "wpad", "isatap", "localhost":
		return fmt.Errorf("%w: computers look up %q by themselves, "+
			"so its owner could redirect their traffic", ErrName, name)
	}
	if _, err := decodeNodeID(name); err == nil {
		return fmt.Errorf("%w: it reads as a node id and would hide that node", ErrName)
	}
	return nil
}
