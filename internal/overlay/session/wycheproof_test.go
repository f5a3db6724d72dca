// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"bytes"
	"compress/gzip"
	"crypto/cipher"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"

	"staex/internal/overlay/session"
)

// wycheproof is what a file of Project Wycheproof says about agreements and AEADs.
type wycheproof struct {
	TestGroups []struct {
		KeySize, IVSize, TagSize int // in bits
		Tests                    []struct {
			ID                         int `json:"tcId"`
			Comment                    string
			Result                     string
			Public, Private, Shared    hexed
			Key, IV, AAD, Msg, Ct, Tag hexed
		}
	}
}

// hexed is a field in hexadecimal digits.
type hexed []byte

// UnmarshalText reads the digits.
func (h *hexed) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// readWycheproof reads the file of that name.
func readWycheproof(t *testing.T, name string) (vectors wycheproof) {
	t.Helper()
	file, err := os.Open("testdata/wycheproof/" + name + "_test.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(unpacked).Decode(&vectors); err != nil {
		t.Fatal(err)
	}
	return vectors
}

// The vectors of RFC 7748 are among them, marked Ktv.
func TestAgreementsAgreeWithWycheproof(t *testing.T) {
	count, weak := 0, 0
	for _, group := range readWycheproof(t, "x25519").TestGroups {
		for _, v := range group.Tests {
			key, err := session.Agree(v.Private, v.Public)
			if err != nil {
				t.Fatalf("vector %d (%s): %v", v.ID, v.Comment, err)
			}
			if bytes.Equal(v.Shared, make([]byte, 32)) {
				weak++
				if bytes.Equal(key, v.Shared) {
					t.Errorf("vector %d (%s): a secret that everybody knows", v.ID, v.Comment)
				}
				continue
			}
			count++
			if !bytes.Equal(key, v.Shared) {
				t.Errorf("vector %d (%s): %x, should be %x", v.ID, v.Comment, key, v.Shared)
			}
		}
	}
	if count < 450 || weak < 20 {
		t.Errorf("only %d vectors and %d of low order", count, weak)
	}
}

// The vectors of RFC 8439 are among them, marked Ktv. Sizes of key, nonce and tag that the
// product never uses are passed by.
func TestCiphersAgreeWithWycheproof(t *testing.T) {
	ours := func(suite session.Suite) func(key []byte) cipher.AEAD {
		return func(key []byte) cipher.AEAD {
			return session.NewAEAD(suite, (*[session.KeySize]byte)(key))
		}
	}
	extended := func(key []byte) cipher.AEAD {
		aead, err := chacha20poly1305.NewX(key)
		if err != nil {
			t.Fatal(err)
		}
		return aead
	}
	for _, test := range []struct {
		file           string
		make           func(key []byte) cipher.AEAD
		valid, invalid int // at least
	}{
		{"chacha20_poly1305", ours(session.ChaCha), 200, 60},
		{"aes_gcm", ours(session.AESGCM), 30, 20},
		{"xchacha20_poly1305", extended, 200, 60},
	} {
		valid, invalid := 0, 0
		for _, group := range readWycheproof(t, test.file).TestGroups {
			for _, v := range group.Tests {
				if len(v.Key) != session.KeySize || group.TagSize != 128 {
					continue
				}
				aead := test.make(v.Key)
				if len(v.IV) != aead.NonceSize() {
					continue
				}
				plain, err := aead.Open(nil, v.IV, append(bytes.Clone(v.Ct), v.Tag...), v.AAD)
				if v.Result != "valid" {
					invalid++
					if err == nil {
						t.Errorf("%s %d (%s) was opened", test.file, v.ID, v.Comment)
					}
					continue
				}
				valid++
				sealed := aead.Seal(nil, v.IV, v.Msg, v.AAD)
				if err != nil || !bytes.Equal(plain, v.Msg) ||
					!bytes.Equal(sealed, append(bytes.Clone(v.Ct), v.Tag...)) {
					t.Errorf("%s %d (%s): %v, %x", test.file, v.ID, v.Comment, err, sealed)
				}
			}
		}
		if valid < test.valid || invalid < test.invalid {
			t.Errorf("%s: only %d valid and %d invalid vectors", test.file, valid, invalid)
		}
	}
}
