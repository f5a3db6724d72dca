// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"bytes"
	"testing"

	"staex/internal/overlay/session"
)

func TestAHopMACIsForOneFrameAndOneDirectionOfOneLink(t *testing.T) {
	up, down := session.HopKeys(key(1))
	other, _ := session.HopKeys(key(2))
	for _, n := range []int{0, 1, 7, 8, 9, 22, 1448} {
		frame := up.Append(bytes.Repeat([]byte{7}, n))
		if len(frame) != n+session.HopMACSize || !up.Check(frame) {
			t.Errorf("%d bytes: its own MAC is refused", n)
		}
		if down.Check(frame) || other.Check(frame) {
			t.Errorf("%d bytes: taken under another key", n)
		}
		for i := range frame {
			frame[i] ^= 1
			if up.Check(frame) {
				t.Errorf("%d bytes: taken with byte %d changed", n, i)
			}
			frame[i] ^= 1
		}
		for i := range session.HopMACSize {
			if up.Check(frame[:i]) {
				t.Errorf("%d bytes were taken", i)
			}
		}
	}
}

func TestAHopMACCostsNoMemory(t *testing.T) {
	up, _ := session.HopKeys(key(1))
	frame := make([]byte, 1400, 1500)
	if n := testing.AllocsPerRun(100, func() {
		if !up.Check(up.Append(frame)) {
			t.Error("refused")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkHopMAC(b *testing.B) {
	up, _ := session.HopKeys(key(1))
	for _, size := range []int{40, 1400} {
		frame := make([]byte, size, size+session.HopMACSize)
		b.Run(map[int]string{40: "40", 1400: "1400"}[size], func(b *testing.B) {
			b.SetBytes(int64(size))
			for b.Loop() {
				up.Append(frame)
			}
		})
	}
}
