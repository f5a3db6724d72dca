// SPDX-License-Identifier: Apache-2.0

package plane

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/flow"
)

// halves cuts a datagram from the host in two IPv4 fragments, each behind an offload header.
func halves(p []byte) [2][]byte {
	const header, at = 20, 1256
	ip := p[flow.OffloadSize:]
	flow.FinishChecksum(ip)
	piece := func(data []byte, bits uint16) []byte {
		f := append(make([]byte, flow.OffloadSize), ip[:header]...)
		f = append(f, data...)
		h := f[flow.OffloadSize:]
		binary.BigEndian.PutUint16(h[2:], uint16(len(h)))
		flow.AllowFragments(h, 7) // a right checksum, but for the bits
		binary.BigEndian.PutUint16(h[6:], bits)
		sum := uint32(binary.BigEndian.Uint16(h[10:])) + uint32(^bits)
		binary.BigEndian.PutUint16(h[10:], uint16(sum+sum>>16))
		return f
	}
	const more = 0x2000
	return [2][]byte{piece(ip[header:header+at], more), piece(ip[header+at:], at/8)}
}

func TestFragmentsOfTheHostCrossAsTheDatagramTheyWere(t *testing.T) {
	r := newRig()
	payload := bytes.Repeat([]byte("0123456789"), 200)
	f := halves(datagram(request(false, 161), string(payload)))
	out := r.client.out
	if p := out.Whole(r.now, f[0]); p != nil {
		t.Fatalf("half a datagram was passed on as %d bytes", len(p))
	}
	p := out.Whole(r.now, f[1])
	if p == nil {
		t.Fatal("the second half did not complete the datagram")
	}
	got := r.send(t, r.client, r.server, p)
	if len(got) != 1 || !bytes.HasSuffix(got[0], payload) {
		t.Fatalf("%d packets arrived", len(got))
	}
}

func TestALongDatagramForADeviceBesideTheHostMayBeCutOrIs(t *testing.T) {
	r := newRig()
	pol := *r.server.peer.Policy()
	pol.External = true
	r.server.peer.SetPolicy(&pol)
	payload := string(bytes.Repeat([]byte("0123456789"), 200))
	got := r.send(t, r.client, r.server, datagram(request(false, 161), payload))
	if len(got) != 1 || binary.BigEndian.Uint16(got[0][flow.OffloadSize+6:]) != 0 {
		t.Errorf("IPv4: %d packets, or the fragment field is not 0", len(got))
	}
	six := packet(flow.Compact{Kind: flow.KindUDP, V6: true}, request(true, 161),
		[]byte(payload), 0)
	var all flow.Fragments
	var whole []byte
	for _, p := range r.send(t, r.client, r.server, six) {
		f, ok, _ := flow.ParseFragment(p[flow.OffloadSize:])
		if !ok || len(p) > flow.OffloadSize+1280 {
			t.Fatalf("IPv6: a packet of %d bytes, a fragment: %v", len(p), ok)
		}
		whole, _ = all.Add(r.now, &f)
	}
	var v flow.View
	if len(whole) == 0 || v.Parse(whole[flow.OffloadSize:]) != drop.None ||
		!v.ChecksumOK(whole[flow.OffloadSize:]) || !bytes.HasSuffix(whole, []byte(payload)) {
		t.Errorf("IPv6: the fragments make a packet of %d bytes", len(whole))
	}
}

func TestOnlyShortDatagramsForADeviceBesideTheHostMustNotBeCut(t *testing.T) {
	const dontFragment = 0x4000
	for _, c := range []struct {
		external bool
		payload  int
		want     uint16
	}{
		{true, 576 - 28, dontFragment},
		{true, 577 - 28, 0},
		{false, 577 - 28, dontFragment},
		{false, 1300, dontFragment},
	} {
		r := newRig()
		pol := *r.server.peer.Policy()
		pol.External = c.external
		r.server.peer.SetPolicy(&pol)
		udp := flow.Compact{Kind: flow.KindUDP}
		payload := make([]byte, 3*c.payload) // three datagrams in one super-packet
		got := r.send(t, r.client, r.server, packet(udp, request(false, 161), payload, c.payload))
		if want := 3 - 2*int(c.want/dontFragment); len(got) != want {
			t.Errorf("%+v: %d packets, want %d", c, len(got), want)
		}
		for _, p := range got {
			if bits := binary.BigEndian.Uint16(p[flow.OffloadSize+6:]); bits != c.want {
				t.Errorf("%+v: the fragment field is %x", c, bits)
			}
		}
	}
}

func TestWhatIsNoFragmentIsPassedOnAsItIs(t *testing.T) {
	r := newRig()
	for _, p := range [][]byte{datagram(request(false, 161), "x"), {1, 2, 3}, {}} {
		if got := r.client.out.Whole(r.now, p); !bytes.Equal(got, p) {
			t.Errorf("%x became %x", p, got)
		}
	}
}

func TestFragmentsThatLeadNowhereAreNotKept(t *testing.T) {
	elsewhere := request(false, 161)
	elsewhere.Dst = netip.MustParseAddr("10.83.0.99")
	long := string(make([]byte, 2000))
	partial := halves(datagram(request(false, 161), long))[0]
	partial[0] = flow.NeedsChecksum
	overlap := halves(datagram(request(false, 161), long))[0]
	for _, c := range []struct {
		name  string
		p     []byte
		want  drop.Reason
		times int
	}{
		{"no tunnel", halves(datagram(elsewhere, long))[0], drop.NoTunnel, 1},
		{"open checksum", partial, drop.BadOffload, 1},
		{"cut short", overlap[:len(overlap)-1], drop.BadIP, 1},
		{"twice the same", overlap, drop.Fragment, 2},
	} {
		r := newRig()
		for range c.times {
			if p := r.client.out.Whole(r.now, bytes.Clone(c.p)); p != nil {
				t.Errorf("%s: passed on as %d bytes", c.name, len(p))
			}
		}
		if n := r.client.out.C.Drops[c.want].Load(); n != uint64(c.times) {
			t.Errorf("%s: %d dropped as %v, want %d", c.name, n, c.want, c.times)
		}
	}
}
