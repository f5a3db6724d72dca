// SPDX-License-Identifier: Apache-2.0

package ident_test

import (
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/curve25519"

	"staex/internal/ident"
)

// nodeIDVectors are published ids and the keys they stand for.
var nodeIDVectors = []struct{ text, hex string }{
	{
		"4cc9pkyvvj6accsnc3ac79wy7zstw25cra7ka596tc3a8sg7k5ag",
		"23189b4fdbdc8ca6333560d4c3a79e3ff3ae08acc28f351526d306a466079955",
	},
	{
		"kd2npmmtvp6p02v7yhgqjdpg58xs9v2sw19k2a8skz4vbdqq1f50",
		"9b455b529add8d600b67f4617936d02a3b94ec59e0533129199fc9b5b6f70bca",
	},
}

// secretOf is the key whose seed is 32 times the given byte.
func secretOf(b byte) *ident.Secret {
	var seed [ident.KeySize]byte
	for i := range seed {
		seed[i] = b
	}
	return ident.SecretFromSeed(seed)
}

func TestPublishedNodeIDsReadAndPrint(t *testing.T) {
	for _, v := range nodeIDVectors {
		for _, text := range []string{v.text, strings.ToUpper(v.text)} {
			id, err := ident.ParseNodeID(text)
			if err != nil {
				t.Fatalf("ParseNodeID(%s): %v", text, err)
			}
			if got := hex.EncodeToString(id[:]); got != v.hex {
				t.Errorf("ParseNodeID(%s) = %s, want %s", text, got, v.hex)
			}
			if id.String() != v.text {
				t.Errorf("String() = %s, want %s", id, v.text)
			}
		}
	}
}

func TestNodeIDTextIsBase32OfTheStandardLibrary(t *testing.T) {
	twin := base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)
	for b := range 64 {
		id := secretOf(byte(b)).ID()
		if want := twin.EncodeToString(id[:]); id.String() != want {
			t.Fatalf("String() = %s, want %s", id, want)
		}
		back, err := ident.ParseNodeID(id.String())
		if err != nil || back != id {
			t.Fatalf("ParseNodeID(%s) = %v, %v", id, back, err)
		}
	}
}

func TestNodeIDHasOneTextUpToCase(t *testing.T) {
	good := nodeIDVectors[0].text
	tests := []struct {
		name, text string
		want       error
		sentence   string
	}{
		{"empty", "", ident.ErrNodeID, "0 characters"},
		{"too short", good[1:], ident.ErrNodeID, "51 characters"},
		{"too long", good + "0", ident.ErrNodeID, "53 characters"},
		{"padding bits set", good[:51] + "h", ident.ErrNodeID, "0 or g"},
		{"last character is one", good[:51] + "1", ident.ErrNodeID, "0 or g"},
		{"letter o", "o" + good[1:], ident.ErrNodeID, "digit 0"},
		{"letter O", "O" + good[1:], ident.ErrNodeID, "digit 0"},
		{"letter i", good[:5] + "i" + good[6:], ident.ErrNodeID, "digit 1"},
		{"letter L", good[:5] + "L" + good[6:], ident.ErrNodeID, "digit 1"},
		{"letter u", "u" + good[1:], ident.ErrNodeID, `"u"`},
		{"hyphen", good[:5] + "-" + good[6:], ident.ErrNodeID, "character 6"},
		{"space", " " + good[1:], ident.ErrNodeID, "character 1"},
		{"not ASCII", "\xff" + good[1:], ident.ErrNodeID, `"\xff"`},
		{"zero", strings.Repeat("0", 52), ident.ErrKey, "prime order"},
		{"no point", "8" + strings.Repeat("0", 51), ident.ErrKey, ""},
	}
	for _, tt := range tests {
		id, err := ident.ParseNodeID(tt.text)
		if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.sentence) {
			t.Errorf("%s: error %v, want %v with %q", tt.name, err, tt.want, tt.sentence)
		}
		if !id.IsZero() {
			t.Errorf("%s: an error came with id %s", tt.name, id)
		}
	}
}

func TestNodeIDFromBytesTakesExactly32(t *testing.T) {
	id := secretOf(1).ID()
	if got, err := ident.NodeIDFromBytes(id[:]); err != nil || got != id {
		t.Errorf("NodeIDFromBytes = %s, %v; want %s", got, err, id)
	}
	for _, b := range [][]byte{nil, id[:31], append(id[:], 0)} {
		if _, err := ident.NodeIDFromBytes(b); !errors.Is(err, ident.ErrKey) {
			t.Errorf("NodeIDFromBytes of %d bytes: %v", len(b), err)
		}
	}
}

func TestNodeIDsOrderByTheirBytes(t *testing.T) {
	a, b := ident.NodeID{0, 1}, ident.NodeID{0, 2}
	if a.Compare(b) != -1 || b.Compare(a) != 1 || a.Compare(a) != 0 {
		t.Error("Compare does not order by bytes")
	}
}

func TestNodeIDMapsToTheX25519KeyOfItsSecret(t *testing.T) {
	for b := range 16 {
		secret := secretOf(byte(b))
		scalar := secret.X25519()
		want, err := curve25519.X25519(scalar[:], curve25519.Basepoint)
		if err != nil {
			t.Fatal(err)
		}
		if got := secret.ID().X25519(); [32]byte(want) != got {
			t.Errorf("seed %d: X25519() = %x, want %x", b, got, want)
		}
	}
}

func TestBytesThatAreNoPointMapToTheX25519KeyThatFails(t *testing.T) {
	public := ident.NodeID{2}.X25519()
	if public != [32]byte{} {
		t.Fatalf("X25519() of no point = %x", public)
	}
	scalar := secretOf(1).X25519()
	if _, err := curve25519.X25519(scalar[:], public[:]); err == nil {
		t.Error("an exchange with the zero key succeeds")
	}
}

func TestKeysTravelInJSON(t *testing.T) {
	type pair struct {
		Node    ident.NodeID
		Network ident.NetworkKey
	}
	secret := secretOf(3)
	for _, want := range []pair{{}, {secret.ID(), secret.NetworkKey()}} {
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		got := pair{Node: secretOf(9).ID(), Network: secretOf(9).NetworkKey()}
		if err := json.Unmarshal(text, &got); err != nil || got != want {
			t.Errorf("%s reads as %v, %v", text, got, err)
		}
	}
	var got pair
	if err := json.Unmarshal([]byte(`{"Node":"x"}`), &got); !errors.Is(err, ident.ErrNodeID) {
		t.Errorf("a wrong id in JSON: %v", err)
	}
	err := json.Unmarshal([]byte(`{"Network":"x"}`), &got)
	if !errors.Is(err, ident.ErrNetworkKey) {
		t.Errorf("a wrong network key in JSON: %v", err)
	}
}

func TestNetworkKeyIsStrictBase64(t *testing.T) {
	key := secretOf(7).NetworkKey()
	text := key.String()
	if got, err := ident.ParseNetworkKey(text); err != nil || got != key {
		t.Fatalf("ParseNetworkKey(%s) = %v, %v", text, got, err)
	}
	tests := []struct {
		name, text string
		want       error
	}{
		{"empty", "", ident.ErrNetworkKey},
		{"no padding", strings.TrimRight(text, "="), ident.ErrNetworkKey},
		{"a space before", " " + text, ident.ErrNetworkKey},
		{"a line break inside", text[:20] + "\n" + text[20:], ident.ErrNetworkKey},
		{"a short key", "AAAA", ident.ErrNetworkKey},
		{"no point", "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", ident.ErrKey},
		{"zero", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", ident.ErrKey},
	}
	for _, tt := range tests {
		if _, err := ident.ParseNetworkKey(tt.text); !errors.Is(err, tt.want) {
			t.Errorf("%s: error %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestNetworkHashIsStable(t *testing.T) {
	const want = "f09c280292e7826e"
	if got := secretOf(7).NetworkKey().Hash().String(); got != want {
		t.Errorf("Hash() = %s, want %s", got, want)
	}
}

func FuzzParseNodeID(f *testing.F) {
	for _, v := range nodeIDVectors {
		f.Add(v.text)
		f.Add(strings.ToUpper(v.text))
	}
	f.Add("")
	f.Add(strings.Repeat("0", 52))
	f.Add(strings.Repeat("z", 52))
	f.Add("o" + nodeIDVectors[0].text[1:])
	f.Add("i" + nodeIDVectors[0].text[1:])
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ident.ParseNodeID(s)
		if err != nil {
			if !errors.Is(err, ident.ErrNodeID) && !errors.Is(err, ident.ErrKey) {
				t.Errorf("error without sentinel: %v", err)
			}
			return
		}
		if id.String() != strings.ToLower(s) {
			t.Errorf("%q prints as %s", s, id)
		}
	})
}

func FuzzParseNetworkKey(f *testing.F) {
	f.Add(secretOf(1).NetworkKey().String())
	f.Add("AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
	f.Add("AAAA")
	f.Add("A\nAA")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		key, err := ident.ParseNetworkKey(s)
		if err == nil && key.String() != s {
			t.Errorf("%q prints as %s", s, key)
		}
	})
}
