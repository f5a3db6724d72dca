// SPDX-License-Identifier: Apache-2.0

package plane

import (
	"bytes"
	"encoding/binary"
	"testing"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/flow"
)

// head changes one field of an offload header. Fields are two bytes each, but the first two.
func head(at int, value uint16) func(p []byte) {
	return func(p []byte) {
		if at < 2 {
			p[at] = byte(value)
			return
		}
		binary.LittleEndian.PutUint16(p[at:], value)
	}
}

func heads(all ...func(p []byte)) func(p []byte) {
	return func(p []byte) {
		for _, f := range all {
			f(p)
		}
	}
}

// finished makes the checksum of a packet complete, as a kernel must that leaves nothing open.
func finished(p []byte) { flow.FinishChecksum(p[flow.OffloadSize:]) }

const (
	headFlags = iota
	headType
	headLength
	_
	headSize
	_
	headStart
	_
	headOffset
)

// What the device says of its packet is a claim. A false one costs that packet alone where it
// matters, and nothing where it does not.
func TestAHeaderThatLiesCostsItsOwnPacketAtMost(t *testing.T) {
	stream, few := tcp(false, flow.FlagACK), flow.Compact{Kind: flow.KindUDP}
	for _, c := range []struct {
		name string
		c    flow.Compact
		port uint16
		lie  func(p []byte)
		want drop.Reason // None: the payload arrives whole
	}{
		{"stream, the truth", stream, 80, heads(), drop.None},
		{"stream, unknown type", stream, 80, head(headType, 2), drop.BadOffload},
		{"stream, fragments of UDP", stream, 80, head(headType, 3), drop.BadOffload},
		{"stream, type of UDP", stream, 80, head(headType, flow.GSOUDP), drop.BadOffload},
		{"stream, type of IPv6", stream, 80, head(headType, flow.GSOTCPv6), drop.BadOffload},
		{"stream, ECN without CWR", stream, 80, head(headType, 1|flow.GSOECN), drop.None},
		{"stream, no segment size", stream, 80, head(headSize, 0), drop.BadOffload},
		{"stream, tiny segments", stream, 80, head(headSize, 60), drop.None},
		{"stream, segments too large", stream, 80, head(headSize, 65535), drop.None},
		{"stream, segments of another size", stream, 80, head(headSize, 999), drop.None},
		{"stream, header of nothing", stream, 80, head(headLength, 0), drop.None},
		{"stream, header too long", stream, 80, head(headLength, 65535), drop.None},
		{"stream, checksum at the front", stream, 80, head(headStart, 0), drop.BadOffload},
		{"stream, checksum outside", stream, 80, head(headStart, 65535), drop.BadOffload},
		{"stream, checksum field outside", stream, 80, head(headOffset, 65535), drop.BadOffload},
		{"stream, checksum not left open", stream, 80, head(headFlags, 0), drop.BadOffload},
		{"stream, checksum verified", stream, 80, head(headFlags, flow.DataValid), drop.BadOffload},
		{"stream, no super-packet", stream, 80, head(headType, 0), drop.None},
		{
			"stream, no super-packet, complete", stream, 80,
			heads(finished, head(headType, 0), head(headFlags, 0)), drop.None,
		},
		{
			"stream, not a word", stream, 80,
			heads(head(headType, 0), head(headFlags, 0)), drop.BadChecksum,
		},

		{"datagrams, the truth", few, 161, heads(), drop.None},
		{"datagrams, type of TCP", few, 161, head(headType, flow.GSOTCPv4), drop.BadOffload},
		{"datagrams, with ECN", few, 161, head(headType, flow.GSOUDP|flow.GSOECN), drop.BadOffload},
		{"datagrams, no size", few, 161, head(headSize, 0), drop.BadOffload},
		{"datagrams, too large", few, 161, head(headSize, 65535), drop.None},
		{"datagrams, checksum of TCP", few, 161, head(headOffset, 16), drop.BadOffload},
		{"datagrams, not left open", few, 161, head(headFlags, 0), drop.BadOffload},
		{"datagrams, no super-packet", few, 161, head(headType, 0), drop.None},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig()
			payload := make([]byte, 6000)
			for i := range payload {
				payload[i] = byte(i ^ i>>8)
			}
			p := packet(c.c, request(false, c.port), payload, 1000)
			c.lie(p)
			var got []byte
			for _, q := range r.send(t, r.client, r.server, p) {
				var v flow.View
				if r := v.Parse(q[flow.OffloadSize:]); r != drop.None {
					t.Fatalf("what arrived is no packet: %v", r)
				}
				got = append(got, q[flow.OffloadSize+v.Payload:]...)
			}
			if want := c.want == drop.None; bytes.Equal(got, payload) != want {
				t.Errorf("%d bytes arrived", len(got))
			}
			for why := drop.None + 1; why < drop.Count; why++ {
				n, want := r.client.out.C.Drops[why].Load(), uint64(0)
				if why == c.want {
					want = 1
				}
				if n != want {
					t.Errorf("%d packets were dropped as %v, want %d", n, why, want)
				}
			}
			// The next packet is none the worse.
			next := packet(c.c, request(false, c.port), payload[:3000], 1000)
			if n := len(r.send(t, r.client, r.server, next)); n == 0 {
				t.Error("the packet behind it was lost")
			}
		})
	}
}

// No kernel cuts a full packet into single bytes. Their headers would not fit the send buffer.
func TestSegmentsOfAByteFillTheBufferAndNoMore(t *testing.T) {
	r := newRig()
	p := packet(tcp(false, flow.FlagACK), request(false, 80), make([]byte, 60000), 1000)
	head(headSize, 1)(p)
	r.send(t, r.client, r.server, p)
	sealed, full := r.client.out.C.Sealed.Load(), r.client.out.C.Drops[drop.QueueFull].Load()
	if sealed == 0 || sealed+full != 60000 {
		t.Errorf("%d segments were sealed and %d dropped, want 60000 in all", sealed, full)
	}
	if len(r.send(t, r.client, r.server, packet(tcp(false, flow.FlagACK), request(false, 80),
		make([]byte, 3000), 1000))) == 0 {
		t.Error("the packet behind it was lost")
	}
}
