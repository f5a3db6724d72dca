// SPDX-License-Identifier: Apache-2.0

package plane

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/flow"
	"staex/internal/overlay/session"
	"staex/internal/wire"
)

const (
	batchSegments = 9
	batchSize     = 1000 // payload of a segment
)

// sealed is a super-packet of one flow as the frames that reach a label, and its payload.
func sealed(r *rig, from *end, label wire.Label, e flow.Ends) (frames [][]byte, payload []byte) {
	for i := range batchSegments * batchSize {
		payload = append(payload, byte(i/batchSize), byte(i))
	}
	payload = payload[:batchSegments*batchSize]
	from.out.Reset()
	from.out.Outbound(r.now, packet(tcp(false, flow.FlagACK), e, payload, batchSize))
	for _, run := range from.out.Runs {
		for o := 0; o < run.Len; o += run.Seg {
			f := bytes.Clone(from.out.Buf[run.Off+o : run.Off+min(o+run.Seg, run.Len)])
			wire.SetLabel(f, label)
			frames = append(frames, f)
		}
	}
	return frames, payload
}

// deliver gives frames to a worker as the kernel would: runs of equal size, the last may be
// shorter. It returns what arrived.
func deliver(r *rig, to *end, frames [][]byte) (packets [][]byte) {
	for i := 0; i < len(frames); {
		batch, seg := bytes.Clone(frames[i]), len(frames[i])
		for i++; i < len(frames) && len(frames[i]) <= seg && len(batch)%seg == 0; i++ {
			batch = append(batch, frames[i]...)
		}
		to.in.Reset()
		to.in.Inbound(r.now, relayAddr, batch, seg)
		for _, p := range to.in.Packets {
			packets = append(packets, bytes.Clone(p))
		}
	}
	return packets
}

// segmentsOf checks that packets hold pieces of the payload where their sequence numbers say, and
// counts the segments by their number.
func segmentsOf(t *testing.T, packets [][]byte, payload []byte) (seen [batchSegments]int) {
	t.Helper()
	for _, p := range packets {
		var v flow.View
		ip := p[flow.OffloadSize:]
		if r := v.Parse(ip); r != drop.None {
			t.Fatalf("what arrived is no packet: %v", r)
		}
		at := int(v.Seq - tcp(false, 0).Seq)
		got := ip[v.Payload:]
		if at < 0 || at+len(got) > len(payload) || !bytes.Equal(got, payload[at:at+len(got)]) {
			t.Fatalf("%d bytes at %d are not what was sent", len(got), at)
		}
		for i := at / batchSize; i < (at+len(got))/batchSize; i++ {
			seen[i]++
		}
	}
	return seen
}

// spoils is what can be wrong with one of many frames.
var spoils = []struct {
	name  string
	spoil func(frames [][]byte, i int)
	want  drop.Reason
}{
	{"forged payload", flip(500), drop.OpenFailed},
	{"forged counter", flip(7), drop.OpenFailed},
	{"forged tag", func(f [][]byte, i int) { f[i][len(f[i])-1]++ }, drop.OpenFailed},
	{"forged label", flip(3), drop.UnknownLabel},
	{"another type", func(f [][]byte, i int) { f[i][0] |= 0xf0 }, drop.BadType},
	{"cut to its header", func(f [][]byte, i int) { f[i] = f[i][:8] }, drop.OpenFailed},
	{"cut by a byte", func(f [][]byte, i int) { f[i] = f[i][:len(f[i])-1] }, drop.OpenFailed},
	{"cut to nothing much", func(f [][]byte, i int) { f[i] = f[i][:3] }, drop.Short},
	{"a byte too long", func(f [][]byte, i int) { f[i] = append(f[i], 0) }, drop.OpenFailed},
	{"far too long", func(f [][]byte, i int) {
		f[i] = append(f[i], make([]byte, 5000)...)
	}, drop.Oversized},
	{"a repetition", func(f [][]byte, i int) { f[i] = f[(i+len(f)-1)%len(f)] }, drop.Replay},
}

func flip(at int) func([][]byte, int) {
	return func(f [][]byte, i int) { f[i][at] ^= 0x40 }
}

func TestABadSegmentInABatchDropsAlone(t *testing.T) {
	for _, c := range spoils {
		for _, i := range []int{0, batchSegments / 2, batchSegments - 1} {
			t.Run(fmt.Sprint(c.name, " ", i), func(t *testing.T) {
				r := newRig()
				frames, payload := sealed(r, r.client, 0x202, request(false, 80))
				c.spoil(frames, i)
				allBut(t, i, segmentsOf(t, deliver(r, r.server, frames), payload))
				if n := r.server.in.C.Drops[c.want].Load(); n != 1 {
					t.Errorf("%d frames were dropped as %v, want 1", n, c.want)
				}
			})
		}
	}
}

// allBut checks that every segment but number i arrived once.
func allBut(t *testing.T, i int, seen [batchSegments]int) {
	t.Helper()
	for k, n := range seen {
		if want := min(abs(k-i), 1); n != want {
			t.Errorf("segment %d arrived %d times, want %d", k, n, want)
		}
	}
}

// Three super-packets come in one batch. A segment of the second one is bad, which is of another
// tunnel than the others, or of another session of theirs.
func TestABadSegmentHarmsNoSuperPacketBeforeOrAfterIt(t *testing.T) {
	port := func(n uint16) flow.Ends {
		e := request(false, 80)
		e.SrcPort = n
		return e
	}
	for name, second := range map[string]func(r *rig) ([][]byte, []byte){
		"another tunnel": func(r *rig) ([][]byte, []byte) {
			return sealed(r, r.another(2), 0x502, port(50002))
		},
		"another session": func(r *rig) ([][]byte, []byte) {
			r.anew(0x203)
			return sealed(r, r.client, 0x203, port(50002))
		},
	} {
		for _, c := range spoils {
			for _, i := range []int{0, batchSegments / 2, batchSegments - 1} {
				t.Run(fmt.Sprint(name, " ", c.name, " ", i), func(t *testing.T) {
					r := newRig()
					before, payload := sealed(r, r.client, 0x202, port(50001))
					after, _ := sealed(r, r.client, 0x202, port(50003))
					frames, _ := second(r)
					c.spoil(frames, i)
					longer := len(frames[i]) > len(after[0])
					byPort := map[uint16][][]byte{}
					all := slices.Concat(before, frames, after)
					for _, p := range deliver(r, r.server, all) {
						source := binary.BigEndian.Uint16(p[flow.OffloadSize+20:])
						byPort[source] = append(byPort[source], p)
					}
					allBut(t, -1, segmentsOf(t, byPort[50001], payload))
					allBut(t, i, segmentsOf(t, byPort[50002], payload))
					allBut(t, -1, segmentsOf(t, byPort[50003], payload))
					// What is longer ends its batch, with the next segment as the last of it.
					if n := len(byPort[50003]); n != 1 && !(longer && i == batchSegments-1) {
						t.Errorf("the super-packet behind came in %d packets", n)
					}
					if n := len(byPort[50001]); n != 1 {
						t.Errorf("the super-packet before came in %d packets", n)
					}
					if n := r.server.in.C.Drops[c.want].Load(); n != 1 {
						t.Errorf("%d frames were dropped as %v, want 1", n, c.want)
					}
				})
			}
		}
	}
}

// anew gives client and server another session beside the one they have, for what is sent from now
// on: the server knows it by the label.
func (r *rig) anew(label wire.Label) {
	there, back := [32]byte{7}, [32]byte{8}
	for _, e := range []*end{r.client, r.server} {
		send, recv, in := there, back, wire.Label(0x304)
		if e == r.server {
			send, recv, in = back, there, label
		}
		s := &Session{
			Send: session.NewSender(send, session.AESGCM), Peer: e.peer,
			Recv: session.NewReceiver(recv, session.AESGCM, session.WindowSession),
		}
		link := e.session.Path().Link
		s.SetPath(&Path{Link: link, Label: 0x101, Size: 1400})
		e.peer.SetOther(e.session)
		e.peer.SetSession(s)
		e.tables.SetRow(Row{Kind: RowSession, Label: in, In: link, Session: s})
	}
}

// A kernel that joins frames and does not say how long they are makes one long frame of them. Who
// reads learns of it, unless it is somebody else's nonsense.
func TestFramesJoinedWithoutASizeAreToldApartFromNonsense(t *testing.T) {
	for _, c := range []struct {
		name  string
		from  netip.AddrPort
		label wire.Label
		typ   byte
		want  bool
	}{
		{"joined", relayAddr, 0x202, wire.TypeData, true},
		{"of a stranger", clientAddr, 0x202, wire.TypeData, false},
		{"under no label", relayAddr, 0x999, wire.TypeData, false},
		{"of another type", relayAddr, 0x202, wire.TypeHello1, false},
	} {
		r := newRig()
		frames, payload := sealed(r, r.client, c.label, request(false, 80))
		long := slices.Concat(frames[2:]...)
		long[0] = long[0]&0x0f | c.typ<<4
		r.server.in.Reset()
		r.server.in.Inbound(r.now, c.from, long, len(long))
		w := r.server.in
		if n := w.C.Drops[drop.Oversized].Load(); w.Joined != c.want || n != 1 {
			t.Errorf("%s: joined %v, %d dropped", c.name, w.Joined, n)
		}
		if len(w.Packets)+len(w.Control)+len(w.Notices)+len(w.Runs) > 0 {
			t.Errorf("%s: the long frame has consequences", c.name)
		}
		seen := segmentsOf(t, deliver(r, r.server, frames[:2]), payload)
		if c.label == 0x202 && (seen[0] != 1 || seen[1] != 1) || w.Joined {
			t.Errorf("%s: frames behind it came %v times, joined %v", c.name, seen[:2], w.Joined)
		}
	}
}

func abs(n int) int { return max(n, -n) }

// another adds client number n, from 2 on, with a tunnel and a session of its own to the server,
// whose label is 0x500 + n.
func (r *rig) another(n byte) *end {
	other := newEnd(netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 8 + n}), 9376),
		clientInner)
	there, back := [32]byte{5, n}, [32]byte{6, n}
	other.join(SideClient, clientInner, serverLease, there, back, 0x606, wire.Label(0x500)+
		wire.Label(n))
	peer := &Peer{Key: uint64(n)}
	pol := *r.server.peer.Policy()
	pol.Remote4 = netip.AddrFrom4([4]byte{10, 83, 1, n})
	pol.Remote6 = netip.AddrFrom16([16]byte{2, 15: n})
	peer.SetPolicy(&pol)
	link := NewLink(relayAddr)
	s := &Session{
		Send: session.NewSender(back, session.AESGCM), Peer: peer,
		Recv: session.NewReceiver(there, session.AESGCM, session.WindowSession),
	}
	s.SetPath(&Path{Link: link, Label: 0x404, Size: 1400})
	peer.SetSession(s)
	r.server.tables.SetPeer(pol.Remote4, peer)
	r.server.tables.SetPeer(pol.Remote6, peer)
	r.server.tables.SetRow(Row{
		Kind: RowSession, Label: wire.Label(0x500) + wire.Label(n), In: link, Session: s,
	})
	return other
}

// The frames of two tunnels come mixed in many ways; each packet must come
// from the address of its own tunnel.
func TestTwoTunnelsInOneBatchStayApart(t *testing.T) {
	for pattern := 0; pattern < 1<<batchSegments; pattern += 7 {
		r := newRig()
		other := r.another(2)
		a, payload := sealed(r, r.client, 0x202, request(false, 80))
		b, _ := sealed(r, other, 0x502, request(false, 80))
		var mixed [][]byte
		for i := range batchSegments {
			if pattern>>i&1 == 0 {
				mixed = append(mixed, a[i], b[i])
			} else {
				mixed = append(mixed, b[i], a[i])
			}
		}
		bySource := map[uint32][][]byte{}
		for _, p := range deliver(r, r.server, mixed) {
			source := binary.BigEndian.Uint32(p[flow.OffloadSize+12:])
			bySource[source] = append(bySource[source], p)
		}
		if len(bySource) != 2 {
			t.Fatalf("packets of %d sources arrived", len(bySource))
		}
		for _, packets := range bySource {
			for k, n := range segmentsOf(t, packets, payload) {
				if n != 1 {
					t.Fatalf("pattern %b: segment %d arrived %d times", pattern, k, n)
				}
			}
		}
	}
}

// A relay judges labels only: what has none of its labels does not hold up the rest.
func TestARelaySendsOnAllOfABatchButWhatIsNotItsOwn(t *testing.T) {
	for _, i := range []int{0, batchSegments / 2, batchSegments - 1} {
		r := newRig()
		frames, _ := sealed(r, r.client, 0x101, request(false, 80))
		wire.SetLabel(frames[i], 0x999)
		batch := bytes.Join(frames, nil)
		r.relay.in.Reset()
		r.relay.in.Inbound(r.now, clientAddr, batch, len(frames[0]))
		sent := 0
		for _, x := range r.relay.in.Transit {
			for o := 0; o < x.Len; o += x.Seg {
				f := batch[x.Off+o : x.Off+min(o+x.Seg, x.Len)]
				if l, _ := wire.PeekLabel(f); l != 0x202 {
					t.Errorf("a frame left with label %x", l)
				}
				sent++
			}
		}
		if sent != batchSegments-1 || r.relay.in.C.Drops[drop.UnknownLabel].Load() != 1 {
			t.Errorf("%d frames were sent on", sent)
		}
	}
}

func TestManyBytesAreNotKeptWaitingForMore(t *testing.T) {
	for _, c := range []struct {
		bytes int
		wait  bool
	}{{100, true}, {8000, true}, {Enough, false}, {60000, false}} {
		r := newRig()
		r.client.out.Reset()
		payload := make([]byte, c.bytes)
		p := packet(tcp(false, flow.FlagACK), request(false, 80), payload, 1000)
		r.client.out.Outbound(r.now, p)
		if got := r.client.out.Room(); got != c.wait {
			t.Errorf("after %d bytes another packet is waited for: %v, want %v", c.bytes, got,
				c.wait)
		}
	}
}
