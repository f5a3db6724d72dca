// SPDX-License-Identifier: Apache-2.0

package ident_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"testing"

	"golang.org/x/crypto/blake2s"
	"golang.org/x/crypto/hkdf"

	"staex/internal/ident"
)

func TestNewSecretIsMadeOf32BytesOfRandomness(t *testing.T) {
	rand := bytes.NewReader(bytes.Repeat([]byte{5}, 40))
	secret, err := ident.NewSecret(rand)
	if err != nil {
		t.Fatal(err)
	}
	if rand.Len() != 8 {
		t.Errorf("took %d bytes of randomness", 40-rand.Len())
	}
	if !secret.Equal(secretOf(5)) || secret.Equal(secretOf(6)) {
		t.Error("the key is not that of the bytes read")
	}
	if seed := secret.Seed(); !bytes.Equal(seed[:], bytes.Repeat([]byte{5}, 32)) {
		t.Error("Seed() is not the bytes read")
	}
	if ident.NodeID(secret.NetworkKey()) != secret.ID() {
		t.Error("one key has two public keys")
	}
}

func TestNewSecretFailsWhenRandomnessEnds(t *testing.T) {
	_, err := ident.NewSecret(bytes.NewReader(make([]byte, 31)))
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error %v", err)
	}
}

// holder hides its fields from fmt's method calls, as other rooms' structs do.
type holder struct {
	secret *ident.Secret
	value  ident.Secret
	names  ident.NamesKey
	who    ident.Identity
}

func TestSecretsCannotBePrinted(t *testing.T) {
	secret := secretOf(0xa7)
	seed := secret.Seed()
	key := secret.NamesKey()
	names, err := ident.DecodeText(ident.EncodeNamesKeyText(key))
	if err != nil {
		t.Fatal(err)
	}
	who := ident.Identity{Secret: secret, Names: key, HasNames: true}
	leaks := []string{
		hex.EncodeToString(seed[:4]), "167 167 167", "0xa7, 0xa7", `\xa7\xa7`, "\xa7\xa7",
		base64.StdEncoding.EncodeToString(seed[:])[:8],
		hex.EncodeToString(names[:4]), fmt.Sprint(names[0], names[1], names[2]),
		base64.StdEncoding.EncodeToString(names[:])[:8], string(names[:4]),
	}
	values := map[string]any{
		"pointer": secret, "value": *secret, "names key": key, "names key pointer": &key,
		"identity": who, "identity pointer": &who,
		"holder":         holder{secret, *secret, key, who},
		"holder pointer": &holder{secret, *secret, key, who},
		"slice":          []any{secret, *secret, key}, "array": [1]ident.NamesKey{key},
		"map": map[string]any{"a": secret, "b": key},
	}
	verbs := "vTtbcdoOqxXUeEfFgGsp"
	for name, value := range values {
		for _, verb := range verbs {
			for _, flag := range []string{"", "+", "#", " ", "0", "80", "-80.2"} {
				text := fmt.Sprintf("%"+flag+string(verb), value)
				for _, leak := range leaks {
					if strings.Contains(strings.ToLower(text), strings.ToLower(leak)) {
						t.Errorf("%s with %%%s%c prints %q", name, flag, verb, text)
					}
				}
			}
		}
	}
	for _, s := range []fmt.Stringer{secret, key} {
		if s.String() != "[secret]" || s.(fmt.GoStringer).GoString() != "[secret]" {
			t.Errorf("%T prints as %s", s, s)
		}
	}
}

func TestSecretsRefuseToBecomeJSON(t *testing.T) {
	for _, value := range []any{secretOf(1), *secretOf(1), secretOf(1).NamesKey()} {
		if text, err := json.Marshal(value); !errors.Is(err, ident.ErrSecret) {
			t.Errorf("%T becomes %s, %v", value, text, err)
		}
	}
}

func TestNamesKeyIsHKDFOfTheNetworkSeed(t *testing.T) {
	secret := secretOf(3)
	seed := secret.Seed()
	want := make([]byte, 32)
	twin := hkdf.New(func() hash.Hash {
		h, err := blake2s.New256(nil)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}, seed[:], nil, []byte("staex names v1"))
	if _, err := io.ReadFull(twin, want); err != nil {
		t.Fatal(err)
	}
	if text := ident.EncodeNamesKeyText(secret.NamesKey()); !bytes.Equal(
		text, ident.EncodeText(want)) {
		t.Error("NamesKey() differs from its definition")
	}
	if secret.NamesKey().Equal(secretOf(4).NamesKey()) {
		t.Error("two networks share a names key")
	}
}

func TestTagsTellKindsNamesAndNetworksApart(t *testing.T) {
	key, other := secretOf(3).NamesKey(), secretOf(4).NamesKey()
	tag := key.Tag(ident.TagName, "camera1")
	if got := hex.EncodeToString(tag[:]); got != "800070cb741365e6" {
		t.Errorf("Tag = %s", got)
	}
	mac := key.MAC8([]byte("a"), []byte("bc"))
	if got := hex.EncodeToString(mac[:]); got != "15bb15d54dfc764d" {
		t.Errorf("MAC8 = %s", got)
	}
	seen := map[[8]byte]string{}
	for name, value := range map[string][8]byte{
		"name":            tag,
		"address":         key.Tag(ident.TagAddress, "camera1"),
		"another name":    key.Tag(ident.TagName, "camera2"),
		"another network": other.Tag(ident.TagName, "camera1"),
		"MAC of a, bc":    mac,
		"MAC of ab, c":    key.MAC8([]byte("ab"), []byte("c")),
		"MAC of abc":      key.MAC8([]byte("abc")),
		"MAC of nothing":  key.MAC8(),
		"MAC of an empty": key.MAC8(nil),
		"MAC as a tag":    key.MAC8([]byte("camera1")),
	} {
		if twin, exists := seen[value]; exists {
			t.Errorf("%s and %s are equal", name, twin)
		}
		seen[value] = name
	}
}

func TestNamesKeyFileReadsBack(t *testing.T) {
	key := secretOf(3).NamesKey()
	text := ident.EncodeNamesKeyText(key)
	got, err := ident.DecodeNamesKeyText(text)
	if err != nil || got.IsZero() || !got.Equal(key) {
		t.Errorf("DecodeNamesKeyText: %v", err)
	}
	if _, err := ident.DecodeNamesKeyText(text[4:]); !errors.Is(err, ident.ErrSecret) {
		t.Errorf("a cut names key: %v", err)
	}
	if _, err := ident.DecodeNamesKeyText(text[1:]); !errors.Is(err, ident.ErrText) {
		t.Errorf("a names key that is no BASE64: %v", err)
	}
}

func TestZeroNamesKeyMakesNoTagsAndMACs(t *testing.T) {
	var none ident.NamesKey
	if !none.IsZero() || fmt.Sprint(none) != "[secret]" {
		t.Error("the zero names key does not say that it is none")
	}
	for name, use := range map[string]func(){
		"Tag":  func() { none.Tag(ident.TagName, "camera1") },
		"MAC8": func() { none.MAC8() },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s answers without a key", name)
				}
			}()
			use()
		}()
	}
}

func FuzzDecodeNamesKeyText(f *testing.F) {
	f.Add(ident.EncodeNamesKeyText(secretOf(3).NamesKey()))
	f.Add([]byte("AAAA\n"))
	f.Add([]byte("!"))
	f.Fuzz(func(t *testing.T, b []byte) {
		key, err := ident.DecodeNamesKeyText(b)
		if err != nil {
			return
		}
		if got := ident.EncodeNamesKeyText(key); !bytes.Equal(
			bytes.TrimSpace(got), bytes.TrimSpace(b)) {
			t.Error("a names key does not print as it was read")
		}
	})
}
