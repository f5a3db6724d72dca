// SPDX-License-Identifier: Apache-2.0

package plane

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

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

// BenchmarkStream measures a super-packet all the way and the acknowledgement all the way back, in
// a flow both of whose ends know each other; bytes are payload.
func BenchmarkStream(b *testing.B) {
	for _, size := range []int{64, 1300, 44 * 1300} {
		b.Run(fmt.Sprintf("exchange/%d", size), func(b *testing.B) {
			r := newRig()
			in, x := make([]byte, 1<<16), make([]byte, 1<<17)
			carry := func(from, to *end, p []byte) {
				n := copy(in, p)
				from.out.Reset()
				from.out.Outbound(r.now, in[:n])
				for _, run := range from.out.Runs {
					n := copy(x, from.out.Buf[run.Off:run.Off+run.Len])
					r.relay.in.Reset()
					r.relay.in.Inbound(r.now, from.addr, x[:n], run.Seg)
					for _, tr := range r.relay.in.Transit {
						to.in.Reset()
						to.in.Inbound(r.now, relayAddr, x[tr.Off:tr.Off+tr.Len], tr.Seg)
					}
				}
			}
			data := packet(tcp(false, flow.FlagACK), request(false, 80),
				bytes.Repeat([]byte("x"), size), 1300)
			ack := packet(tcp(false, flow.FlagACK), answer(false, 80), nil, 0)
			carry(r.client, r.server, data)
			for _, run := range r.server.in.Runs { // the slot is known
				f := bytes.Clone(r.server.in.Buf[run.Off : run.Off+run.Len])
				r.relay.in.Inbound(r.now, serverAddr, f, run.Seg)
				r.client.in.Inbound(r.now, relayAddr, f, run.Seg)
			}
			const seq, number, stamp, echo = 34, 38, 54, 58 // behind the offload header
			step := func(p []byte, at int, by uint32) {
				binary.BigEndian.PutUint32(p[at:], binary.BigEndian.Uint32(p[at:])+by)
			}
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				r.now += 100 * time.Microsecond
				step(data, seq, uint32(size))
				step(data, stamp, 1)
				carry(r.client, r.server, data)
				if len(r.server.in.Packets) == 0 {
					b.Fatal("not delivered")
				}
				step(ack, number, uint32(size))
				step(ack, stamp, 1)
				step(ack, echo, 1)
				carry(r.server, r.client, ack)
				if len(r.client.in.Packets) == 0 {
					b.Fatal("no acknowledgement")
				}
			}
		})
	}
}
