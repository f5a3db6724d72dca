// SPDX-License-Identifier: Apache-2.0

package state_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"staex/internal/ident"
	"staex/internal/overlay/state"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// secretOf makes the private key number n of these tests.
func secretOf(n byte) *ident.Secret { return ident.SecretFromSeed([32]byte{n, 1}) }

func sampleRecord() *state.Record {
	s := secretOf(1)
	r := &state.Record{
		Kind: state.Node, Key: s.ID(), Parent: secretOf(2).ID(),
		Network: ident.NetworkHash{1, 2, 3, 4, 5, 6, 7, 8}, Seq: 0x010203040506,
		Tags: [][8]byte{{9}, {7}, {9}},
	}
	r.Sign(s)
	return r
}

// rootRecord has nothing that can be left out.
func rootRecord() *state.Record {
	s := secretOf(3)
	r := &state.Record{Kind: state.Node, Key: s.ID()}
	r.Sign(s)
	return r
}

func TestARecordKeepsItsBytes(t *testing.T) {
	for name, r := range map[string]*state.Record{"record": sampleRecord(), "root": rootRecord()} {
		path := filepath.Join("testdata", name+".hex")
		got := hex.EncodeToString(r.Append(nil)) + "\n"
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s: got %s want %s", name, got, want)
		}
	}
}

func TestSignPutsTagsInOrderAndTheRecordComesBackWhole(t *testing.T) {
	r := sampleRecord()
	if len(r.Tags) != 2 || r.Tags[0] != [8]byte{7} || r.Tags[1] != [8]byte{9} {
		t.Errorf("tags %v", r.Tags)
	}
	b := r.Append([]byte("before"))
	got, err := state.DecodeRecord(b[6:])
	if err != nil {
		t.Fatal(err)
	}
	if !got.Verify() || got.Key != r.Key || got.Parent != r.Parent || got.Network != r.Network ||
		got.Seq != r.Seq || got.Kind != r.Kind || len(got.Tags) != 2 || got.Sig != r.Sig {
		t.Errorf("%+v came back as %+v", r, got)
	}
	if !bytes.Equal(got.Append(nil), b[6:]) {
		t.Error("a second encoding differs")
	}
}

func TestNobodyElseCanChangeASignedRecord(t *testing.T) {
	b := sampleRecord().Append(nil)
	for i := range b {
		forged := bytes.Clone(b)
		forged[i] ^= 1
		if r, err := state.DecodeRecord(forged); err == nil && r.Verify() {
			t.Errorf("byte %d can be changed", i)
		}
	}
}

func TestARecordOfEveryOtherLengthIsRefused(t *testing.T) {
	b := sampleRecord().Append(nil)
	for n := range b {
		if _, err := state.DecodeRecord(b[:n]); !errors.Is(err, state.ErrRecord) {
			t.Errorf("%d of %d bytes: %v", n, len(b), err)
		}
	}
	if _, err := state.DecodeRecord(append(b, 0)); !errors.Is(err, state.ErrRecord) {
		t.Errorf("a byte too many: %v", err)
	}
}

// spoil returns the sample with one byte changed.
func spoil(at int, value byte) []byte {
	b := sampleRecord().Append(nil)
	b[at] = value
	return b
}

// badRecords has one entry for each reason to refuse.
func badRecords() map[string][]byte {
	order := sampleRecord().Append(nil)
	copy(order[81:], bytes.Repeat([]byte{5}, 16))
	own := sampleRecord().Append(nil)
	copy(own[34:66], own[2:34])
	orphan := sampleRecord().Append(nil)
	orphan[1] = byte(state.ServerEndpoint)
	clear(orphan[34:66])
	return map[string][]byte{
		"version 2":                 spoil(0, 2),
		"kind 0":                    spoil(1, 0),
		"kind 4":                    spoil(1, 4),
		"17 tags":                   spoil(80, 17),
		"3 tags in place of 2":      spoil(80, 3),
		"tags twice":                order,
		"its own parent":            own,
		"an endpoint with no host":  orphan,
		"nothing":                   nil,
		"a record cut in the front": sampleRecord().Append(nil)[1:],
	}
}

func TestARecordThatBreaksARuleIsRefused(t *testing.T) {
	for name, b := range badRecords() {
		if _, err := state.DecodeRecord(b); !errors.Is(err, state.ErrRecord) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestARecordThatCannotBeEncodedPanics(t *testing.T) {
	for _, r := range []*state.Record{
		{Seq: state.MaxSeq + 1}, {Tags: make([][8]byte, state.MaxTags+1)},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v was encoded", r)
				}
			}()
			r.Append(nil)
		}()
	}
}

func TestTheLargestRecordHasTheStatedSize(t *testing.T) {
	r := &state.Record{
		Kind: state.Node, Key: secretOf(1).ID(), Seq: state.MaxSeq,
		Tags: make([][8]byte, state.MaxTags),
	}
	for i := range r.Tags {
		r.Tags[i][0] = byte(i)
	}
	b := r.Append(nil)
	if _, err := state.DecodeRecord(b); err != nil || len(b) != state.MaxRecordSize {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

func FuzzRecord(f *testing.F) {
	f.Add(sampleRecord().Append(nil))
	f.Add(rootRecord().Append(nil))
	for _, b := range badRecords() {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := state.DecodeRecord(b)
		if err != nil {
			if !errors.Is(err, state.ErrRecord) {
				t.Errorf("%v does not wrap ErrRecord", err)
			}
			return
		}
		if !bytes.Equal(r.Append(nil), b) {
			t.Errorf("%x has two encodings", b)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	r := sampleRecord()
	for b.Loop() {
		if !r.Verify() {
			b.Fatal("bad signature")
		}
	}
}
