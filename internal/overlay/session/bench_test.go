// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"fmt"
	"testing"

	"staex/internal/overlay/session"
)

func BenchmarkSeal(b *testing.B) {
	for _, suite := range suites {
		for _, size := range []int{64, 1400} {
			b.Run(fmt.Sprintf("%v/%d", suite, size), func(b *testing.B) {
				s, _ := pair(suite)
				plain, dst := make([]byte, size), make([]byte, 0, 2048)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					s.Seal(dst, s.Reserve(1), 1, plain)
				}
			})
		}
	}
}

func BenchmarkSealInParallel(b *testing.B) {
	s, _ := pair(session.AESGCM)
	b.SetBytes(1400)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		plain, dst := make([]byte, 1400), make([]byte, 0, 2048)
		for pb.Next() {
			s.Seal(dst, s.Reserve(1), 1, plain)
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	const batch = 1024
	for _, suite := range suites {
		for _, size := range []int{64, 1400} {
			b.Run(fmt.Sprintf("%v/%d", suite, size), func(b *testing.B) {
				s := session.NewSender(key(1), suite)
				var frames [batch]frame
				for i := range frames {
					frames[i] = next(s, string(make([]byte, size)))
				}
				dst := make([]byte, 0, 2048)
				r := session.NewReceiver(key(1), suite, session.WindowSession)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				n := 0
				for b.Loop() {
					if n == batch { // frames open once only: begin again with a fresh window
						b.StopTimer()
						r = session.NewReceiver(key(1), suite, session.WindowSession)
						n = 0
						b.StartTimer()
					}
					f := frames[n]
					n++
					_, _, err := r.Open(dst, f.epoch, f.low, f.long, f.aad, f.sealed)
					if err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkHandshake(b *testing.B) {
	for _, pattern := range patterns {
		b.Run(pattern, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				i, r := start(b, pattern)
				for n := range payloads {
					pass(b, n, i, r)
				}
			}
		})
	}
}

func BenchmarkMac1(b *testing.B) {
	msg := make([]byte, 1200)
	sum := session.Mac1(key(1), msg)
	b.ReportAllocs()
	for b.Loop() {
		if !session.CheckMac1(key(1), msg, sum) {
			b.Fatal("refused")
		}
	}
}
