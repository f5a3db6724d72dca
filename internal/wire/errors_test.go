// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"errors"
	"testing"

	"staex/internal/wire"
)

// put returns a change that overwrites bytes at an offset.
func put(offset int, value ...byte) func([]byte) []byte {
	return func(b []byte) []byte {
		copy(b[offset:], value)
		return b
	}
}

// grow returns a change that adds n zero bytes.
func grow(n int) func([]byte) []byte {
	return func(b []byte) []byte { return append(b, make([]byte, n)...) }
}

// repeatedKey is a Differ whose only part lists one key twice.
func repeatedKey(b []byte) []byte {
	fresh := append([]byte{1, 0x20, 0, 1, 2}, b[5:43]...)
	return append(fresh, b[5:43]...)
}

// manyListed is a Differ with four parts of eight keys each.
func manyListed([]byte) []byte {
	b := []byte{0, 0, 15}
	for part := range byte(4) {
		b = append(b, 8)
		for i := range byte(8) {
			key := [38]byte{part<<4 | i}
			b = append(b, key[:]...)
		}
	}
	return b
}

func TestAWrongFieldIsNamedInTheError(t *testing.T) {
	tests := []struct {
		frame  string
		change func([]byte) []byte
		field  string
		want   error
	}{
		{"hello1", put(0, 0x31), "type", wire.ErrBadType},
		{"hello1", put(0, 0x40), "type", wire.ErrBadType},
		{"hello1", put(4, 2), "version", wire.ErrBadVersion},
		{"hello1", put(5, 1), "zero", wire.ErrBadPadding},
		{"hello1", put(479, 1), "padding", wire.ErrBadPadding},
		{"hello1", func(b []byte) []byte { return b[:511] }, "size", wire.ErrShort},
		{"hello1", grow(941), "size", wire.ErrBadLength},
		{"hello2", put(0, 0x4f), "type", wire.ErrBadType},
		{"hello2", put(4, 1), "zero", wire.ErrBadPadding},
		{"hello2", put(127, 1), "padding", wire.ErrBadPadding},
		{"hello2", put(8, 0, 119), "noise", wire.ErrShort},
		{"hello2", put(8, 0xff, 0xff), "noise", wire.ErrBadLength},
		{"hello2", grow(wire.MaxDatagram), "size", wire.ErrBadLength},
		{"hello3", put(0, 0x58), "type", wire.ErrBadType},
		{"hello3", grow(wire.MaxDatagram), "noise", wire.ErrBadLength},
		{"cookie", put(0, 0x61), "type", wire.ErrBadType},
		{"path-handshake", put(0, 0x60), "type", wire.ErrBadType},
		{"path-handshake", put(4, 2), "stage", wire.ErrBadValue},
		{"path-handshake", put(4, 5), "stage", wire.ErrBadValue},
		{"path-handshake", grow(wire.MaxDatagram), "body", wire.ErrBadLength},
		{"control", put(9, 0xff, 0xff), "body", wire.ErrBadLength},
		{"control", put(9, 0, 7), "body", wire.ErrShort},
		{"control", put(0, 0, 0, 0, 0), "end", wire.ErrTrailing},
		{"session", put(0, 0x08), "context", wire.ErrBadValue},
		{"session", put(1, 0), "type", wire.ErrBadType},
		{"session", grow(wire.MaxDatagram), "body", wire.ErrBadLength},
		{"record", put(0, 0, 0), "record", wire.ErrBadLength},
		{"record", put(0, 1, 65), "record", wire.ErrBadLength},
		{"record", put(22, 1, 65), "certificate", wire.ErrBadLength},
		{"record", put(34, 1, 129), "network certificate", wire.ErrBadLength},
		{"path", put(40, 0), "kind", wire.ErrBadValue},
		{"path", put(40, 6), "kind", wire.ErrBadValue},
		{"path", put(47, 2, 1), "body", wire.ErrBadLength},
		{"path-probe", put(49, 17), "trail", wire.ErrBadLength},
		{"path-probe", put(40, 1), "trail", wire.ErrBadLength},
		{"path-ok", put(13, 2, 1), "body", wire.ErrBadLength},
		{"path-ok", put(63, 17), "trail", wire.ErrBadLength},
		{"path-no", put(8, 0), "reason", wire.ErrBadValue},
		{"heads", grow(1), "networks", wire.ErrShort},
		{"heads", grow(31 * 24), "networks", wire.ErrBadLength},
		{"heads", func(b []byte) []byte { return b[:0] }, "networks", wire.ErrShort},
		{"head", put(8, 0, 0), "head", wire.ErrBadLength},
		{"head", put(8, 1, 65), "head", wire.ErrBadLength},
		{"head", grow(63 * 8), "fingerprints", wire.ErrBadLength},
		{"prints", grow(127 * 8), "fingerprints", wire.ErrBadLength},
		{"resign", grow(wire.MaxStatement), "statement", wire.ErrBadLength},
		{"time", grow(wire.MaxStatement), "statement", wire.ErrBadLength},
		{"digest", put(0, 2), "last", wire.ErrBadValue},
		{"digest", put(1, 64), "nibbles", wire.ErrBadLength},
		{"digest", put(3, 0x21), "prefix", wire.ErrBadPadding},
		{"differ", put(0, 64), "nibbles", wire.ErrBadLength},
		{"differ", put(1, 0x21), "prefix", wire.ErrBadPadding},
		{"differ", put(4, 9), "keys", wire.ErrBadLength},
		{"differ", put(5, 0x30), "key", wire.ErrBadValue},
		{"differ", put(5, 0x21), "key", wire.ErrBadValue},
		{"differ", repeatedKey, "key", wire.ErrBadValue},
		{"differ", manyListed, "keys", wire.ErrBadLength},
		{"ticket", put(0, 0xa1), "type", wire.ErrBadType},
		{"ticket", put(4, 2), "version", wire.ErrBadVersion},
		{"ticket", put(5, 1), "zero", wire.ErrBadPadding},
		{"ticket", put(6, 0, 31), "length", wire.ErrBadLength},
		{"ticket", put(6, 1, 1), "length", wire.ErrBadLength},
		{"ticket", put(7, 33), "mac", wire.ErrShort},
		{"ticket", grow(1), "end", wire.ErrTrailing},
		{"ticket-answer", put(0, 0xbf), "type", wire.ErrBadType},
		{"ticket-answer", put(4, 1), "zero", wire.ErrBadPadding},
		{"reset", put(0, 0x91), "type", wire.ErrBadType},
		{"nat-probe", put(0, 0xc1), "type", wire.ErrBadType},
		{"nat-probe", put(8, 0x04, 0xb1), "delay", wire.ErrBadValue},
		{"size-probe", put(0, 0xd1), "type", wire.ErrBadType},
		{"size-probe", put(4, 2), "answer", wire.ErrBadValue},
		{"size-probe", put(4, 1), "end", wire.ErrTrailing},
		{"size-probe", put(5, 0x04, 0xaf), "size", wire.ErrBadValue},
		{"size-probe", put(5, 0x05, 0xad), "size", wire.ErrBadValue},
		{"size-probe", put(5, 0x04, 0xb1), "padding", wire.ErrShort},
		{"size-probe", put(1199, 1), "padding", wire.ErrBadPadding},
		{"size-probe", grow(1), "end", wire.ErrTrailing},
		{"size-answer", put(4, 0), "padding", wire.ErrShort},
		{"too-big", put(3, 0x04, 0xaf), "size", wire.ErrBadValue},
		{"too-big", put(3, 0x05, 0xad), "size", wire.ErrBadValue},
		{"period", put(1, 0, 0), "keep-alive", wire.ErrBadValue},
		{"grant", put(16, 1, 1), "ticket", wire.ErrBadLength},
		{"grant", put(17, 33), "ticket", wire.ErrShort},
		{"grant", put(17, 31), "ticket", wire.ErrBadLength},
		{"up", put(0, 17), "keys", wire.ErrBadLength},
		{"slot-ok", put(2, 255), "slots", wire.ErrBadValue},
		{"slot-ok", grow(256), "slots", wire.ErrBadLength},
		{"slot-unknown", put(0, 255), "slots", wire.ErrBadValue},
		{"flow-unknown", put(0, 1), "protocol", wire.ErrBadValue},
		{"flow", put(1, 0x80), "protocol", wire.ErrBadValue},
		{"refs-lost", put(0, 255), "slot", wire.ErrBadValue},
		{"offer", put(24, 0), "families", wire.ErrBadValue},
		{"offer", put(25, 9), "names", wire.ErrBadLength},
		{"offer", put(26, 64), "names", wire.ErrBadLength},
		{"offer", put(34, 5), "static address", wire.ErrBadLength},
		{"offer", put(39, 0, 0), "certificate", wire.ErrBadLength},
		{"accept", put(16, 1, 65), "certificate", wire.ErrBadLength},
		{"accept", put(42, 0, 141), "node certificate", wire.ErrBadLength},
		{"reject", put(8, 0), "reason", wire.ErrBadValue},
		{"switch", put(40, 0), "state", wire.ErrBadValue},
		{"switch", put(40, 4), "state", wire.ErrBadValue},
		{"hello", put(0, 2), "ask", wire.ErrBadValue},
		{"hello", put(0, 0, 141), "node certificate", wire.ErrBadLength},
		{"link-payload", put(49, 17), "parents", wire.ErrBadLength},
		{"xk-payload", put(1, 0, 141), "node certificate", wire.ErrBadLength},
	}
	for _, tt := range tests {
		t.Run(tt.frame+" "+tt.field, func(t *testing.T) {
			for _, f := range wire.Frames() {
				if f.Name != tt.frame {
					continue
				}
				var wrong *wire.FieldError
				err := f.Parse(tt.change(f.Sample()))
				if !errors.As(err, &wrong) {
					t.Fatalf("error %v, want a FieldError", err)
				}
				if wrong.Field != tt.field || !errors.Is(err, tt.want) {
					t.Errorf("error %v, want %s: %v", err, tt.field, tt.want)
				}
				return
			}
			t.Fatal("no such frame")
		})
	}
}

func TestAnErrorReadsAsOneSentence(t *testing.T) {
	_, err := wire.ParsePathNo([]byte{1, 2, 3})
	const want = "parse path-no: id: input too short"
	if err == nil || err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

func TestAReasonFromTheFutureStillRefuses(t *testing.T) {
	no, err := wire.ParsePathNo(wire.PathNo{ID: id, Reason: 77}.Append(nil))
	if err != nil || no.Reason != 77 {
		t.Errorf("got %v, %v", no, err)
	}
	reject, err := wire.ParseReject(wire.Reject{ID: id, Reason: 77}.Append(nil))
	if err != nil || reject.Reason != 77 {
		t.Errorf("got %v, %v", reject, err)
	}
}
