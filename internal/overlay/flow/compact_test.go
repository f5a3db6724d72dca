// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/flow"
)

func options(b ...byte) (o [40]byte) {
	copy(o[:], b)
	return o
}

// headers are the examples of docs/wire/compact.md.
var headers = []struct {
	name string
	hex  string
	c    flow.Compact
}{
	{"session message", "00", flow.Compact{}},
	{"UDP, slot confirmed", "08 05", flow.Compact{Kind: flow.KindUDP, Slot: 5}},
	{"UDP on IPv6, announced", "0d 05 02 c350", flow.Compact{
		Kind: flow.KindUDP, V6: true, Announce: true, Slot: 5, Target: 2, Port: 50000,
	}},
	{"UDP without a slot", "0c ff 00 0035", flow.Compact{
		Kind: flow.KindUDP, Announce: true, Slot: flow.NoSlot, Port: 53,
	}},
	{"UDP, congested, expedited", "ca 2e 05", flow.Compact{
		Kind: flow.KindUDP, ECN: 3, DSCP: 46, Slot: 5,
	}},
	{
		"TCP, timestamps", "10 07 10 30 00000064 000000c8 01f6 0101080a0000000100000002",
		flow.Compact{
			Kind: flow.KindTCP, Slot: 7, Flags: flow.FlagACK, Seq: 100, Ack: 200, Window: 502,
			OptLen: 12, Options: options(1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2),
		},
	},
	{"TCP with NS", "10 07 50 01 00000064 000000c8 01f6", flow.Compact{
		Kind: flow.KindTCP, Slot: 7, Flags: flow.FlagACK | flow.FlagECE | flow.FlagNS,
		Seq: 100, Ack: 200, Window: 502,
	}},
	{"TCP with urgent data", "20 07 30 00 00000064 000000c8 01f6 0009", flow.Compact{
		Kind: flow.KindFull, Slot: 7, Flags: flow.FlagACK | flow.FlagURG,
		Seq: 100, Ack: 200, Window: 502, Urgent: 9,
	}},
	{"echo request", "18 1234 0001", flow.Compact{
		Kind: flow.KindEcho, EchoID: 0x1234, EchoSeq: 1,
	}},
	{"echo reply on IPv6, marked", "1f 08 1234 0001", flow.Compact{
		Kind: flow.KindEcho, V6: true, Reply: true, DSCP: 8, EchoID: 0x1234, EchoSeq: 1,
	}},
	{"nobody listens", "28 05 01", flow.Compact{
		Kind: flow.KindError, Slot: 5, Error: flow.ErrorPort,
	}},
	{"TCP host is silent, announced", "2c ff 02 c350 82 00000064", flow.Compact{
		Kind: flow.KindError, Announce: true, Slot: flow.NoSlot, Target: 2, Port: 50000,
		Error: flow.ErrorHost, OfTCP: true, Seq: 100,
	}},
	{"1,400 bytes fit on IPv6", "29 05 86 00000064 0578", flow.Compact{
		Kind: flow.KindError, V6: true, Slot: 5, Error: flow.ErrorTooBig, OfTCP: true, Seq: 100,
		MTU: 1400,
	}},
	{"TCP difference, a publish", "04 07 33 08 40 4410", flow.Compact{
		Kind: flow.KindDiff, Slot: 7, Diff: flow.Diff{
			Base: 1, Held: 4, Mark: 2, Push: true, More: true, ValLen: 2, Val: 1040,
		},
	}},
	{
		"TCP difference, all there is",
		"87 2e 05 1d f4 fc 3fffff 4186a0 40 01f6 0050 03 0101050a000000010000000a",
		flow.Compact{
			Kind: flow.KindDiff, V6: true, ECN: 2, DSCP: 46, Slot: 5, Diff: flow.Diff{
				Held: flow.NoRef, Mark: flow.NoRef, More: true, Window: true, Flags: true,
				SeqLen: 3, Seq: -1, AckLen: 3, Ack: 100000, ValLen: 1,
			}, Window: 502, Flags: flow.FlagACK | flow.FlagECE,
			OptLen: 12, Options: options(1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 10),
		},
	},
	{
		"TCP whole, marked", "04 07 fd 00 10 30 00000064 000000c8 01f6 0101080a0000000100000002",
		flow.Compact{
			Kind: flow.KindDiff, Slot: 7,
			Diff:  flow.Diff{Base: flow.NoRef, Held: flow.NoRef, More: true},
			Flags: flow.FlagACK, Seq: 100, Ack: 200, Window: 502,
			OptLen: 12, Options: options(1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2),
		},
	},
	{"TCP whole, asks to forget", "04 07 ee 18 00 00000064 000000c8 01f6", flow.Compact{
		Kind: flow.KindDiff, Slot: 7,
		Diff:  flow.Diff{Base: flow.NoRef, Held: 3, Mark: flow.NoRef, Ask: true},
		Flags: flow.FlagACK | flow.FlagPSH, Seq: 100, Ack: 200, Window: 502,
	}},
	{"UDP between nodes", "0c ff ff c350 0035", flow.Compact{
		Kind: flow.KindUDP, Announce: true, Slot: flow.NoSlot, Target: flow.AnyTarget, Port: 50000,
		Peer: 53,
	}},
	{"GRE between nodes", "30 2f", flow.Compact{Kind: flow.KindWhole, Proto: 47}},
	{"SCTP between nodes, IPv6, marked", "b3 08 84", flow.Compact{
		Kind: flow.KindWhole, ECN: 2, V6: true, DSCP: 8, Proto: 132,
	}},
	{"first part", "38 2a 00", flow.Compact{Kind: flow.KindPart, PartID: 42}},
	{"last part", "38 2a 03", flow.Compact{
		Kind: flow.KindPart, PartID: 42, PartIndex: 1, PartLast: true,
	}},
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCompactHeadersAreTheseBytes(t *testing.T) {
	for _, tc := range headers {
		want := unhex(t, tc.hex)
		if got := tc.c.Append([]byte("x")); !bytes.Equal(got[1:], want) || got[0] != 'x' {
			t.Errorf("%s: %x, want %x", tc.name, got[1:], want)
		}
		if tc.c.Len() != len(want) {
			t.Errorf("%s: length %d, want %d", tc.name, tc.c.Len(), len(want))
		}
		var c flow.Compact
		n, r := c.Decode(append(want, "payload"...))
		if r != drop.None || n != len(want) || c != tc.c {
			t.Errorf("%s: decodes to %d bytes, %v, %+v", tc.name, n, r, c)
		}
	}
}

func TestThePageShowsTheseHeaders(t *testing.T) {
	page, err := os.ReadFile("../../../docs/wire/compact.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range headers {
		if row := "| " + tc.name + " | `" + tc.hex + "` |"; !strings.Contains(string(page), row) {
			t.Errorf("docs/wire/compact.md has no row %q", row)
		}
	}
}

func TestATruncatedHeaderIsShortAtEveryLength(t *testing.T) {
	for _, tc := range headers {
		b := unhex(t, tc.hex)
		for n := range b {
			var c flow.Compact
			if _, r := c.Decode(b[:n]); r != drop.Short {
				t.Errorf("%s, %d of %d bytes: %v", tc.name, n, len(b), r)
			}
		}
	}
}

// malformed are headers that Append never writes.
var malformed = []struct{ name, hex string }{
	{"session message with ECN", "40"},
	{"session message on IPv6", "01"},
	{"error of no kind", "28 00 00 00 00"},
	{"error of kind 7", "28 05 07"},
	{"error with ECN", "68 05 01"},
	{"error with class", "2a 08 05 01"},
	{"error without slot and announcement", "28 ff 01"},
	{"67 bytes fit", "28 05 06 0043"},
	{"1,279 bytes fit on IPv6", "29 05 06 04ff"},
	{"whole hop-by-hop options", "30 00 00 00 00"},
	{"whole UDP", "30 11 00"},
	{"whole GRE with bit A", "34 2f 00"},
	{"any target with a slot", "0c 05 ff c350 0035"},
	{"part with ECN", "78 2a 00"},
	{"part on IPv6", "39 2a 00"},
	{"part with class", "3a 2a 00"},
	{"part 64", "38 2a 80"},
	{"class of zero", "0a 00 05"},
	{"class of 64", "0a 40 05"},
	{"no slot and no announcement", "08 ff"},
	{"44 bytes of options", "10 07 10 b0 00000064 000000c8 01f6" + strings.Repeat("01", 44)},
	{"TCP with the urgent flag", "10 07 30 00 00000064 000000c8 01f6"},
	{"difference without a slot", "04 ff 31 00 40"},
	{"difference with a bit that means nothing", "04 05 21 00 41"},
	{"difference that says PSH twice", "04 05 23 00 e8 0010"},
	{"difference with the urgent flag", "04 05 21 00 e8 0030"},
	{"difference with thirteen flags", "04 05 21 00 e8 1010"},
	{"difference with no options", "04 05 21 00 e4 00"},
	{"difference with 44 bytes of options", "04 05 21 00 e4 0b" + strings.Repeat("01", 44)},
	{"whole header with a window bit", "04 05 fd f0 10 00 00000064 000000c8 01f6"},
	{"whole header with the urgent flag", "04 05 fc 30 00 00000064 000000c8 01f6"},
	{"full header that need not be", "20 07 10 00 00000064 000000c8 01f6 0000"},
}

func TestWhatAppendNeverWritesIsRefused(t *testing.T) {
	for _, tc := range malformed {
		var c flow.Compact
		if _, r := c.Decode(unhex(t, tc.hex)); r != drop.BadContext {
			t.Errorf("%s: %v", tc.name, r)
		}
	}
}

func TestTheLongestHeaderIsMaxCompact(t *testing.T) {
	c := flow.Compact{
		Kind: flow.KindFull, DSCP: 1, Announce: true, Slot: flow.NoSlot, Target: flow.AnyTarget,
		Urgent: 1, OptLen: 40,
	}
	if c.Len() != flow.MaxCompact || len(c.Append(nil)) != flow.MaxCompact {
		t.Errorf("%d bytes, MaxCompact is %d", c.Len(), flow.MaxCompact)
	}
	if c.V6 = true; flow.HeaderLen(&c) != flow.MaxHeaderLen {
		t.Errorf("rebuilt: %d bytes, MaxHeaderLen is %d", flow.HeaderLen(&c), flow.MaxHeaderLen)
	}
}

func TestWhatIsNoPacketHasNoHeaders(t *testing.T) {
	for _, k := range []flow.Kind{
		flow.KindControl, flow.KindError, flow.KindPart,
	} {
		c := flow.Compact{Kind: k}
		if n := flow.HeaderLen(&c); n != 0 {
			t.Errorf("kind %d has %d bytes of headers", k, n)
		}
		if c.Len() != len(c.Append(nil)) {
			t.Errorf("kind %d: length %d, appends %x", k, c.Len(), c.Append(nil))
		}
	}
}

// Each value has one encoding, so decoding and appending gives the same bytes back.
func FuzzCompactDecode(f *testing.F) {
	for _, tc := range headers {
		b := unhex(f, tc.hex)
		for n := range len(b) + 1 {
			f.Add(b[:n])
		}
	}
	for _, tc := range malformed {
		f.Add(unhex(f, tc.hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var c flow.Compact
		n, r := c.Decode(b)
		if r != drop.None {
			if r != drop.Short && r != drop.BadContext {
				t.Fatalf("reason %v", r)
			}
			return
		}
		if got := c.Append(nil); !bytes.Equal(got, b[:n]) || c.Len() != n || n > flow.MaxCompact {
			t.Fatalf("%x decodes to %+v, which is %x", b[:n], c, got)
		}
	})
}
