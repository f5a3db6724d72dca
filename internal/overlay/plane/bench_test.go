// SPDX-License-Identifier: Apache-2.0

package plane

import (
	"bytes"
	"fmt"
	"testing"

	"staex/internal/overlay/flow"
)

// BenchmarkPlane measures each direction per super-packet; bytes are payload.
func BenchmarkPlane(b *testing.B) {
	for _, size := range []int{64, 1300, 44 * 1300} {
		r := newRig()
		payload := bytes.Repeat([]byte("x"), size)
		p := packet(tcp(false, flow.FlagACK), request(false, 80), payload, 1300)
		in := make([]byte, len(p))
		b.Run(fmt.Sprintf("outbound/%d", size), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				copy(in, p)
				r.client.out.Reset()
				r.client.out.Outbound(r.now, in)
			}
		})
		b.Run(fmt.Sprintf("transit/%d", size), func(b *testing.B) {
			copy(in, p)
			r.client.out.Reset()
			r.client.out.Outbound(r.now, in)
			run := r.client.out.Runs[0]
			f, x := r.client.out.Buf[run.Off:run.Off+run.Len], make([]byte, run.Len)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				copy(x, f)
				r.relay.in.Reset()
				r.relay.in.Inbound(r.now, clientAddr, x, run.Seg)
			}
		})
		b.Run(fmt.Sprintf("there/%d", size), func(b *testing.B) {
			x := make([]byte, 65536)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				copy(in, p)
				r.client.out.Reset()
				r.client.out.Outbound(r.now, in)
				run := r.client.out.Runs[0]
				n := copy(x, r.client.out.Buf[run.Off:run.Off+run.Len])
				for o := 0; o < n; o += run.Seg {
					x[o+1], x[o+2], x[o+3] = 0, 2, 2
				}
				r.server.in.Reset()
				r.server.in.Inbound(r.now, relayAddr, x[:n], run.Seg)
				if len(r.server.in.Packets) == 0 {
					b.Fatal("not delivered")
				}
			}
		})
	}
}
