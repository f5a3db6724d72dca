// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/flynn/noise"
)

// vector is one block of testdata/noise.vectors.
type vector map[string]string

func (v vector) bytes(t *testing.T, name string) []byte {
	t.Helper()
	b, err := hex.DecodeString(v[name])
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return b
}

func (v vector) key(t *testing.T, name string) noise.DHKey {
	t.Helper()
	k, err := noise.DH25519.GenerateKeypair(bytes.NewReader(v.bytes(t, name)))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return k
}

func readVectors(t *testing.T) (all []vector) {
	t.Helper()
	text, err := os.ReadFile("testdata/noise.vectors")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		if name == "handshake" {
			all = append(all, vector{})
		}
		all[len(all)-1][name] = value
	}
	return all
}

func TestNoiseAgreesWithThePublicVectors(t *testing.T) {
	all := readVectors(t)
	if len(all) != 8 {
		t.Fatalf("%d vectors, want 8", len(all))
	}
	for n, v := range all {
		t.Run(fmt.Sprint(n), func(t *testing.T) { runVector(t, v) })
	}
}

func runVector(t *testing.T, v vector) {
	ci := noise.Config{
		CipherSuite: noise.NewCipherSuite(
			noise.DH25519, noise.CipherChaChaPoly, noise.HashBLAKE2s),
		Prologue: v.bytes(t, "prologue"),
		Pattern:  noise.HandshakeXX,
	}
	if v["handshake"] == "Noise_XK_25519_ChaChaPoly_BLAKE2s" {
		ci.Pattern = noise.HandshakeXK
		ci.PeerStatic = v.key(t, "resp_static").Public
	} else if v["handshake"] != "Noise_XX_25519_ChaChaPoly_BLAKE2s" {
		t.Fatalf("a vector of another protocol: %s", v["handshake"])
	}
	cr := ci
	cr.PeerStatic = nil
	ci.Initiator = true
	ci.StaticKeypair, cr.StaticKeypair = v.key(t, "init_static"), v.key(t, "resp_static")
	ci.Random = bytes.NewReader(v.bytes(t, "gen_init_ephemeral"))
	cr.Random = bytes.NewReader(v.bytes(t, "gen_resp_ephemeral"))
	writer, err := noise.NewHandshakeState(ci)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := noise.NewHandshakeState(cr)
	if err != nil {
		t.Fatal(err)
	}
	var forth, back *noise.CipherState
	for n := range 3 {
		payload := v.bytes(t, fmt.Sprintf("msg_%d_payload", n))
		want := v.bytes(t, fmt.Sprintf("msg_%d_ciphertext", n))
		var msg []byte
		msg, forth, back, err = writer.WriteMessage(nil, payload)
		if err != nil || !bytes.Equal(msg, want) {
			t.Fatalf("message %d: %x, %v, want %x", n, msg, err, want)
		}
		got, _, _, err := reader.ReadMessage(nil, msg)
		if err != nil || !bytes.Equal(got, payload) {
			t.Fatalf("message %d carries %x, %v, want %x", n, got, err, payload)
		}
		writer, reader = reader, writer
	}
	for n, cs := range map[int]*noise.CipherState{3: forth, 4: back} {
		got, err := cs.Encrypt(nil, nil, v.bytes(t, fmt.Sprintf("msg_%d_payload", n)))
		want := v.bytes(t, fmt.Sprintf("msg_%d_ciphertext", n))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("transport message %d: %x, %v, want %x", n, got, err, want)
		}
	}
}
