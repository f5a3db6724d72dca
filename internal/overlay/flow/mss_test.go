// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"bytes"
	"testing"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/flow"
)

func TestTheSegmentSizeOfASYNIsLowered(t *testing.T) {
	const syn = flow.FlagSYN
	cases := []struct {
		name         string
		flags        uint16
		before, want []byte
	}{
		{"too large", syn, []byte{2, 4, 5, 180}, []byte{2, 4, 4, 176}},
		{"in the answer", syn | flow.FlagACK, []byte{2, 4, 5, 180}, []byte{2, 4, 4, 176}},
		{"exact", syn, []byte{2, 4, 4, 176}, nil},
		{"small", syn, []byte{2, 4, 2, 24}, nil},
		{"behind others", syn, []byte{3, 3, 7, 1, 2, 4, 9, 9}, []byte{3, 3, 7, 1, 2, 4, 4, 176}},
		{"at an odd offset", syn, []byte{1, 2, 4, 9, 8, 1, 1, 0}, []byte{1, 2, 4, 4, 176, 1, 1, 0}},
		{"not in a SYN", flow.FlagACK, []byte{2, 4, 5, 180}, nil},
		{"behind the end", syn, []byte{0, 2, 4, 5, 180, 0, 0, 0}, nil},
		{"of a wrong length", syn, []byte{2, 3, 255, 0}, nil},
		{"length zero", syn, []byte{8, 0, 2, 4, 255, 255, 0, 0}, nil},
		{"cut off", syn, []byte{1, 1, 2, 4}, nil},
		{"only a kind", syn, []byte{1, 1, 1, 2}, nil},
		{"none", syn, nil, nil},
	}
	for _, tc := range cases {
		if tc.want == nil {
			tc.want = tc.before
		}
		k := tcp4()
		k.flags, k.options = tc.flags, tc.before
		p, partial := k.bytes(), k.bytes()
		k.options = tc.want
		want := k.bytes()
		var v flow.View
		if r := v.Parse(p); r != drop.None {
			t.Fatalf("%s: %v", tc.name, r)
		}
		flow.ClampMSS(p, &v, 1200, false)
		if !bytes.Equal(p, want) || !v.ChecksumOK(p) {
			t.Errorf("%s: %x, want %x", tc.name, p, want)
		}
		copy(want[36:38], partial[36:38]) // the pseudo-header sum knows no options
		if flow.ClampMSS(partial, &v, 1200, true); !bytes.Equal(partial, want) {
			t.Errorf("%s, partial: %x, want %x", tc.name, partial, want)
		}
	}
}

func TestAClampedPacketKeepsARightChecksum(t *testing.T) {
	r := dice(20)
	for range 5000 {
		k := randomPacket(r, 20)
		k.proto, k.flags, k.noChecksum = flow.ProtoTCP, flow.FlagSYN, false
		k.options = append([]byte{2, 4, uint8(r.Uint32()), uint8(r.Uint32())}, k.options...)
		k.options = k.options[:min(len(k.options), 40)]
		p := k.bytes()
		var v flow.View
		v.Parse(p)
		if flow.ClampMSS(p, &v, uint16(r.Uint32()), false); !v.ChecksumOK(p) {
			t.Fatalf("wrong checksum: %x", p)
		}
	}
}

func TestOnlyTCPIsClamped(t *testing.T) {
	p := udp4().bytes()
	var v flow.View
	v.Parse(p)
	if flow.ClampMSS(p, &v, 1, false); !bytes.Equal(p, udp4().bytes()) {
		t.Error("a UDP packet was changed")
	}
}
