// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/flow"
)

// whole is a packet of any protocol.
func whole(k packet, proto uint8, payload []byte) []byte {
	p := append(k.bytes()[:40:40], payload...)
	if !k.v6 {
		p = append(k.bytes()[:20:20], payload...)
		p[9] = proto
		binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
		binary.BigEndian.PutUint16(p[10:], 0)
		binary.BigEndian.PutUint16(p[10:], ^naiveSum(p[:20]))
		return p
	}
	p[6] = proto
	binary.BigEndian.PutUint16(p[4:], uint16(len(payload)))
	return p
}

func TestAPacketOfAnyOtherProtocolIsCarriedAsItIs(t *testing.T) {
	for _, proto := range []uint8{2, 4, 41, 47, 50, 89, 112, 132} {
		for _, k := range []packet{udp4(), udp6()} {
			k.class = 0x2e<<2 | 1
			k.hops, k.label, k.id, k.noDF = 64, 0, 0, false
			p := whole(k, proto, []byte("some payload"))
			var v flow.View
			var c, d flow.Compact
			if r := v.Parse(p); r != drop.Protocol {
				t.Fatalf("%d: %v", proto, r)
			}
			if r := c.ElideWhole(&v); r != drop.None {
				t.Fatalf("%d: %v", proto, r)
			}
			b := append(c.Append(nil), p[v.Payload:]...)
			n, r := d.Decode(b)
			if r != drop.None || d != c {
				t.Fatalf("%x decodes to %+v: %v", b, d, r)
			}
			back := make([]byte, flow.HeaderLen(&d))
			flow.PutHeaders(back, &d, flow.Ends{Src: k.src, Dst: k.dst}, len(b)-n)
			if back = append(back, b[n:]...); !bytes.Equal(back, p) {
				t.Errorf("%d comes back as\n%x, was\n%x", proto, back, p)
			}
			if a, ok := flow.Destination(p); !ok || a != k.dst {
				t.Errorf("the destination is %v", a)
			}
		}
	}
}

func TestProtocolsThatHaveAKindOrDependOnAddressesAreNotCarriedWhole(t *testing.T) {
	for _, proto := range []uint8{0, 1, 6, 17, 33, 43, 44, 51, 58, 59, 60, 136} {
		if flow.Carried(proto) {
			t.Errorf("%d is carried", proto)
		}
		var v flow.View
		v.Proto = proto
		var c flow.Compact
		if r := c.ElideWhole(&v); r != drop.Protocol {
			t.Errorf("%d: %v", proto, r)
		}
	}
}

func TestNoPacketHasNoDestination(t *testing.T) {
	for _, p := range [][]byte{nil, udp4().bytes()[:19], udp6().bytes()[:39], {0x55}} {
		if a, ok := flow.Destination(p); ok {
			t.Errorf("%x goes to %v", p, a)
		}
	}
}
