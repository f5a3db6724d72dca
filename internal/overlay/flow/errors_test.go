// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/flow"
)

// icmpError is an error about a packet, as a host or a router sends it.
func icmpError(from packet, typ, code uint8, rest uint32, quote []byte) packet {
	e := from
	e.proto, e.icmpType, e.icmpCode = flow.ProtoICMP, typ, code
	if e.v6 {
		e.proto = flow.ProtoICMPv6
	}
	e.echoID, e.echoSeq, e.payload = uint16(rest>>16), uint16(rest), quote
	return e
}

// about is an error that the far end of k sends back about it.
func about(k packet, typ, code uint8, rest uint32) packet {
	from := k
	from.src, from.dst = k.dst, k.src
	return icmpError(from, typ, code, rest, k.bytes())
}

// allErrors are the messages that cross a tunnel, and what the far end makes of them.
var allErrors = []struct {
	v6             bool
	typ, code      uint8
	rest           uint32
	want           flow.ErrorCode
	newTyp, newOdd uint8
}{
	{false, 3, 0, 0, flow.ErrorNetwork, 3, 0},
	{false, 3, 1, 0, flow.ErrorHost, 3, 1},
	{false, 3, 3, 0, flow.ErrorPort, 3, 3},
	{false, 3, 4, 1400, flow.ErrorTooBig, 3, 4},
	{false, 3, 6, 0, flow.ErrorNetwork, 3, 0},
	{false, 3, 7, 0, flow.ErrorHost, 3, 1},
	{false, 3, 9, 0, flow.ErrorProhibited, 3, 13},
	{false, 3, 10, 0, flow.ErrorProhibited, 3, 13},
	{false, 3, 11, 0, flow.ErrorNetwork, 3, 0},
	{false, 3, 12, 0, flow.ErrorHost, 3, 1},
	{false, 3, 13, 0, flow.ErrorProhibited, 3, 13},
	{false, 11, 0, 0, flow.ErrorHopLimit, 11, 0},
	{true, 1, 0, 0, flow.ErrorNetwork, 1, 0},
	{true, 1, 1, 0, flow.ErrorProhibited, 1, 1},
	{true, 1, 2, 0, flow.ErrorNetwork, 1, 0},
	{true, 1, 3, 0, flow.ErrorHost, 1, 3},
	{true, 1, 4, 0, flow.ErrorPort, 1, 4},
	{true, 1, 5, 0, flow.ErrorProhibited, 1, 1},
	{true, 1, 6, 0, flow.ErrorProhibited, 1, 1},
	{true, 2, 0, 1400, flow.ErrorTooBig, 2, 0},
	{true, 3, 0, 0, flow.ErrorHopLimit, 3, 0},
}

// What crosses a tunnel is the message and the flow, and neither who sent it nor what was quoted
// beyond the ports.
func TestAnErrorIsRebuiltWithTheAddressesOfTheOtherEnd(t *testing.T) {
	for _, tc := range allErrors {
		for _, k := range []packet{udp4(), tcp4(), udp6(), tcp6()} {
			if k.v6 != tc.v6 {
				continue
			}
			k.payload = bytes.Repeat([]byte("secret"), 20)
			p := about(k, tc.typ, tc.code, tc.rest).bytes()
			var v flow.View
			if r := v.Parse(p); r != drop.None || !v.IsError() || !v.ChecksumOK(p) {
				t.Fatalf("%d/%d: %v, an error: %v", tc.typ, tc.code, r, v.IsError())
			}
			var q flow.Quote
			if r := q.Parse(&v, p); r != drop.None {
				t.Fatalf("%d/%d: %v", tc.typ, tc.code, r)
			}
			want := flow.Quote{
				Code: tc.want, MTU: uint16(tc.rest), V6: k.v6, Proto: k.proto, Src: k.src,
				Dst: k.dst, SrcPort: k.srcPort, DstPort: k.dstPort, Seq: k.seq,
			}
			if q != want {
				t.Errorf("%d/%d quotes %+v\nwant %+v", tc.typ, tc.code, q, want)
			}
			var c, d flow.Compact
			c.ElideError(&q)
			c.Slot = 5
			b := c.Append(nil)
			if n, r := d.Decode(b); r != drop.None || n != len(b) || d != c {
				t.Fatalf("%x decodes to %+v: %v", b, d, r)
			}
			if d.ErrorProto() != k.proto {
				t.Errorf("the flow has protocol %d, want %d", d.ErrorProto(), k.proto)
			}
			rebuilt(t, &d, k, tc.newTyp, tc.newOdd, tc.rest)
		}
	}
}

// rebuilt compares what AppendError makes with the same written field by field.
func rebuilt(t *testing.T, c *flow.Compact, k packet, typ, code uint8, rest uint32) {
	t.Helper()
	e := flow.Ends{
		Src: lease6[0], Dst: lease6[1], SrcPort: k.dstPort, DstPort: k.srcPort,
	}
	if !c.V6 {
		e.Src, e.Dst = lease4[0], lease4[1]
	}
	got := flow.AppendError([]byte("x"), c, e)[1:]
	quoted := k
	quoted.src, quoted.dst, quoted.payload, quoted.options = e.Dst, e.Src, nil, nil
	quoted.class, quoted.hops, quoted.id, quoted.noDF, quoted.label = 0, 64, 0, false, 0
	quoted.noChecksum = false
	quote := quoted.bytes()
	if k.proto == flow.ProtoTCP { // eight bytes of it, in a packet that says it is so long
		ip := 20
		if k.v6 {
			ip = 40
		}
		quote = quote[:ip+8]
		if k.v6 {
			binary.BigEndian.PutUint16(quote[4:], 8)
		} else {
			binary.BigEndian.PutUint16(quote[2:], 28)
			binary.BigEndian.PutUint16(quote[10:], 0)
			binary.BigEndian.PutUint16(quote[10:], ^naiveSum(quote[:20]))
		}
	}
	back := quoted
	back.src, back.dst = e.Src, e.Dst
	if want := icmpError(back, typ, code, rest, quote).bytes(); !bytes.Equal(got, want) {
		t.Errorf("rebuilt as\n%x, want\n%x", got, want)
	}
	if len(got) > flow.MaxErrorLen {
		t.Errorf("%d bytes, MaxErrorLen is %d", len(got), flow.MaxErrorLen)
	}
}

func TestARebuiltErrorIsTheseBytes(t *testing.T) {
	c := flow.Compact{Kind: flow.KindError, Error: flow.ErrorPort}
	e := flow.Ends{Src: lease4[0], Dst: lease4[1], SrcPort: 161, DstPort: 50000}
	const want = "450000380000400040015d140a5301020a53c809" + // IPv4, from the peer
		"0303dac700000000" + // nobody listens
		"4500001c0000400040115d200a53c8090a530102" + // IPv4, to the peer
		"c35000a100085e3b" // the ports, of UDP
	if got := flow.AppendError(nil, &c, e); !bytes.Equal(got, unhex(t, want)) {
		t.Errorf("%x, want\n%s", got, want)
	}
}

func tcp6() packet {
	k := tcp4()
	six := udp6()
	k.v6, k.src, k.dst, k.label = true, six.src, six.dst, six.label
	return k
}

func TestRedirectsAndOtherMessagesAreNoErrorsThatCross(t *testing.T) {
	for _, tc := range []struct {
		v6        bool
		typ, code uint8
	}{
		{false, 3, 2},
		{false, 3, 5},
		{false, 4, 0},
		{false, 5, 1},
		{false, 8, 0},
		{false, 11, 1},
		{false, 12, 0},
		{true, 1, 7},
		{true, 3, 1},
		{true, 4, 1},
		{true, 128, 0},
		{true, 134, 0},
		{true, 137, 0},
	} {
		k := udp4()
		if tc.v6 {
			k = udp6()
		}
		var v flow.View
		if r := v.Parse(about(k, tc.typ, tc.code, 0).bytes()); r != drop.None || v.IsError() {
			t.Errorf("%d/%d: %v, an error: %v", tc.typ, tc.code, r, v.IsError())
		}
	}
	var v flow.View
	if udp := udp4(); v.Parse(udp.bytes()) != drop.None || v.IsError() {
		t.Error("a datagram is taken for an error")
	}
}

// badQuotes are errors that quote no packet a tunnel carries.
func badQuotes() map[string][]byte {
	four, six := udp4(), udp6()
	four.payload, six.payload = nil, nil
	quote := func(k packet, typ, code uint8, rest uint32, change func([]byte) []byte) []byte {
		from := k
		from.src, from.dst = k.dst, k.src
		return icmpError(from, typ, code, rest, change(k.bytes())).bytes()
	}
	same := func(b []byte) []byte { return b }
	return map[string][]byte{
		"options":        quote(four, 3, 3, 0, func(b []byte) []byte { b[0] = 0x46; return b }),
		"another family": quote(four, 3, 3, 0, func(b []byte) []byte { b[0] = 0x65; return b }),
		"later fragment": quote(four, 3, 3, 0, func(b []byte) []byte { b[7] = 1; return b }),
		"of an echo":     quote(four, 3, 3, 0, func(b []byte) []byte { b[9] = 1; return b }),
		"too short":      quote(four, 3, 3, 0, func(b []byte) []byte { return b[:27] }),
		"67 bytes fit":   quote(four, 3, 4, 67, same),
		"nothing fits":   quote(four, 3, 4, 0, same),
		"IPv4 in IPv6":   quote(six, 1, 4, 0, func(b []byte) []byte { b[0] = 0x45; return b }),
		"of a ping":      quote(six, 1, 4, 0, func(b []byte) []byte { b[6] = 58; return b }),
		"1,279 fit":      quote(six, 2, 0, 1279, same),
		"short header":   quote(six, 1, 4, 0, func(b []byte) []byte { return b[:39] }),
		"short fragment": quote(six, 1, 4, 0, func(b []byte) []byte { b[6] = 44; return b[:47] }),
		"second fragment": quote(six, 1, 4, 0, func(b []byte) []byte {
			b[6] = 44
			return append(b[:40], 17, 0, 0, 8, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8)
		}),
		"fragment of GRE": quote(six, 1, 4, 0, func(b []byte) []byte {
			b[6] = 44
			return append(b[:40], 47, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8)
		}),
	}
}

func TestAnErrorThatQuotesNothingOfATunnelIsRefused(t *testing.T) {
	for name, p := range badQuotes() {
		var v flow.View
		if r := v.Parse(p); r != drop.None || !v.IsError() {
			t.Errorf("%s: %v, an error: %v", name, r, v.IsError())
			continue
		}
		var q flow.Quote
		if r := q.Parse(&v, p); r != drop.BadQuote {
			t.Errorf("%s: %v", name, r)
		}
	}
}

func TestAnErrorAboutAFirstFragmentIsOneAboutItsDatagram(t *testing.T) {
	k := udp6()
	from := k
	from.src, from.dst = k.dst, k.src
	b := k.bytes()
	b[6] = 44
	quote := append(append(bytes.Clone(b[:40]), 17, 0, 0, 1, 0, 0, 0, 7), b[40:]...)
	p := icmpError(from, 1, 4, 0, quote).bytes()
	var v flow.View
	var q flow.Quote
	if r := v.Parse(p); r != drop.None {
		t.Fatal(r)
	}
	if r := q.Parse(&v, p); r != drop.None || q.Proto != flow.ProtoUDP || q.SrcPort != k.srcPort {
		t.Errorf("%v: %+v", r, q)
	}
}

func TestAQuoteIsRefusedAtEveryLengthThatIsTooShort(t *testing.T) {
	for _, k := range []packet{udp4(), tcp4(), udp6(), tcp6()} {
		typ, code, ip := uint8(3), uint8(3), 20
		if k.v6 {
			typ, code, ip = 1, 4, 40
		}
		from := k
		from.src, from.dst = k.dst, k.src
		whole := k.bytes()
		for n := range ip + 8 {
			p := icmpError(from, typ, code, 0, whole[:n]).bytes()
			var v flow.View
			var q flow.Quote
			if r := v.Parse(p); r != drop.None {
				t.Fatal(r)
			}
			if r := q.Parse(&v, p); r != drop.BadQuote {
				t.Errorf("%d bytes of the quote: %v", n, r)
			}
		}
	}
}

// Whatever passes is rebuilt into a packet that says the same.
func FuzzQuoteParse(f *testing.F) {
	for _, p := range badQuotes() {
		f.Add(p)
	}
	for _, tc := range allErrors {
		for _, k := range []packet{udp4(), tcp4(), udp6(), tcp6()} {
			if k.v6 == tc.v6 {
				f.Add(about(k, tc.typ, tc.code, tc.rest).bytes())
			}
		}
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		var v, w flow.View
		var q, again flow.Quote
		if v.Parse(p) != drop.None || !v.IsError() || q.Parse(&v, p) != drop.None {
			return
		}
		var c, d flow.Compact
		c.ElideError(&q)
		if n, r := d.Decode(c.Append(nil)); r != drop.None || d != c || n != c.Len() {
			t.Fatalf("%+v decodes to %+v: %v", c, d, r)
		}
		back := flow.AppendError(nil, &d, flow.Ends{q.Dst, q.Src, q.DstPort, q.SrcPort})
		if q.Dst.IsMulticast() || q.Src.IsMulticast() { // no tunnel has such an address
			return
		}
		if w.Parse(back) == drop.None && (again.Parse(&w, back) != drop.None || again != q) {
			t.Fatalf("%+v comes back as %+v", q, again)
		}
	})
}
