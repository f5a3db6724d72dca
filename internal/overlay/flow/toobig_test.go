// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"bytes"
	"testing"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/flow"
)

func TestTheSenderIsToldWhatFits(t *testing.T) {
	for _, tc := range []struct {
		k          packet
		proto      uint8
		typ, code  uint8
		head, size int
	}{
		{udp4(), flow.ProtoICMP, 3, 4, 28, 576},
		{udp6(), flow.ProtoICMPv6, 2, 0, 48, 1280},
	} {
		for _, payload := range []int{0, 5, 3000} {
			tc.k.payload = make([]byte, payload)
			p := tc.k.bytes()
			got := flow.AppendTooBig([]byte("x"), p, 1234)[1:]
			var v flow.View
			if r := v.Parse(got); r != drop.None || !v.ChecksumOK(got) {
				t.Fatalf("%v, checksum %v: %x", r, v.ChecksumOK(got), got)
			}
			if v.Proto != tc.proto || v.ICMPType != tc.typ || v.ICMPCode != tc.code ||
				v.Src != tc.k.dst || v.Dst != tc.k.src {
				t.Errorf("view %+v", v)
			}
			if mtu := int(got[tc.head-2])<<8 | int(got[tc.head-1]); mtu != 1234 {
				t.Errorf("says that %d bytes fit", mtu)
			}
			if quote := got[tc.head:]; !bytes.HasPrefix(p, quote) ||
				len(got) != min(tc.head+len(p), tc.size) {
				t.Errorf("%d bytes of %d", len(got), len(p))
			}
		}
	}
}
