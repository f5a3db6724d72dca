// SPDX-License-Identifier: Apache-2.0

package ident

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"

	"golang.org/x/crypto/blake2s"
)

// NetworkKey is the Ed25519 public key of a network or of an authority that signs networks. Keys
// compare with ==. The zero NetworkKey means "none"; it is no valid key.
type NetworkKey [KeySize]byte

// NetworkHash is the short name of a network inside certificates and records: the first 8 bytes
// of BLAKE2s-256 over "staex network v1" and the network's key. It selects a key, it proves
// nothing: two networks can be made to share one, and the signature decides.
type NetworkHash [8]byte

// networkHashPrefix keeps these hashes apart from every other use of BLAKE2s.
const networkHashPrefix = "staex network v1"

// ParseNetworkKey reads a network public key: 44 characters of standard BASE64 with padding, and
// nothing around them. Errors wrap ErrNetworkKey for the text, ErrKey for the key.
func ParseNetworkKey(s string) (NetworkKey, error) {
	raw, err := decodeBase64(s)
	if err != nil {
		return NetworkKey{}, fmt.Errorf("%w: %w", ErrNetworkKey, err)
	}
	if len(raw) != KeySize {
		return NetworkKey{}, fmt.Errorf("%w: it holds %d bytes, not %d",
			ErrNetworkKey, len(raw), KeySize)
	}
	key := NetworkKey(raw)
	if err := checkKey((*[KeySize]byte)(&key)); err != nil {
		return NetworkKey{}, err
	}
	return key, nil
}

// String is the key in standard BASE64, 44 characters.
func (k NetworkKey) String() string { return base64.StdEncoding.EncodeToString(k[:]) }

// IsZero tells whether the key means "none".
func (k NetworkKey) IsZero() bool { return k == NetworkKey{} }

// MarshalText is String for encoders; the zero key becomes the empty text.
func (k NetworkKey) MarshalText() ([]byte, error) {
	if k.IsZero() {
		return []byte{}, nil
	}
	return []byte(k.String()), nil
}

// UnmarshalText is ParseNetworkKey for decoders; the empty text becomes the zero key.
func (k *NetworkKey) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*k = NetworkKey{}
		return nil
	}
	parsed, err := ParseNetworkKey(string(text))
	if err != nil {
		return err
	}
	*k = parsed
	return nil
}

// Hash is the short name of the network with this key.
func (k NetworkKey) Hash() NetworkHash {
	sum := blake2s.Sum256(append([]byte(networkHashPrefix), k[:]...))
	return NetworkHash(sum[:8])
}

// String is the hash in 16 hexadecimal digits.
func (h NetworkHash) String() string { return hex.EncodeToString(h[:]) }
