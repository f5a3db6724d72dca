// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"staex/internal/ident"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/flow"
)

var broker = ident.Target{Proto: ident.ProtoTCP, Port: 1883}

// tcpEnd is one end of a TCP connection, as far as its headers go.
type tcpEnd struct {
	h         *Host
	src, dst  netip.AddrPort
	seq, ack  uint32
	echo      uint32
	sent      map[string]string // payload to header
	heard     int               // packets of Got that were looked at
	delivered int
}

// send makes the host's stack send a payload that nobody has sent before, with timestamps.
func (e *tcpEnd) send(w *World, size int) {
	if e.h.Node == nil {
		return
	}
	payload := fmt.Sprintf("%s %06d ", e.h.Name, len(e.sent))
	payload += strings.Repeat("x", size-len(payload))
	c := flow.Compact{
		Kind: flow.KindTCP, Seq: e.seq, Ack: e.ack, Flags: flow.FlagACK | flow.FlagPSH,
		Window: uint16(500 + e.seq>>16%4), OptLen: 12,
	}
	binary.BigEndian.PutUint32(c.Options[:], 0x0101080a)
	binary.BigEndian.PutUint32(c.Options[4:], uint32(w.Now/time.Millisecond))
	binary.BigEndian.PutUint32(c.Options[8:], e.echo)
	ends := flow.Ends{
		Src: e.src.Addr(), Dst: e.dst.Addr(), SrcPort: e.src.Port(), DstPort: e.dst.Port(),
	}
	n := flow.HeaderLen(&c)
	p := append(make([]byte, n), payload...)
	flow.PutHeaders(p, &c, ends, len(payload))
	flow.FinishChecksum(p)
	e.seq += uint32(size)
	e.sent[payload] = string(p[20:n])
	e.h.SendIP(p)
}

// hear compares what came with what the other end has sent.
func (e *tcpEnd) hear(t *testing.T, from *tcpEnd) {
	t.Helper()
	for ; e.heard < len(e.h.Got); e.heard++ {
		p := e.h.Got[e.heard]
		if p.Proto != flow.ProtoTCP {
			continue
		}
		want, ok := from.sent[p.Payload]
		const ports, checksum = 4, 16 // differ, as the addresses do
		if !ok || p.Header[ports:checksum] != want[ports:checksum] ||
			p.Header[checksum+2:] != want[checksum+2:] {
			t.Fatalf("%s is given\n%x, sent was\n%x", e.h.Name, p.Header, want)
		}
		e.dst, e.delivered = p.Src, e.delivered+1
		seq := binary.BigEndian.Uint32([]byte(p.Header[4:])) + uint32(len(p.Payload))
		if int32(seq-e.ack) > 0 {
			e.ack, e.echo = seq, binary.BigEndian.Uint32([]byte(p.Header[24:]))
		}
	}
}

// connected is a connection from the technician to the broker at the gateway.
func connected(t *testing.T, w *World) (client, server *tcpEnd) {
	t.Helper()
	g, c := agreed(t, w)
	g.Tunnel("broker", c, broker)
	if !w.Until(20*time.Second, func() bool { _, ok := c.Address("broker"); return ok }) {
		t.Fatal("the tunnel was not agreed on")
	}
	addr, _ := c.Address("broker")
	g.Serve, g.Got, c.Got = nil, nil, nil
	client = &tcpEnd{
		h: c, src: netip.AddrPortFrom(c.Own(), 40000), dst: netip.AddrPortFrom(addr, 1883),
		seq: 0xffff0000, ack: 1000, sent: map[string]string{},
	}
	server = &tcpEnd{
		h: g, src: netip.AddrPortFrom(g.Own(), 1883), seq: 1000, ack: client.seq,
		sent: map[string]string{},
	}
	return client, server
}

// chat lets both ends send for a while, and demands that whatever arrives is what was sent.
func chat(t *testing.T, w *World, client, server *tcpEnd, turns int, pause time.Duration) {
	t.Helper()
	for i := range turns {
		client.send(w, 40+i%5*200)
		if i%2 == 0 && server.dst.IsValid() {
			server.send(w, 30+i%7*100)
		}
		w.Run(pause)
		server.hear(t, client)
		client.hear(t, server)
	}
}

func TestTCPHeadersAreRebuiltExactlyThroughLossReorderingAndRestarts(t *testing.T) {
	twice(t, func(t *testing.T) *World {
		w := home(73)
		client, server := connected(t, w)
		chat(t, w, client, server, 20, 50*time.Millisecond)
		if client.delivered == 0 || server.delivered == 0 {
			t.Fatal("nothing arrives")
		}
		for _, link := range []Link{
			{Delay: 20 * time.Millisecond, Loss: 0.3},
			{Delay: 5 * time.Millisecond, Jitter: 200 * time.Millisecond, Twice: 0.2},
			{Delay: 5 * time.Millisecond, Jitter: time.Second, Twice: 0.1, Loss: 0.1},
		} {
			w.SetLink(link)
			chat(t, w, client, server, 150, 30*time.Millisecond)
		}
		w.SetLink(Link{Delay: 5 * time.Millisecond})
		before := server.h.drops(drop.NoReference) + client.h.drops(drop.NoReference)
		t.Logf("%d frames came too late", before)
		for _, victim := range []*Host{w.Host("root"), server.h, client.h} {
			victim.Kill()
			chat(t, w, client, server, 10, 100*time.Millisecond)
			victim.Start()
			alive := server.delivered
			chat(t, w, client, server, 300, 100*time.Millisecond)
			if server.delivered < alive+50 {
				t.Errorf("after %s was killed %d packets arrive",
					victim.Name, server.delivered-alive)
			}
		}
		sound(t, w)
		return w
	})
}

func TestAPublishAndItsAnswerCostTenBytesOfHeadersEachOnEveryLink(t *testing.T) {
	w := home(74)
	client, server := connected(t, w)
	chat(t, w, client, server, 60, 50*time.Millisecond)
	w.Run(time.Second)
	server.hear(t, client)
	client.hear(t, server)
	const exchanges, size, frame = 20, 40, 20 + 8 + 22
	cost := func(from, to *tcpEnd) (bytes int) {
		before := w.Bytes(from.h.Name, "root")
		from.send(w, size)
		w.Run(100 * time.Millisecond)
		to.hear(t, from)
		return w.Bytes(from.h.Name, "root") - before
	}
	cheap := 0
	for range exchanges {
		there, back := cost(client, server), cost(server, client)
		if there <= frame+size+10 && back <= frame+size+10 {
			cheap++
		}
	}
	if cheap < exchanges-2 { // a keep-alive may pass at the same time
		t.Errorf("%d of %d exchanges cost at most 10 bytes a header", cheap, exchanges)
	}
	sound(t, w)
}
