// SPDX-License-Identifier: Apache-2.0

package plane

import (
	"bytes"
	"testing"
	"time"

	"staex/internal/overlay/flow"
	"staex/internal/wire"
)

// traffic is what a busy server's end sees: three tunnels by turns, IPv4 and IPv6, streams with
// timestamps and datagrams, and one frame in a hundred is lost.
type traffic struct {
	r       *rig
	senders []*end
	labels  []wire.Label
	packets [][]byte
	in, x   []byte
	turn    int
	frames  int
	payload int64 // of all packets together
}

func newTraffic() *traffic {
	r := newRig()
	m := &traffic{
		r: r, senders: []*end{r.client, r.another(2), r.another(3)},
		labels: []wire.Label{0x202, 0x502, 0x503},
		in:     make([]byte, 1<<16), x: make([]byte, 1<<17),
	}
	add := func(c flow.Compact, e flow.Ends, size, seg int) {
		m.packets = append(m.packets, packet(c, e, bytes.Repeat([]byte("x"), size), seg))
		m.payload += int64(size)
	}
	for _, v6 := range []bool{false, true} {
		add(tcp(v6, flow.FlagACK), request(v6, 80), 30*1300, 1300)
		add(tcp(v6, flow.FlagACK), request(v6, 80), 100, 0)
		udp := flow.Compact{Kind: flow.KindUDP, V6: v6}
		add(udp, request(v6, 161), 64, 0)
		add(udp, request(v6, 161), 20*1200, 1200)
	}
	return m
}

// next carries one packet of one tunnel and returns how many packets arrived.
func (m *traffic) next() int {
	k := m.turn % len(m.senders)
	p := m.packets[m.turn/len(m.senders)%len(m.packets)]
	m.turn++
	m.r.now += 50 * time.Microsecond
	from, to := m.senders[k], m.r.server
	n := copy(m.in, p)
	from.out.Reset()
	from.out.Outbound(m.r.now, m.in[:n])
	arrived := 0
	for _, run := range from.out.Runs {
		n := copy(m.x, from.out.Buf[run.Off:run.Off+run.Len])
		for o := 0; o < n; o += run.Seg {
			wire.SetLabel(m.x[o:], m.labels[k])
			if m.frames++; m.frames%100 == 0 {
				m.x[o] = 0 // what is no frame drops as a lost one would
			}
		}
		to.in.Reset()
		to.in.Inbound(m.r.now, relayAddr, m.x[:n], run.Seg)
		arrived += len(to.in.Packets)
	}
	return arrived
}

func TestMixedTrafficOfThreeTunnelsAllocatesNothing(t *testing.T) {
	m := newTraffic()
	round := len(m.senders) * len(m.packets)
	arrived := 0
	for range 2 * round { // flows are met, references to headers made
		arrived += m.next()
	}
	if arrived < 2*round*9/10 {
		t.Fatalf("%d packets arrived of %d sent", arrived, 2*round)
	}
	if allocs := testing.AllocsPerRun(20*round, func() { m.next() }); allocs > 0 {
		t.Errorf("%v allocations a packet", allocs)
	}
}

// BenchmarkTraffic measures a packet of that mixture from the sending host to the receiving one;
// bytes are payload.
func BenchmarkTraffic(b *testing.B) {
	m := newTraffic()
	b.SetBytes(m.payload / int64(len(m.packets)))
	b.ReportAllocs()
	for b.Loop() {
		m.next()
	}
}
