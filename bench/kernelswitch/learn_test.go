// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"maps"
	"net/netip"
	"testing"
)

func TestTheRowsOfARelayAreReadOffItsCables(t *testing.T) {
	r := labelRow()
	back := Row{
		Label: r.Next + 1, From: r.To, At: r.Out, Next: r.Label + 1, Out: r.At, To: r.From,
		Hop: r.From.Addr(), Index: 7, MaxBytes: 1000,
	}
	pass := func(r Row, fill byte) (in, out []byte) {
		return datagram(r.From, r.At, 64, true, sealed(r.Label, 60, fill)),
			datagram(r.Out, r.To, 64, true, sealed(r.Next, 60, fill))
	}
	in, out := pass(r, 1)
	backIn, backOut := pass(back, 2)
	unanswered, _ := pass(r, 3)
	guarded, passed := pass(Row{From: r.From, At: r.At, Out: r.Out, To: r.To, Label: 9}, 4)
	guarded[atFrame] |= 1
	left := [][]byte{in, backOut, unanswered, guarded, nil, in[:20]}
	right := [][]byte{backIn, out, passed}

	r.Index, r.MaxBytes = 7, 1000
	for _, c := range []struct {
		at      netip.AddrPort
		in, out [][]byte
		want    Row
	}{{r.At, left, right, r}, {r.Out, right, left, back}} {
		got := pair(c.at.Addr(), c.in, c.out, 7, 1000)
		if !maps.Equal(got, map[uint32]Row{c.want.Label: c.want}) {
			t.Errorf("at %v: %+v; want %+v", c.at, got, c.want)
		}
	}
}
