// SPDX-License-Identifier: Apache-2.0

package session

import (
	"crypto/subtle"
	"encoding/binary"
	"math/bits"
)

const (
	// HopMACSize is the length of a hop MAC in bytes: a forged frame passes a hop once in four
	// thousand million times, and is still not opened at its end.
	HopMACSize = 4

	labelHop = "staex hop v1"
	hopUp    = 1 // child to parent
	hopDown  = 2 // parent to child
)

// HopKey makes and checks the hop MACs of one direction of a link. It is a key of SipHash-2-4
// (Aumasson and Bernstein, 2012), which is fast for short frames and needs no memory, so any
// number of goroutines may use one key.
type HopKey struct {
	secret
	k0, k1 uint64
}

// HopKeys derives the keys of both directions from the chain key of a link: what goes from the
// child to the parent, and what goes from the parent to the child.
func HopKeys(chain [KeySize]byte) (up, down *HopKey) {
	return newHopKey(chain, hopUp), newHopKey(chain, hopDown)
}

func newHopKey(chain [KeySize]byte, direction byte) *HopKey {
	k := keyed(chain[:], []byte(labelHop), []byte{direction})
	return &HopKey{
		k0: binary.LittleEndian.Uint64(k[0:]), k1: binary.LittleEndian.Uint64(k[8:]),
	}
}

// Append appends the MAC of a frame to it. It allocates nothing if there is room.
func (k *HopKey) Append(frame []byte) []byte {
	return binary.BigEndian.AppendUint32(frame, k.mac(frame))
}

// Check reports, in constant time, whether the last [HopMACSize] bytes are the MAC of those before
// them.
func (k *HopKey) Check(frame []byte) bool {
	n := len(frame) - HopMACSize
	if n < 0 {
		return false
	}
	got := binary.BigEndian.Uint32(frame[n:])
	return subtle.ConstantTimeEq(int32(got), int32(k.mac(frame[:n]))) == 1
}

func (k *HopKey) mac(b []byte) uint32 { return uint32(sipHash(k.k0, k.k1, b) >> 32) }

// sipHash is SipHash-2-4.
func sipHash(k0, k1 uint64, b []byte) uint64 {
	s := sipState{
		k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d,
		k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573,
	}
	last := uint64(len(b)) << 56
	for ; len(b) >= 8; b = b[8:] {
		s.take(binary.LittleEndian.Uint64(b))
	}
	for i, c := range b {
		last |= uint64(c) << (8 * i)
	}
	s.take(last)
	s.v2 ^= 0xff
	for range 4 {
		s.round()
	}
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3
}

type sipState struct{ v0, v1, v2, v3 uint64 }

func (s *sipState) take(m uint64) {
	s.v3 ^= m
	s.round()
	s.round()
	s.v0 ^= m
}

func (s *sipState) round() {
	s.v0 += s.v1
	s.v1 = bits.RotateLeft64(s.v1, 13) ^ s.v0
	s.v0 = bits.RotateLeft64(s.v0, 32)
	s.v2 += s.v3
	s.v3 = bits.RotateLeft64(s.v3, 16) ^ s.v2
	s.v0 += s.v3
	s.v3 = bits.RotateLeft64(s.v3, 21) ^ s.v0
	s.v2 += s.v1
	s.v1 = bits.RotateLeft64(s.v1, 17) ^ s.v2
	s.v2 = bits.RotateLeft64(s.v2, 32)
}
