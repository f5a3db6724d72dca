// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"bytes"
	"crypto/ecdh"
	"testing"

	"staex/internal/ident"
	"staex/internal/overlay/session"
)

func TestBothEndsOfATunnelShareItsSecret(t *testing.T) {
	a, b, c := secret(1), secret(2), secret(3)
	ab := session.TunnelSecret(a, b.ID())
	if ab != session.TunnelSecret(b, a.ID()) {
		t.Error("the two ends disagree")
	}
	if ab == session.TunnelSecret(a, c.ID()) {
		t.Error("another tunnel has the same secret")
	}
}

func TestTheTunnelSecretIsWhatTheKeyScheduleSays(t *testing.T) {
	a, b := secret(1), secret(2)
	scalar, point := a.X25519(), b.ID().X25519()
	private, err := ecdh.X25519().NewPrivateKey(scalar[:])
	if err != nil {
		t.Fatal(err)
	}
	public, err := ecdh.X25519().NewPublicKey(point[:])
	if err != nil {
		t.Fatal(err)
	}
	shared, err := private.ECDH(public)
	if err != nil {
		t.Fatal(err)
	}
	low, high := a.ID(), b.ID()
	if bytes.Compare(low[:], high[:]) > 0 {
		low, high = high, low
	}
	want := blake2sKeyed(t, shared, "staex tunnel v1", string(low[:]), string(high[:]))
	if session.TunnelSecret(a, b.ID()) != want {
		t.Error("something else")
	}
}

func TestATunnelSecretWithAWeakKeyIsKnownToNobody(t *testing.T) {
	// No such id passes the check at the border; if one did, both must not meet in a constant.
	if session.TunnelSecret(secret(1), ident.NodeID{}) ==
		session.TunnelSecret(secret(2), ident.NodeID{}) {
		t.Error("a weak key makes secrets equal")
	}
}

func TestHelloMACCoversEveryPartAndItsBorders(t *testing.T) {
	parts := func(p ...string) (out [][]byte) {
		for _, s := range p {
			out = append(out, []byte(s))
		}
		return out
	}
	sum := session.HelloMAC(key(1), parts("ab", "c")...)
	if !session.CheckHelloMAC(key(1), sum, parts("ab", "c")...) {
		t.Error("a genuine MAC is refused")
	}
	for _, other := range [][]string{
		{"a", "bc"}, {"abc"}, {"ab", "c", ""}, {"ab"}, {"ab", "d"}, {},
	} {
		if session.CheckHelloMAC(key(1), sum, parts(other...)...) {
			t.Errorf("the MAC also fits %q", other)
		}
	}
	if session.CheckHelloMAC(key(2), sum, parts("ab", "c")...) {
		t.Error("the MAC fits under another key")
	}
}
