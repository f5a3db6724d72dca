// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"

	"staex/internal/ident"
	"staex/internal/wire"
)

// randomKey has many equal half bytes in front, so that spans hold it and just not.
func randomKey(dice *rand.Rand) (key ident.NodeID) {
	same := dice.IntN(len(key) + 1)
	for i := range key {
		key[i] = byte(dice.IntN(2)) * 0xff
		if i >= same {
			key[i] = byte(dice.Uint32())
		}
	}
	return key
}

func TestASpanIsThePrefixOfItsKeysInHexadecimal(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 1))
	for range 20_000 {
		key, other := randomKey(dice), randomKey(dice)
		text, otherText := hex.EncodeToString(key[:]), hex.EncodeToString(other[:])
		var s wire.Span
		for range dice.IntN(wire.MaxNibbles + 1) {
			s = s.Part(s.PartOf(&key))
		}
		prefix := text[:s.Nibbles]
		if s.Prefix.String() == "" || !s.Holds(&key) {
			t.Fatalf("%s does not hold %s", prefix, text)
		}
		if want := strings.HasPrefix(otherText, prefix); s.Holds(&other) != want {
			t.Fatalf("%s holds %s: %v", prefix, otherText, !want)
		}
		end, bounded := s.End()
		if bounded == (strings.Trim(prefix, "f") == "") {
			t.Fatalf("%s has an end: %v", prefix, bounded)
		}
		behind := otherText > text && !strings.HasPrefix(otherText, prefix)
		if got := bounded && end.Compare(other) <= 0; got != behind {
			t.Fatalf("%s ends at %x, %s is behind: %v", prefix, end, otherText, got)
		}
	}
}
