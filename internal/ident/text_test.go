// SPDX-License-Identifier: Apache-2.0

package ident_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"

	"staex/internal/ident"
)

func TestTextFilesAreOneLine(t *testing.T) {
	text := ident.EncodeText([]byte{0xfb, 0xff, 0})
	if string(text) != "+/8A\n" {
		t.Errorf("EncodeText = %q", text)
	}
	for _, s := range []string{"+/8A", "+/8A\n", "\r\n  +/8A\t\r\n\n"} {
		raw, err := ident.DecodeText([]byte(s))
		if err != nil || !bytes.Equal(raw, []byte{0xfb, 0xff, 0}) {
			t.Errorf("DecodeText(%q) = %x, %v", s, raw, err)
		}
	}
}

func TestWrongTextFilesAreExplained(t *testing.T) {
	tests := []struct{ name, text, sentence string }{
		{"empty", "", "empty"},
		{"white space", " \n\t", "empty"},
		{"PEM", "-----BEGIN PRIVATE KEY-----\nAAAA\n", "PEM"},
		{"two lines", "AAAA\nAAAA", "one line"},
		{"carriage return inside", "AAAA\rAAAA", "one line"},
		{"space inside", "AAAA AAAA", "character 5"},
		{"URL alphabet", "AA-_", "URL alphabet"},
		{"byte order mark", "\xef\xbb\xbfAAAA", "character 1"},
		{"no padding", "AAA", "cut"},
		{"padding first", "=AAA", "padding"},
		{"three signs of padding", "A===", "padding"},
		{"after the padding", "AA==AAAA", "padding"},
		{"bits behind the value", "AB==", "padding"},
		{"huge", strings.Repeat("A", ident.MaxTextSize+1), "4097 bytes"},
	}
	for _, tt := range tests {
		_, err := ident.DecodeText([]byte(tt.text))
		if !errors.Is(err, ident.ErrText) || !strings.Contains(err.Error(), tt.sentence) {
			t.Errorf("%s: error %v, want one with %q", tt.name, err, tt.sentence)
		}
	}
}

// protect makes a protected line from its definition, at a cost that tests can pay.
func protect(seed [32]byte, pass string, memory, passes, lanes int) string {
	salt := []byte("0123456789abcdef")
	key := argon2.IDKey([]byte(pass), salt, uint32(passes), uint32(memory), uint8(lanes), 32)
	aead, err := chacha20poly1305.New(key)
	if err != nil {
		panic(err)
	}
	head := fmt.Sprintf("staex-key-v1:argon2id:%d:%d:%d:%s", memory, passes, lanes,
		base64.StdEncoding.EncodeToString(salt))
	sealed := aead.Seal(nil, make([]byte, 12), seed[:], []byte(head))
	return head + ":" + base64.StdEncoding.EncodeToString(sealed)
}

func TestPrivateKeyFilesReadBack(t *testing.T) {
	secret := secretOf(9)
	plain := ident.EncodeSecretText(secret)
	if len(plain) != 45 {
		t.Errorf("a private key file has %d bytes", len(plain))
	}
	line := protect(secret.Seed(), "open sesame", 8, 1, 1)
	for name, text := range map[string]string{
		"plain": string(plain), "protected": line, "with line break": " " + line + "\r\n",
		"two lanes": protect(secret.Seed(), "open sesame", 16, 2, 2),
	} {
		got, err := ident.OpenSecretText([]byte(text), []byte("open sesame"))
		if err != nil || !got.Equal(secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ident.DecodeSecretText(plain); err != nil {
		t.Errorf("a plain key without passphrase: %v", err)
	}
}

func TestProtectedKeyNeedsItsPassphrase(t *testing.T) {
	secret := secretOf(9)
	line := protect(secret.Seed(), "open sesame", 8, 1, 1)
	for _, pass := range []string{"", "open sesam", "Open sesame", "open sesame "} {
		_, err := ident.OpenSecretText([]byte(line), []byte(pass))
		if !errors.Is(err, ident.ErrPassphrase) {
			t.Errorf("with %q: %v", pass, err)
		}
	}
	sealed := strings.LastIndexByte(line, ':') + 1
	for name, changed := range map[string]string{
		"cost":   strings.Replace(line, ":8:1:", ":9:1:", 1),
		"sealed": line[:sealed] + swapFirst(line[sealed:]),
		"salt":   strings.Replace(line, ":MDEy", ":MDEz", 1),
	} {
		_, err := ident.OpenSecretText([]byte(changed), []byte("open sesame"))
		if changed == line || !errors.Is(err, ident.ErrPassphrase) {
			t.Errorf("with the %s changed: %v", name, err)
		}
	}
}

// swapFirst changes the first BASE64 character.
func swapFirst(s string) string {
	if s[0] == 'A' {
		return "B" + s[1:]
	}
	return "A" + s[1:]
}

func TestNewProtectedKeyIsMadeAtFullCost(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 64 MiB and a part of a second")
	}
	secret := secretOf(9)
	rand := bytes.NewReader([]byte("0123456789abcdef"))
	text, err := ident.EncodeSecretTextWithPassphrase(secret, []byte("open sesame"), rand)
	if err != nil {
		t.Fatal(err)
	}
	if want := protect(secret.Seed(), "open sesame", 65536, 3, 1) + "\n"; string(text) != want {
		t.Errorf("made   %s\nwanted %s", text, want)
	}
}

func TestProtectingNeedsAPassphraseAndRandomness(t *testing.T) {
	_, err := ident.EncodeSecretTextWithPassphrase(secretOf(9), nil, bytes.NewReader(nil))
	if !errors.Is(err, ident.ErrPassphrase) {
		t.Errorf("without passphrase: %v", err)
	}
	_, err = ident.EncodeSecretTextWithPassphrase(secretOf(9), []byte("x"), bytes.NewReader(nil))
	if !errors.Is(err, io.EOF) {
		t.Errorf("without randomness: %v", err)
	}
}

func TestWrongPrivateKeyFilesAreExplainedAndNotRepeated(t *testing.T) {
	seed := secretOf(9).Seed()
	plain := base64.StdEncoding.EncodeToString(seed[:])
	line := protect(seed, "p", 8, 1, 1)
	tests := []struct {
		name, text string
		want       error
	}{
		{"empty", "", ident.ErrText},
		{"a cut key", plain[:40], ident.ErrSecret},
		{"a key and more", plain[:40] + plain, ident.ErrSecret},
		{"no BASE64", "!" + plain, ident.ErrText},
		{"a newer version", strings.Replace(line, "v1", "v2", 1), ident.ErrSecret},
		{"another derivation", strings.Replace(line, "argon2id", "argon2i", 1), ident.ErrSecret},
		{"version alone", "staex-key-v1", ident.ErrSecret},
		{"a field missing", line[:strings.LastIndexByte(line, ':')], ident.ErrSecret},
		{"a field too many", line + ":", ident.ErrSecret},
		{"no memory", strings.Replace(line, ":8:1:1:", ":0:1:1:", 1), ident.ErrSecret},
		{"too much memory", strings.Replace(line, ":8:1:1:", ":1048577:1:1:", 1), ident.ErrSecret},
		{"huge memory", strings.Replace(line, ":8:1:1:", ":99999999999:1:1:", 1), ident.ErrSecret},
		{"no passes", strings.Replace(line, ":8:1:1:", ":8:0:1:", 1), ident.ErrSecret},
		{"too many passes", strings.Replace(line, ":8:1:1:", ":8:17:1:", 1), ident.ErrSecret},
		{"no lanes", strings.Replace(line, ":8:1:1:", ":8:1:0:", 1), ident.ErrSecret},
		{"too many lanes", strings.Replace(line, ":8:1:1:", ":8:1:17:", 1), ident.ErrSecret},
		{"a leading zero", strings.Replace(line, ":8:1:1:", ":08:1:1:", 1), ident.ErrSecret},
		{"a sign", strings.Replace(line, ":8:1:1:", ":+8:1:1:", 1), ident.ErrSecret},
		{"an empty number", strings.Replace(line, ":8:1:1:", "::1:1:", 1), ident.ErrSecret},
		{"a short salt", strings.Replace(line, "MDEy", "", 1), ident.ErrSecret},
		{"a salt that is none", strings.Replace(line, "MDEy", "!", 1), ident.ErrSecret},
		{"a short secret", line[:len(line)-4], ident.ErrSecret},
		{"two lines", line + "\n" + line, ident.ErrSecret},
		{"huge", line + strings.Repeat("A", ident.MaxTextSize), ident.ErrSecret},
	}
	for _, tt := range tests {
		_, err := ident.OpenSecretText([]byte(tt.text), []byte("p"))
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: error %v, want %v", tt.name, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), plain[:8]) {
			t.Errorf("%s: the error repeats the key: %v", tt.name, err)
		}
	}
}

func FuzzDecodeText(f *testing.F) {
	for _, s := range []string{
		"", "AAAA\n", "AB==", "AA==", "AA-_", "A\nAA", "AAA", "-----BEGIN", "\xff", "=AAA",
	} {
		f.Add([]byte(s))
	}
	f.Add(bytes.Repeat([]byte("A"), ident.MaxTextSize+1))
	f.Fuzz(func(t *testing.T, b []byte) {
		raw, err := ident.DecodeText(b)
		if err != nil {
			if !errors.Is(err, ident.ErrText) {
				t.Errorf("error without sentinel: %v", err)
			}
			return
		}
		if got := bytes.TrimSpace(ident.EncodeText(raw)); !bytes.Equal(got, bytes.TrimSpace(b)) {
			t.Errorf("%q becomes %q", b, got)
		}
	})
}

// No passphrase is given, so that only the form of the line is read and no cost is paid.
func FuzzDecodeSecretText(f *testing.F) {
	line := protect(secretOf(9).Seed(), "p", 8, 1, 1)
	for _, s := range []string{
		line, line + ":", strings.Replace(line, "v1", "v2", 1), "staex-key-v1:argon2id:8:1:1:AA==:",
		strings.Replace(line, ":8:", ":0:", 1), strings.Replace(line, "argon2id", "x", 1),
		line[:strings.LastIndex(line, ":")+1] + "AAAA", line[:strings.LastIndex(line, ":")+1] + "!",
		"AAAA", "",
	} {
		f.Add([]byte(s))
	}
	f.Add(ident.EncodeSecretText(secretOf(1)))
	f.Fuzz(func(t *testing.T, b []byte) {
		secret, err := ident.DecodeSecretText(b)
		switch {
		case err == nil:
			if got := ident.EncodeSecretText(secret); !bytes.Equal(
				bytes.TrimSpace(got), bytes.TrimSpace(b)) {
				t.Error("a key does not print as it was read")
			}
		case !errors.Is(err, ident.ErrSecret) && !errors.Is(err, ident.ErrText) &&
			!errors.Is(err, ident.ErrPassphrase):
			t.Errorf("error without sentinel: %v", err)
		}
	})
}
