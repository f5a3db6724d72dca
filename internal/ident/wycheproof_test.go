// SPDX-License-Identifier: Apache-2.0

package ident_test

import (
	"compress/gzip"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"staex/internal/ident"
)

// wycheproof is what a file of Project Wycheproof says about Ed25519.
type wycheproof struct {
	TestGroups []struct {
		PublicKey struct{ PK string }
		Tests     []struct {
			ID       int `json:"tcId"`
			Comment  string
			Msg, Sig string
			Result   string
		}
	}
}

// The vectors of RFC 8032 are among them, marked Ktv.
func TestSignaturesAgreeWithWycheproof(t *testing.T) {
	file, err := os.Open("testdata/wycheproof/ed25519_test.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var vectors wycheproof
	if err := json.NewDecoder(unpacked).Decode(&vectors); err != nil {
		t.Fatal(err)
	}

	count := map[string]int{}
	for _, group := range vectors.TestGroups {
		pub := [ident.KeySize]byte(unhex(t, group.PublicKey.PK))
		for _, v := range group.Tests {
			count[v.Result]++
			sig := unhex(t, v.Sig)
			// A signature of another length has no way into a Signature.
			ok := len(sig) == ident.SignatureSize &&
				ident.VerifyBare(pub, unhex(t, v.Msg), ident.Signature(sig))
			if ok != (v.Result == "valid") {
				t.Errorf("vector %d (%s) is %s; the answer was %v", v.ID, v.Comment, v.Result, ok)
			}
		}
	}
	if count["valid"] < 80 || count["invalid"] < 60 || len(count) != 2 {
		t.Errorf("the file holds %v, not what it was when it was packed", count)
	}
}

// unhex reads a field of a vector.
func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
