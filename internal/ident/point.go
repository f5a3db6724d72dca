// SPDX-License-Identifier: Apache-2.0

package ident

import (
	"bytes"
	"fmt"

	"filippo.io/edwards25519"
)

// orderMinusOne is the order of the prime subgroup minus one, little endian (RFC 8032, 5.1).
var orderMinusOne = [32]byte{
	0xec, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
}

// checkKey accepts exactly the canonical encodings of points of prime order. A key outside the
// prime subgroup has twins that verify the same signatures and share the same X25519 secrets, so
// it could not be an address.
func checkKey(key *[KeySize]byte) error {
	point, err := new(edwards25519.Point).SetBytes(key[:])
	if err != nil {
		return fmt.Errorf("%w: its bytes are no point of the curve", ErrKey)
	}
	if !bytes.Equal(point.Bytes(), key[:]) {
		return fmt.Errorf("%w: its encoding is not canonical", ErrKey)
	}
	if point.Equal(edwards25519.NewIdentityPoint()) == 1 {
		return fmt.Errorf("%w: it is the neutral point", ErrKey)
	}
	last, err := edwards25519.NewScalar().SetCanonicalBytes(orderMinusOne[:])
	if err != nil {
		panic("ident: the group order is not canonical: " + err.Error())
	}
	// Scalars are reduced by the order L, so [L]P = 0 is asked as [L-1]P = -P.
	product := new(edwards25519.Point).
		VarTimeDoubleScalarBaseMult(last, point, edwards25519.NewScalar())
	if product.Equal(new(edwards25519.Point).Negate(point)) != 1 {
		return fmt.Errorf("%w: its point is not of prime order", ErrKey)
	}
	return nil
}

// montgomery maps an Edwards point to its X25519 public key (RFC 7748, 4.1). What is no point
// maps to zero, with which every X25519 exchange fails.
func montgomery(key *[KeySize]byte) (public [KeySize]byte) {
	point, err := new(edwards25519.Point).SetBytes(key[:])
	if err != nil {
		return public
	}
	copy(public[:], point.BytesMontgomery())
	return public
}
