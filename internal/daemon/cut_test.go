// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"net/netip"
	"testing"

	"staex/internal/host/tun"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/flow"
)

// A device without offloads gets what the overlay rebuilds cut by host/tun, which knows nothing of
// the overlay: here the two meet.
func TestWhatTheOverlayRebuildsCanBeCutForAPlainDevice(t *testing.T) {
	v4 := flow.Ends{
		Src: netip.MustParseAddr("10.1.0.1"), Dst: netip.MustParseAddr("10.1.0.2"),
		SrcPort: 4000, DstPort: 80,
	}
	v6 := v4
	v6.Src, v6.Dst = netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::2")
	tcp := flow.Compact{
		Kind: flow.KindTCP, Seq: 7, Flags: flow.FlagACK | flow.FlagPSH | flow.FlagCWR, OptLen: 12,
	}
	for _, c := range []flow.Compact{tcp, {Kind: flow.KindUDP}, {Kind: flow.KindEcho}} {
		for _, e := range []flow.Ends{v4, v6} {
			c.V6 = e.Src.Is6()
			for _, payload := range []int{1, 1200, 1201, 3000} {
				want := (payload + 1199) / 1200
				if c.Kind == flow.KindEcho {
					want = 1
				}
				head := flow.OffloadSize + flow.HeaderLen(&c)
				b := make([]byte, head+payload)
				for i := range payload {
					b[head+i] = byte(i)
				}
				flow.RebuildOffload(&c, payload, 1200, want).Put(b)
				flow.PutHeaders(b[flow.OffloadSize:], &c, e, payload)
				if c.Kind == flow.KindEcho {
					flow.PutEcho(b[flow.OffloadSize:])
				}
				if n, back := cutAndRead(t, b); n != want || !bytes.Equal(back, b[head:]) {
					t.Errorf("kind %v, IPv6 %v: %d bytes came as %d in %d packets, want %d",
						c.Kind, c.V6, payload, len(back), n, want)
				}
			}
		}
	}
}

// cutAndRead cuts b and returns the number of packets and their payloads, after reading them as
// strictly as those of any host.
func cutAndRead(t *testing.T, b []byte) (n int, payload []byte) {
	t.Helper()
	cuts, err := tun.Cut(b)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]byte, tun.MaxPacket)
	for k := cuts.Next(out); k > 0; k = cuts.Next(out) {
		var v flow.View
		if why := v.Parse(out[:k]); why != drop.None || !v.ChecksumOK(out[:k]) {
			t.Errorf("packet %d is dropped, %v, or its checksum is wrong", n, why)
		}
		payload = append(payload, out[v.Payload:k]...)
		n++
	}
	return n, payload
}
