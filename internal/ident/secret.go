// SPDX-License-Identifier: Apache-2.0

package ident

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/sha512"
	"crypto/subtle"
	"fmt"
	"io"
	"sync"
)

// redacted is what every secret looks like when printed.
const redacted = "[secret]"

// hidden holds key bytes behind a function. Package fmt reaches the bytes behind a pointer or slice
// by reflection (with %p, and in unexported fields, it calls no method of ours), but it prints a
// function as an address under every verb. A struct with a function cannot be compared with ==.
type hidden func() []byte

func hide(b []byte) hidden { return func() []byte { return b } }

// Secret is the Ed25519 private key of a node, an endpoint, a network or an authority. It is used
// by pointer, cannot be compared with == and cannot be printed. The zero Secret is unusable.
type Secret struct {
	key      hidden                  // ed25519.PrivateKey: the seed, then the public key
	exchange func() *ecdh.PrivateKey // made when it is first asked for
}

// NewSecret makes a private key of 32 bytes of rand, which must be cryptographically strong. The
// same bytes give the same key.
func NewSecret(rand io.Reader) (*Secret, error) {
	var seed [KeySize]byte
	if _, err := io.ReadFull(rand, seed[:]); err != nil {
		return nil, fmt.Errorf("make a private key: %w", err)
	}
	return SecretFromSeed(seed), nil
}

// SecretFromSeed is the private key with the given seed (RFC 8032, 5.1.5). Every seed is valid.
func SecretFromSeed(seed [KeySize]byte) *Secret {
	s := &Secret{key: hide(ed25519.NewKeyFromSeed(seed[:]))}
	s.exchange = sync.OnceValue(func() *ecdh.PrivateKey {
		scalar := s.X25519()
		key, err := ecdh.X25519().NewPrivateKey(scalar[:])
		if err != nil {
			panic(err) // there is none for a scalar of 32 bytes
		}
		return key
	})
	return s
}

// ID is the public key as the id of a node or endpoint.
func (s *Secret) ID() NodeID { return NodeID(s.key()[KeySize:]) }

// NetworkKey is the public key as that of a network or an authority.
func (s *Secret) NetworkKey() NetworkKey { return NetworkKey(s.key()[KeySize:]) }

// Sign signs the message msg in domain d. Equal input gives equal signatures.
func (s *Secret) Sign(d Domain, msg []byte) Signature {
	return Signature(ed25519.Sign(s.key(), signedBytes(d, msg)))
}

// X25519 is the clamped private scalar that belongs to ID().X25519(), for Diffie-Hellman.
func (s *Secret) X25519() [KeySize]byte {
	digest := sha512.Sum512(s.key()[:KeySize])
	scalar := [KeySize]byte(digest[:KeySize])
	scalar[0] &= 248
	scalar[31] &= 127
	scalar[31] |= 64
	return scalar
}

// Exchange is the key of that scalar, which is made once: that costs as much as an exchange.
func (s *Secret) Exchange() *ecdh.PrivateKey { return s.exchange() }

// Seed is the 32 bytes from which the key is made again. It is for writing the key to disk and for
// nothing else.
func (s *Secret) Seed() [KeySize]byte { return [KeySize]byte(s.key()[:KeySize]) }

// Equal tells in constant time whether both are the same key.
func (s *Secret) Equal(other *Secret) bool {
	return subtle.ConstantTimeCompare(s.key(), other.key()) == 1
}

// String hides the key.
func (Secret) String() string { return redacted }

// GoString hides the key.
func (Secret) GoString() string { return redacted }

// Format hides the key from every verb of package fmt.
func (Secret) Format(f fmt.State, _ rune) { printRedacted(f) }

// MarshalText refuses, so that no encoder of text or JSON writes a key by accident.
func (Secret) MarshalText() ([]byte, error) { return nil, errSecretText() }

func errSecretText() error { return fmt.Errorf("%w: secrets do not become text", ErrSecret) }

func printRedacted(f fmt.State) {
	_, _ = io.WriteString(f, redacted) // a fmt.State reports no errors worth having
}
