// SPDX-License-Identifier: Apache-2.0

package ident_test

import (
	"testing"

	"staex/internal/ident"
)

// What a stranger can make a node spend: the check of a key, of a signature, of a certificate.

func BenchmarkNodeIDFromBytes(b *testing.B) {
	id := secretOf(1).ID()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ident.NodeIDFromBytes(id[:]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	secret := secretOf(1)
	msg := make([]byte, 100)
	sig := secret.Sign(ident.DomainRecord, msg)
	b.ReportAllocs()
	for b.Loop() {
		if !ident.Verify(secret.ID(), ident.DomainRecord, msg, sig) {
			b.Fatal("does not verify")
		}
	}
}

func BenchmarkNodeCertDecodeAndVerify(b *testing.B) {
	network, encoded := selfMade(b), member(b).Append(nil)
	b.ReportAllocs()
	for b.Loop() {
		c, err := ident.DecodeNodeCert(encoded)
		if err != nil {
			b.Fatal(err)
		}
		if err := c.Verify(network); err != nil {
			b.Fatal(err)
		}
	}
}
