// SPDX-License-Identifier: Apache-2.0

package ident_test

import (
	"crypto/ed25519"
	"crypto/sha512"
	"errors"
	"testing"

	"filippo.io/edwards25519"

	"staex/internal/ident"
)

// order is L, the order of the prime subgroup, little endian.
var order = [32]byte{
	0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
	31: 0x10,
}

// torsion is the eight points of small order, found by multiplying any point by L.
func torsion(t *testing.T) []*edwards25519.Point {
	t.Helper()
	minusOne := edwards25519.NewScalar().Negate(small(t, 1))
	for y := byte(2); y < 100; y++ {
		point, err := new(edwards25519.Point).SetBytes(append([]byte{y}, make([]byte, 31)...))
		if err != nil {
			continue
		}
		base := new(edwards25519.Point).ScalarMult(minusOne, point)
		base.Add(base, point)
		points := []*edwards25519.Point{edwards25519.NewIdentityPoint()}
		next := new(edwards25519.Point).Set(base)
		for next.Equal(edwards25519.NewIdentityPoint()) != 1 {
			points = append(points, new(edwards25519.Point).Set(next))
			next.Add(next, base)
		}
		if len(points) == 8 {
			return points
		}
	}
	t.Fatal("no point of order 8 found")
	return nil
}

// small is a small number as a scalar.
func small(t *testing.T, n byte) *edwards25519.Scalar {
	t.Helper()
	s, err := edwards25519.NewScalar().SetCanonicalBytes(append([]byte{n}, make([]byte, 31)...))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// nonCanonical is every encoding whose y is not reduced: p to p+18, with either sign.
func nonCanonical() [][32]byte {
	var all [][32]byte
	for low := 0xed; low <= 0xff; low++ {
		key := [32]byte{0: byte(low), 31: 0x7f}
		for i := 1; i < 31; i++ {
			key[i] = 0xff
		}
		all = append(all, key)
		key[31] = 0xff
		all = append(all, key)
	}
	return all
}

func TestKeysOfSmallOrderAreRefused(t *testing.T) {
	for i, point := range torsion(t) {
		_, err := ident.NodeIDFromBytes(point.Bytes())
		if !errors.Is(err, ident.ErrKey) {
			t.Errorf("torsion point %d: %v", i, err)
		}
	}
}

func TestKeysOfMixedOrderAreRefused(t *testing.T) {
	id := secretOf(1).ID()
	honest, err := new(edwards25519.Point).SetBytes(id[:])
	if err != nil {
		t.Fatal(err)
	}
	for i, point := range torsion(t)[1:] {
		mixed := new(edwards25519.Point).Add(honest, point)
		if _, err := ident.NodeIDFromBytes(mixed.Bytes()); !errors.Is(err, ident.ErrKey) {
			t.Errorf("honest key plus torsion point %d: %v", i+1, err)
		}
	}
}

func TestKeysInNonCanonicalEncodingAreRefused(t *testing.T) {
	lenient := 0
	keys := append(nonCanonical(),
		[32]byte{0: 1, 31: 0x80}, // the neutral point with the sign of -0
	)
	for _, key := range keys {
		if _, err := ident.NodeIDFromBytes(key[:]); !errors.Is(err, ident.ErrKey) {
			t.Errorf("%x: %v", key, err)
		}
		if _, err := new(edwards25519.Point).SetBytes(key[:]); err == nil {
			lenient++
		}
	}
	if lenient == 0 {
		t.Error("no vector is one that a lenient decoder takes")
	}
}

// forgery is a signature made by hand, so that every part of it can be wrong.
type forgery struct {
	scalar *edwards25519.Scalar // the private scalar
	public []byte               // encoding of the public key, hashed as it is
	nonce  *edwards25519.Scalar
	point  []byte // encoding of the nonce's point, hashed as it is
}

func (f forgery) sign(t *testing.T, d ident.Domain, msg []byte) ident.Signature {
	t.Helper()
	h := sha512.New()
	h.Write(f.point)
	h.Write(f.public)
	h.Write(domainSeparated(d, msg))
	k, err := edwards25519.NewScalar().SetUniformBytes(h.Sum(nil))
	if err != nil {
		t.Fatal(err)
	}
	s := edwards25519.NewScalar().MultiplyAdd(k, f.scalar, f.nonce)
	return ident.Signature(append(append([]byte{}, f.point...), s.Bytes()...))
}

func domainSeparated(d ident.Domain, msg []byte) []byte {
	return append(append([]byte(d), 0), msg...)
}

// privateScalar is the scalar of a secret for forgeries.
func privateScalar(t *testing.T, s *ident.Secret) *edwards25519.Scalar {
	t.Helper()
	clamped := s.X25519()
	scalar, err := edwards25519.NewScalar().SetBytesWithClamping(clamped[:])
	if err != nil {
		t.Fatal(err)
	}
	return scalar
}

func TestSignaturesVerifyUnderTheirKeyDomainAndMessageOnly(t *testing.T) {
	secret, other := secretOf(1), secretOf(2)
	msg := []byte("valve 3 open")
	sig := secret.Sign(ident.DomainCert, msg)
	if sig != secret.Sign(ident.DomainCert, msg) {
		t.Error("two signatures of one message differ")
	}
	if !ed25519.Verify(secretKeyBytes(secret), domainSeparated(ident.DomainCert, msg), sig[:]) {
		t.Error("the standard library does not take the signature")
	}
	tests := []struct {
		name   string
		pub    ident.NodeID
		domain ident.Domain
		msg    string
		want   bool
	}{
		{"as signed", secret.ID(), ident.DomainCert, "valve 3 open", true},
		{"another key", other.ID(), ident.DomainCert, "valve 3 open", false},
		{"another domain", secret.ID(), ident.DomainRecord, "valve 3 open", false},
		{"no domain", secret.ID(), "", "valve 3 open", false},
		{"domain cut short", secret.ID(), "staex cert", " v1\x00valve 3 open", false},
		{"another message", secret.ID(), ident.DomainCert, "valve 4 open", false},
		{"empty message", secret.ID(), ident.DomainCert, "", false},
	}
	for _, tt := range tests {
		if got := ident.Verify(tt.pub, tt.domain, []byte(tt.msg), sig); got != tt.want {
			t.Errorf("%s: Verify = %v", tt.name, got)
		}
	}
}

func secretKeyBytes(s *ident.Secret) ed25519.PublicKey {
	id := s.ID()
	return id[:]
}

func TestNoChangedBitOfASignatureVerifies(t *testing.T) {
	secret := secretOf(1)
	sig := secret.Sign(ident.DomainRecord, []byte("m"))
	for i := range sig {
		changed := sig
		changed[i] ^= 1 << (i % 8)
		if ident.Verify(secret.ID(), ident.DomainRecord, []byte("m"), changed) {
			t.Errorf("verifies with bit %d of byte %d changed", i%8, i)
		}
	}
	if ident.Verify(secret.ID(), ident.DomainRecord, []byte("m"), ident.Signature{}) {
		t.Error("the zero signature verifies")
	}
}

func TestSignatureScalarMustBeReduced(t *testing.T) {
	secret := secretOf(1)
	sig := secret.Sign(ident.DomainCert, []byte("m"))
	carry := 0
	for i := range 32 { // S + L is the same scalar written another way
		sum := int(sig[32+i]) + int(order[i]) + carry
		sig[32+i], carry = byte(sum), sum>>8
	}
	if carry != 0 {
		t.Fatal("S + L does not fit; choose another seed")
	}
	if ident.Verify(secret.ID(), ident.DomainCert, []byte("m"), sig) {
		t.Error("verifies with S + L")
	}
}

func TestHandMadeSignatureVerifies(t *testing.T) {
	secret := secretOf(1)
	nonce := small(t, 77)
	made := forgery{
		scalar: privateScalar(t, secret), public: secretKeyBytes(secret), nonce: nonce,
		point: new(edwards25519.Point).ScalarBaseMult(nonce).Bytes(),
	}
	if !ident.Verify(secret.ID(), ident.DomainCert, []byte("m"),
		made.sign(t, ident.DomainCert, []byte("m"))) {
		t.Error("the forgery helper makes no valid signatures; the tests beside this prove nothing")
	}
}

func TestSignatureWithNeutralPointIsRefused(t *testing.T) {
	secret := secretOf(1)
	msg := []byte("m")
	made := forgery{
		scalar: privateScalar(t, secret), public: secretKeyBytes(secret),
		nonce: edwards25519.NewScalar(), point: edwards25519.NewIdentityPoint().Bytes(),
	}
	sig := made.sign(t, ident.DomainCert, msg)
	if !ed25519.Verify(made.public, domainSeparated(ident.DomainCert, msg), sig[:]) {
		t.Fatal("a lenient verifier refuses it as well; the vector proves nothing")
	}
	if ident.Verify(secret.ID(), ident.DomainCert, msg, sig) {
		t.Error("verifies")
	}
}

func TestSignaturePointMustBeCanonical(t *testing.T) {
	secret := secretOf(1)
	for _, point := range nonCanonical() {
		made := forgery{
			scalar: privateScalar(t, secret), public: secretKeyBytes(secret),
			nonce: edwards25519.NewScalar(), point: point[:],
		}
		sig := made.sign(t, ident.DomainCert, []byte("m"))
		if ident.Verify(secret.ID(), ident.DomainCert, []byte("m"), sig) {
			t.Errorf("verifies with R = %x", point)
		}
	}
}

func TestSignatureByKeyOfMixedOrderIsRefused(t *testing.T) {
	secret := secretOf(1)
	public, err := new(edwards25519.Point).SetBytes(secretKeyBytes(secret))
	if err != nil {
		t.Fatal(err)
	}
	mixed := new(edwards25519.Point).Add(public, torsion(t)[1]).Bytes()
	msg := []byte("m")
	for n := byte(1); n < 255; n++ { // one nonce in eight lets the torsion vanish
		nonce := small(t, n)
		made := forgery{
			scalar: privateScalar(t, secret), public: mixed, nonce: nonce,
			point: new(edwards25519.Point).ScalarBaseMult(nonce).Bytes(),
		}
		sig := made.sign(t, ident.DomainCert, msg)
		if !ed25519.Verify(mixed, domainSeparated(ident.DomainCert, msg), sig[:]) {
			continue
		}
		if ident.Verify([32]byte(mixed), ident.DomainCert, msg, sig) {
			t.Error("verifies")
		}
		return
	}
	t.Fatal("no nonce made a signature that a lenient verifier takes")
}

func TestSignatureByKeyOfSmallOrderIsRefused(t *testing.T) {
	msg := []byte("m")
	lenient := 0
	for _, point := range torsion(t) {
		for _, r := range torsion(t) {
			sig := ident.Signature(append(r.Bytes(), make([]byte, 32)...))
			if ed25519.Verify(point.Bytes(), domainSeparated(ident.DomainCert, msg), sig[:]) {
				lenient++
			}
			if ident.Verify([32]byte(point.Bytes()), ident.DomainCert, msg, sig) {
				t.Errorf("verifies with A = %x, R = %x", point.Bytes(), r.Bytes())
			}
		}
	}
	if lenient == 0 {
		t.Error("no vector is one that a lenient verifier takes")
	}
}

func FuzzVerify(f *testing.F) {
	secret := secretOf(1)
	id, sig := secret.ID(), secret.Sign(ident.DomainOffer, []byte("m"))
	f.Add(id[:], sig[:], []byte("m"))
	f.Add(make([]byte, 32), make([]byte, 64), []byte{})
	f.Add(id[:], append([]byte{1}, make([]byte, 63)...), []byte("m"))
	f.Fuzz(func(t *testing.T, pub, sig, msg []byte) {
		if len(pub) != 32 || len(sig) != 64 {
			return
		}
		if !ident.Verify([32]byte(pub), ident.DomainOffer, msg, ident.Signature(sig)) {
			return
		}
		if !ed25519.Verify(pub, domainSeparated(ident.DomainOffer, msg), sig) {
			t.Error("strict verification takes what the lenient one refuses")
		}
	})
}
