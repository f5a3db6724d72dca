// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"bytes"
	"errors"
	"testing"

	"staex/internal/wire"
)

func TestEveryDataHeaderComesBackWhole(t *testing.T) {
	for i := range 32 {
		h := wire.DataHeader{
			Type: wire.TypeData + uint8(i>>4), Epoch: uint8(i>>2) & 3, Long: i&2 != 0,
			Flag: i&1 != 0, Label: 0xfedcba, Counter: 0xfffe,
		}
		if h.Long {
			h.Counter = 0xfffefdfc
		}
		b := h.Append(nil)
		got, n, err := wire.ParseDataHeader(append(b, 0xee))
		if err != nil || got != h || n != h.Size() || n != len(b) {
			t.Errorf("%+v of %d bytes parses to %+v, %d, %v", h, len(b), got, n, err)
		}
	}
}

func TestAShortCounterKeepsTheLowBits(t *testing.T) {
	h := wire.DataHeader{Type: wire.TypeData, Counter: 0x12345678}
	got, _, err := wire.ParseDataHeader(h.Append(nil))
	if err != nil || got.Counter != 0x5678 {
		t.Errorf("counter %#x, %v", got.Counter, err)
	}
}

func TestOnlyDataAndLinkFramesHaveADataHeader(t *testing.T) {
	for typ := range uint8(16) {
		b := []byte{typ << 4, 1, 2, 3, 4, 5, 6, 7}
		_, _, err := wire.ParseDataHeader(b)
		known := typ == wire.TypeData || typ == wire.TypeLink
		if known != (err == nil) || !known && !errors.Is(err, wire.ErrBadType) {
			t.Errorf("type %d: %v", typ, err)
		}
	}
}

func TestTheFlagIsProtectedOnlyWhereOneHopSeesIt(t *testing.T) {
	for _, tt := range []struct{ b0, want byte }{
		{0x11, 0x10}, {0x1f, 0x1e}, {0x1e, 0x1e}, {0x21, 0x21}, {0x2f, 0x2f},
	} {
		if got := wire.AAD(tt.b0); got != tt.want {
			t.Errorf("AAD(%#x) = %#x, want %#x", tt.b0, got, tt.want)
		}
	}
}

func TestARelayChangesNothingButTheLabel(t *testing.T) {
	for _, f := range wire.Frames() {
		if f.Layer != wire.LayerDatagram {
			continue
		}
		b, want := f.Sample(), f.Sample()
		wire.SetLabel(b, 0xabcdef)
		copy(want[1:], []byte{0xab, 0xcd, 0xef})
		if !bytes.Equal(b, want) {
			t.Errorf("%s: got % x", f.Name, b)
		}
		if l, ok := wire.PeekLabel(b); !ok || l != 0xabcdef || l.String() != "abcdef" {
			t.Errorf("%s: PeekLabel gives %v, %t", f.Name, l, ok)
		}
		if typ := wire.PeekType(b); typ != f.Type {
			t.Errorf("%s: PeekType gives %d", f.Name, typ)
		}
	}
}

func TestPeekingIntoTooFewBytesFindsNothing(t *testing.T) {
	if typ := wire.PeekType(nil); typ != 0 {
		t.Errorf("type %d", typ)
	}
	if _, ok := wire.PeekLabel([]byte{0x10, 1, 2}); ok {
		t.Error("a label in 3 bytes")
	}
}

func TestTheHeaderNeedsNoMemory(t *testing.T) {
	frame := wire.DataHeader{Type: wire.TypeData, Long: true, Label: 9, Counter: 8}.Append(nil)
	buf := make([]byte, 0, wire.DataHeaderLong)
	allocs := testing.AllocsPerRun(100, func() {
		h, n, err := wire.ParseDataHeader(frame)
		if err != nil || n != len(frame) {
			t.Fatal(err)
		}
		buf = h.Append(buf[:0])
		if _, _, err := wire.ParseDataHeader(frame[:4]); err == nil {
			t.Fatal("4 bytes parse")
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func TestASoundStrangerCostsNoMemory(t *testing.T) {
	b := wire.Hello1{
		Version: 1, Noise: run(1, wire.Hello1Noise), Size: wire.MaxHello1,
	}.Append(nil)
	allocs := testing.AllocsPerRun(100, func() {
		if _, err := wire.ParseHello1(b); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func BenchmarkParseDataHeader(b *testing.B) {
	frame := wire.DataHeader{Type: wire.TypeData, Label: 9, Counter: 8}.Append(nil)
	for b.Loop() {
		if _, _, err := wire.ParseDataHeader(frame); err != nil {
			b.Fatal(err)
		}
	}
}
