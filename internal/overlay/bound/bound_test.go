// SPDX-License-Identifier: Apache-2.0

package bound_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"testing"

	"staex/internal/ident"
	"staex/internal/overlay/bound"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const day = 24 * 60 * 60

func secretOf(n byte) *ident.Secret { return ident.SecretFromSeed([32]byte{n, 7}) }

// member makes a certificate of the network number 1.
func member(t testing.TB, n byte, roles ident.Role) *ident.NodeCert {
	t.Helper()
	c := &ident.NodeCert{Key: secretOf(n).ID(), Roles: roles}
	if err := ident.SignNodeCert(c, secretOf(1)); err != nil {
		t.Fatal(err)
	}
	return c
}

func statement(t testing.TB) *bound.Statement {
	t.Helper()
	return bound.State(secretOf(1).NetworkKey(), 1_800_000_000, member(t, 2, ident.RoleTime),
		secretOf(2))
}

func TestABoundOnlyMovesForward(t *testing.T) {
	b := bound.From(1000)
	for _, step := range []struct {
		moment, notAfter, at uint32
		moved                bool
	}{
		{900, 0, 1000, false},
		{1000, 0, 1000, false},
		{2000, 0, 2000, true},
		{5000, 3000, 3000, true}, // the signer's certificate ends at 3000
		{6000, 2500, 3000, false},
		{1<<32 - 1, 0, 1<<32 - 1, true},
		{0, 0, 1<<32 - 1, false},
	} {
		if moved := b.Raise(step.moment, step.notAfter); moved != step.moved || b.At() != step.at {
			t.Errorf("raised to %d by a signer until %d: %v, at %d, want %v, %d", step.moment,
				step.notAfter, moved, b.At(), step.moved, step.at)
		}
	}
}

func TestABoundIsWrittenOncePerDayThatItMoves(t *testing.T) {
	var b bound.Bound
	writes := 0
	for hour := range uint32(10 * 24) {
		b.Raise(1_800_000_000+hour*3600, 0)
		if b.Due() {
			writes++
		}
	}
	if writes != 10 {
		t.Errorf("%d writes in ten days", writes)
	}
	after := bound.From(b.At())
	if after.Due() {
		t.Error("what was read from the disk is written to it")
	}
	after.Raise(b.At()+day, 0)
	if !after.Due() {
		t.Error("a day later it is not written")
	}
}

func TestAStatementComesBackWholeAndKeepsItsBytes(t *testing.T) {
	s := statement(t)
	b := s.Append([]byte("before"))[6:]
	got, err := bound.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := got.Verify(); err != nil || got.Moment != s.Moment || got.Network != s.Network {
		t.Errorf("%+v, %v", got, err)
	}
	text := hex.EncodeToString(b) + "\n"
	const path = "testdata/statement.hex"
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(path); err != nil || string(want) != text {
		t.Errorf("%v: got %s want %s", err, text, want)
	}
}

func TestOnlyAMemberWithTheRoleMayStateTheTime(t *testing.T) {
	network := secretOf(1).NetworkKey()
	foreign := &ident.NodeCert{Key: secretOf(2).ID(), Roles: ident.RoleTime}
	if err := ident.SignNodeCert(foreign, secretOf(9)); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*bound.Statement{
		"no role":       bound.State(network, 5, member(t, 2, ident.RoleRevoker), secretOf(2)),
		"another key":   bound.State(network, 5, member(t, 2, ident.RoleTime), secretOf(3)),
		"other network": bound.State(network, 5, foreign, secretOf(2)),
	} {
		if err := s.Verify(); !errors.Is(err, bound.ErrStatement) {
			t.Errorf("%s: %v", name, err)
		}
	}
	later := statement(t)
	later.Moment++
	if later.Verify() == nil {
		t.Error("a changed moment verifies")
	}
}

func TestEveryCutStatementIsRefused(t *testing.T) {
	b := statement(t).Append(nil)
	for n := range b {
		if _, err := bound.Decode(b[:n]); !errors.Is(err, bound.ErrStatement) {
			t.Fatalf("cut to %d: %v", n, err)
		}
	}
	if _, err := bound.Decode(append(b, 0)); !errors.Is(err, bound.ErrStatement) {
		t.Errorf("a byte too many: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	b := statement(f).Append(nil)
	f.Add(b)
	f.Add(b[:len(b)-1])
	for _, at := range []int{0, 33, 37, 38, 50} {
		changed := bytes.Clone(b)
		changed[at] ^= 0xff
		f.Add(changed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := bound.Decode(b)
		switch {
		case err != nil && !errors.Is(err, bound.ErrStatement):
			t.Errorf("unknown error %v", err)
		case err == nil && !bytes.Equal(s.Append(nil), b):
			t.Error("a second encoding differs")
		}
	})
}
