// SPDX-License-Identifier: Apache-2.0

package ident

import "crypto/ed25519"

// SignatureSize is the size of a signature in bytes.
const SignatureSize = ed25519.SignatureSize

// Signature is an Ed25519 signature (RFC 8032).
type Signature [SignatureSize]byte

// Domain says what kind of statement is signed, so that a signature made for one use means
// nothing in another. Domains contain no zero byte.
type Domain string

// The domains in use. They are never renamed and never reused.
const (
	// DomainCert is for network, node and endpoint certificates; their type byte is signed too.
	DomainCert Domain = "staex cert v1"
	// DomainRecord is for the records by which nodes say where they are attached.
	DomainRecord Domain = "staex record v1"
	// DomainRevocation is for the heads of revocation lists.
	DomainRevocation Domain = "staex revocation v1"
	// DomainOffer is for tunnel offers and their answers.
	DomainOffer Domain = "staex offer v1"
	// DomainTime is for statements that a moment has passed.
	DomainTime Domain = "staex time v1"
)

// neutralPoint is the canonical encoding of the group's neutral element.
var neutralPoint = [32]byte{1}

// Verify tells whether sig is the signature by pub of the message msg in domain d. It is strict:
// pub must be the canonical encoding of a point of prime order, the signature's scalar reduced and
// its point canonical and not neutral. So every verifier, with or without cofactor, agrees.
func Verify(pub [KeySize]byte, d Domain, msg []byte, sig Signature) bool {
	return verify(pub, signedBytes(d, msg), sig)
}

// verify is Verify of bytes that name their domain already.
func verify(pub [KeySize]byte, signed []byte, sig Signature) bool {
	if [32]byte(sig[:32]) == neutralPoint {
		return false // its nonce was zero: the signature gives the private key away
	}
	if checkKey(&pub) != nil {
		return false
	}
	// The standard library refuses scalars that are not reduced and compares the encoding of the
	// point it computes, which is canonical and, as pub is, in the prime subgroup.
	return ed25519.Verify(pub[:], signed, sig[:])
}

// signedBytes is what Ed25519 signs: the domain, a zero byte, the message.
func signedBytes(d Domain, msg []byte) []byte {
	b := make([]byte, 0, len(d)+1+len(msg))
	b = append(b, d...)
	b = append(b, 0)
	return append(b, msg...)
}
