// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"staex/internal/ident"
	"staex/internal/wire"
)

func run(first byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

func keys(n int) []ident.NodeID {
	list := make([]ident.NodeID, n)
	for i := range list {
		list[i] = ident.NodeID(run(byte(i+1), wire.KeySize))
	}
	return list
}

// slots returns n slots without the one that means none.
func slots(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i % 255)
	}
	return b
}

func headStates(n int) []wire.HeadState {
	list := make([]wire.HeadState, n)
	for i := range list {
		list[i] = wire.HeadState{
			Network: ident.NetworkHash(run(byte(i), 8)), Number: uint32(i), Digest: id,
			Moment: math.MaxUint32,
		}
	}
	return list
}

// span is a span of so many half bytes.
func span(nibbles uint8) (s wire.Span) {
	for i := range nibbles {
		s = s.Part(int(i) % wire.SpanParts)
	}
	return s
}

func sums() (list [wire.SpanParts][wire.SumSize]byte) {
	for i := range list {
		copy(list[i][:], run(byte(i), wire.SumSize))
	}
	return list
}

// parts are all parts of a span of 62 half bytes: three with all the keys that may be listed, and
// the others with too many.
func parts(s wire.Span) (list []wire.PartDiff) {
	for i := range wire.SpanParts {
		p := wire.PartDiff{Part: uint8(i), Many: i > 2}
		for j := range wire.MaxListed {
			if i <= 2 {
				last := s.Part(i).Part(j)
				p.Have = append(p.Have, wire.Have{Key: last.Prefix, Seq: 1<<48 - 1})
			}
		}
		list = append(list, p)
	}
	return list
}

type appender interface{ Append(dst []byte) []byte }

// same encodes and parses v, which must come back whole, after what dst held before.
func same[T appender](v T, parse func([]byte) (T, error)) func(t *testing.T) int {
	return func(t *testing.T) int {
		t.Helper()
		prefix := []byte("before")
		b := v.Append(bytes.Clone(prefix))
		if !bytes.HasPrefix(b, prefix) {
			t.Errorf("Append changed what was there before: % x", b)
		}
		b = b[len(prefix):]
		got, err := parse(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(v, got); diff != "" {
			t.Errorf("parsed value differs (-want +got):\n%s", diff)
		}
		return len(b)
	}
}

var (
	widest   = wire.Ports{Proto: 17, V6: true, Target: 255, Port: math.MaxUint16}
	half     = wire.KEMKey{Part: 1, Half: run(1, wire.KEMPartSize)}
	secret   = wire.KEMAnswer{Ciphertext: run(1, wire.KEMAnswerSize)}
	id       = [8]byte{1, 2, 3, 4, 5, 6, 7, 8}
	key      = ident.NodeID(run(7, wire.KeySize))
	endpoint = run(1, wire.MaxEndpointCert)
	node     = run(2, wire.MaxNodeCert)
	network  = run(3, wire.MaxNetworkCert)
	body     = run(4, wire.MaxPathBody)
	mac      = [wire.MACSize]byte(run(5, wire.MACSize))
)

func TestTheLargestValueOfEveryTypeComesBackWhole(t *testing.T) {
	const label = wire.MaxLabel
	largest := map[string]func(t *testing.T) int{
		"hello1": same(wire.Hello1{
			Version: wire.Version, Label: label, Noise: run(9, wire.Hello1Noise),
			Mac1: mac, Mac2: mac, Size: wire.MaxHello1,
		}, wire.ParseHello1),
		"hello2": same(wire.Hello2{
			To: label, Label: 1, Size: wire.MaxDatagram, Noise: run(9, wire.MaxHello2Noise),
		}, wire.ParseHello2),
		"hello3": same(wire.Hello3{
			To: label, Noise: run(9, wire.MaxHello3Noise),
		}, wire.ParseHello3),
		"cookie": same(wire.Cookie{
			To: label, Nonce: [24]byte(run(1, 24)), Sealed: [32]byte(run(9, 32)),
		}, wire.ParseCookie),
		"path-handshake": same(wire.PathHandshake{
			Label: label, Stage: wire.StageNoise3, Body: run(9, wire.MaxPathHandshakeBody),
		}, wire.ParsePathHandshake),
		"keep-alive-digest": same(wire.KeepAlive{
			HasDigest: true, Digest: math.MaxUint32,
		}, wire.ParseKeepAlive),
		"keep-alive-echo": same(wire.KeepAlive{
			HasEcho: true, Echo: wire.MaxNudge,
		}, wire.ParseKeepAlive),
		"nudge": same(wire.Nudge{
			To: label, Number: wire.MaxNudge, MAC: id,
		}, wire.ParseNudge),
		"resume": same(wire.Resume{
			Tag: id, Counter: math.MaxUint64, MAC: mac,
		}, wire.ParseResume),
		"record": same(wire.Record{
			Record: run(9, wire.MaxRecord), NodeCert: endpoint, NetworkCert: network,
		}, wire.ParseRecord),
		"path": same(wire.Path{
			Dest: key, ID: id, Kind: wire.PathResume, Hops: 255, Back: label,
			Size: math.MaxUint16, Body: body,
		}, wire.ParsePath),
		"path-inside": same(wire.Path{
			Dest: key, ID: id, Kind: wire.PathResumeInside, Hops: 255, Back: label,
			Size: math.MaxUint16, Body: body,
		}, wire.ParsePath),
		"path-probe": same(wire.Path{
			Dest: key, ID: id, Kind: wire.PathProbe, Hops: 1, Back: label,
			Size: 1200, Body: body, Trail: keys(wire.MaxTrail),
		}, wire.ParsePath),
		"path-ok": same(wire.PathOK{
			ID: id, Label: label, Size: 1300, Body: body, Trail: keys(wire.MaxTrail),
		}, wire.ParsePathOK),
		"path-no": same(wire.PathNo{ID: id, Reason: 255}, wire.ParsePathNo),
		"unknown": same(wire.Unknown{Label: label}, wire.ParseUnknown),
		"size-probe": same(wire.SizeProbe{
			To: label, Size: wire.MaxDatagram, Number: math.MaxUint32, MAC: id,
		}, wire.ParseSizeProbe),
		"size-answer": same(wire.SizeProbe{
			To: label, Answer: true, Size: wire.MinDatagram, Number: 1, MAC: id,
		}, wire.ParseSizeProbe),
		"too-big": same(wire.TooBig{Label: label, Size: wire.MaxDatagram}, wire.ParseTooBig),
		"junk":    same(wire.Junk{Label: label}, wire.ParseJunk),
		"junk-ok": same(wire.JunkOK{Label: label}, wire.ParseJunkOK),
		"lookup":  same(wire.Lookup{ID: id, Tag: id, Hops: 255}, wire.ParseLookup),
		"found":   same(wire.Found{ID: id, Keys: keys(wire.MaxFound)}, wire.ParseFound),
		"want-list": same(wire.WantList{
			Network: ident.NetworkHash(id), Since: math.MaxUint32, Offset: math.MaxUint32,
		}, wire.ParseWantList),
		"list-part": same(wire.ListPart{Offset: math.MaxUint32, Head: wire.Head{
			Since: math.MaxUint32, Lacking: math.MaxUint32, Head: run(1, wire.MaxHead),
			Prints: run(2, wire.MaxHeadPrints*wire.PrintSize),
		}}, wire.ParseListPart),
		"claim-ok": same(wire.ClaimOK{
			ID: id, Mine: true, NamesCert: run(4, wire.MaxNamesCert),
		}, wire.ParseClaimOK),
		"claim": same(wire.Claim{
			ID: id, Kind: wire.ClaimStatic, Text: bytes.Repeat([]byte{'n'}, wire.MaxName),
		}, wire.ParseClaim),
		"gone": same(wire.Gone{Key: key, Seq: math.MaxUint64}, wire.ParseGone),
		"bye":  same(wire.Bye{}, wire.ParseBye),
		"want": same(wire.Want{}, wire.ParseWant),
		"up":   same(wire.Up{Keys: keys(wire.MaxParents)}, wire.ParseUp),
		"reset": same(wire.Reset{
			Label: label, Token: [wire.TokenSize]byte(run(1, wire.TokenSize)),
		}, wire.ParseReset),
		"ticket": same(wire.Ticket{
			Version: wire.Version, Label: label, Nonce: [32]byte(run(1, 32)),
			Ticket: run(3, wire.MaxTicket), Mac: mac,
		}, wire.ParseTicket),
		"ticket-answer": same(wire.TicketAnswer{
			To: label, Label: 1, Nonce: [32]byte(run(1, 32)), Size: math.MaxUint16, Mac: mac,
		}, wire.ParseTicketAnswer),
		"grant": same(wire.Grant{
			Token: [wire.TokenSize]byte(run(1, wire.TokenSize)), Ticket: run(3, wire.MaxTicket),
		}, wire.ParseGrant),
		"nat-probe": same(wire.NATProbe{
			To: label, Number: math.MaxUint32, Delay: wire.MaxNATDelay, Place: id, Mac: mac,
		}, wire.ParseNATProbe),
		"period": same(
			wire.Period{Flags: 255, Seconds: math.MaxUint16}, wire.ParsePeriod),
		"kem-key":            same(half, wire.ParseKEMKey),
		"session-kem-key":    same(half, wire.ParseKEMKey),
		"kem-answer":         same(secret, wire.ParseKEMAnswer),
		"session-kem-answer": same(secret, wire.ParseKEMAnswer),
		"moved":              same(wire.Moved{}, wire.ParseMoved),
		"confirm":            same(wire.Confirm{}, wire.ParseConfirm),
		"slot-ok":            same(wire.SlotOK{Slots: slots(wire.MaxSlots)}, wire.ParseSlotOK),
		"slot-unknown": same(wire.SlotUnknown{
			Slots: slots(wire.MaxSlots),
		}, wire.ParseSlotUnknown),
		"flow-unknown": same(wire.FlowUnknown{Ports: widest}, wire.ParseFlowUnknown),
		"flow":         same(wire.Flow{Slot: 255, Ports: widest}, wire.ParseFlow),
		"refs-lost": same(
			wire.RefsLost{Slot: 254, UpTo: math.MaxUint64}, wire.ParseRefsLost),
		"offer": same(wire.Offer{
			ID: id, Proof: [8]byte(run(9, 8)), Expires: math.MaxUint32, Seq: 5, Families: 3,
			Names:  longNames(),
			Static: make([]byte, 16),
			Cert:   endpoint, Network: network,
		}, wire.ParseOffer),
		"accept": same(wire.Accept{
			ID: id, Proof: [8]byte(run(9, 8)), Cert: endpoint, Node: node, Network: network,
		}, wire.ParseAccept),
		"reject":  same(wire.Reject{ID: id, Reason: 255}, wire.ParseReject),
		"pending": same(wire.Pending{ID: id}, wire.ParsePending),
		"switch": same(wire.Switch{
			ID: id, Tunnel: key, State: wire.SwitchDeleted, Seq: 6,
		}, wire.ParseSwitch),
		"switch-ok": same(wire.SwitchOK{ID: id}, wire.ParseSwitchOK),
		"close":     same(wire.Close{}, wire.ParseClose),
		"hello":     same(wire.Hello{Ask: true, Node: node}, wire.ParseHello),
		"link-payload": same(wire.LinkPayload{
			Flags: 255, KeepAlive: 1200, Size: 1452, NodeCert: node, NetworkCert: network,
			Head: math.MaxUint32, Parents: keys(wire.MaxParents),
		}, wire.ParseLinkPayload),
		"xk-payload": same(wire.XKPayload{
			Flags: wire.FlagAES, NodeCert: node, NetworkCert: network,
			Network: ident.NetworkHash(id), Head: math.MaxUint32,
		}, wire.ParseXKPayload),
		"heads": same(wire.Heads{States: headStates(wire.MaxHeads)}, wire.ParseHeads),
		"head": same(wire.Head{
			Since: math.MaxUint32, Lacking: math.MaxUint32, Head: run(9, wire.MaxHead),
			Prints: run(1, wire.MaxHeadPrints*wire.PrintSize),
		}, wire.ParseHead),
		"prints": same(wire.Prints{
			Prints: run(1, wire.MaxPrints*wire.PrintSize),
		}, wire.ParsePrints),
		"digest": same(wire.Digest{
			Last: true, Span: span(63), Sums: sums(),
		}, wire.ParseDigest),
		"differ":     same(wire.Differ{Span: span(62), Parts: parts(span(62))}, wire.ParseDiffer),
		"fetch":      same(wire.Fetch{Key: key}, wire.ParseFetch),
		"quarantine": same(wire.Quarantine{Issuer: key}, wire.ParseQuarantine),
		"resign":     same(wire.Resign{Statement: run(9, wire.MaxStatement)}, wire.ParseResign),
		"time":       same(wire.Time{Statement: run(9, wire.MaxStatement)}, wire.ParseTime),
	}
	elsewhere := []string{ // they have tests of their own
		"DataHeader", "ControlHeader", "SessionMessage", "KeepAlive", "PathHandshake",
	}
	for _, f := range wire.Frames() {
		check, ok := largest[f.Name]
		if !ok && slices.Contains(elsewhere, f.Go) {
			continue
		}
		t.Run(f.Name, func(t *testing.T) {
			if !ok {
				t.Fatal("this test lacks the largest value")
			}
			if n := check(t); n != f.Max {
				t.Errorf("encodes to %d bytes, the table says at most %d", n, f.Max)
			}
		})
	}
}

func TestTheLargestCertificatesFitTheirFields(t *testing.T) {
	if ident.NodeCertSize > wire.MaxNodeCert ||
		ident.MaxEndpointCertSize > wire.MaxEndpointCert ||
		ident.NodeCertSize > wire.MaxEndpointCert ||
		ident.MaxNetworkCertSize > wire.MaxNetworkCert {
		t.Error("a certificate may be larger than the field that carries it")
	}
}

func TestAppendingAValueThatBreaksABoundPanics(t *testing.T) {
	hello1 := wire.Hello1{
		Version: 1, Noise: run(0, wire.Hello1Noise), Size: wire.MinHello1,
	}
	short, small, large := hello1, hello1, hello1
	short.Noise = short.Noise[1:]
	small.Size = wire.MinHello1 - 1
	large.Size = wire.MaxHello1 + 1
	long := make([]byte, wire.MaxDatagram)
	values := map[string]appender{
		"hello1 noise":        short,
		"hello1 small":        small,
		"hello1 large":        large,
		"hello2 noise":        wire.Hello2{Noise: long},
		"hello2 size":         wire.Hello2{Size: wire.MaxDatagram + 1},
		"hello3 noise":        wire.Hello3{Noise: long},
		"path-handshake body": wire.PathHandshake{Stage: wire.StageNoise3, Body: long},
		"record empty":        wire.Record{},
		"record long":         wire.Record{Record: long},
		"record certificate":  wire.Record{Record: id[:], NodeCert: long},
		"record network":      wire.Record{Record: id[:], NetworkCert: long},
		"path body":           wire.Path{Kind: wire.PathHello, Body: long},
		"path trail of hello": wire.Path{Kind: wire.PathHello, Trail: keys(1)},
		"path trail":          wire.Path{Kind: wire.PathProbe, Trail: keys(17)},
		"path-ok body":        wire.PathOK{Body: long},
		"path-ok trail":       wire.PathOK{Trail: keys(17)},
		"up keys":             wire.Up{Keys: keys(17)},
		"ticket empty":        wire.Ticket{},
		"ticket long":         wire.Ticket{Ticket: long},
		"grant":               wire.Grant{Ticket: long},
		"nat-probe delay":     wire.NATProbe{Delay: wire.MaxNATDelay + 1},
		"kem-key part":        wire.KEMKey{Part: 2, Half: long},
		"kem-key half":        wire.KEMKey{Half: long},
		"kem-answer":          wire.KEMAnswer{Ciphertext: long},
		"slot-ok none":        wire.SlotOK{},
		"slot-unknown many":   wire.SlotUnknown{Slots: long},
		"offer empty":         wire.Offer{},
		"offer network":       wire.Offer{Cert: id[:], Network: long},
		"accept empty":        wire.Accept{},
		"accept node":         wire.Accept{Cert: id[:], Node: long},
		"hello node":          wire.Hello{Node: long},
		"link-payload":        wire.LinkPayload{Parents: keys(17)},
		"xk-payload":          wire.XKPayload{NetworkCert: long},
		"heads none":          wire.Heads{},
		"heads many":          wire.Heads{States: headStates(wire.MaxHeads + 1)},
		"head empty":          wire.Head{},
		"head prints":         wire.Head{Head: id[:], Prints: long},
		"prints none":         wire.Prints{},
		"prints many":         wire.Prints{Prints: long},
		"digest span":         wire.Digest{Span: wire.Span{Nibbles: wire.MaxNibbles}},
		"differ span":         wire.Differ{Span: wire.Span{Nibbles: wire.MaxNibbles}},
		"differ part":         wire.Differ{Parts: []wire.PartDiff{{Have: make([]wire.Have, 9)}}},
		"differ keys":         wire.Differ{Parts: []wire.PartDiff{{Have: make([]wire.Have, 25)}}},
		"resign none":         wire.Resign{},
		"time long":           wire.Time{Statement: long},
	}
	for name, v := range values {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			v.Append(nil)
		})
	}
}

// Parsed bytes must be the input's own, and an append to them must not run on into the
// field behind.
func TestParsedSlicesAliasTheInputAndEndThere(t *testing.T) {
	accept := wire.Accept{ID: id, Cert: endpoint, Node: node, Network: network}
	b := accept.Append(nil)
	a, err := wire.ParseAccept(b)
	if err != nil {
		t.Fatal(err)
	}
	if &a.Cert[0] != &b[18] {
		t.Error("the certificate was copied")
	}
	for _, field := range [][]byte{a.Cert, a.Node, a.Network} {
		if cap(field) != len(field) {
			t.Errorf("a field of %d bytes has a capacity of %d", len(field), cap(field))
		}
	}
}

func TestNoAnswerToAStrangerIsLongerThanItsQuestion(t *testing.T) {
	shortest := wire.Ticket{Ticket: run(1, wire.MinTicket)}.Append(nil)
	answer := wire.TicketAnswer{}.Append(nil)
	if len(answer) != wire.TicketAnswerSize || len(answer) > len(shortest) {
		t.Errorf("%d bytes may be answered with %d", len(shortest), len(answer))
	}
	if reset := (wire.Reset{}).Append(nil); len(reset) > wire.MinDataSize {
		t.Errorf("a link frame of %d bytes may be answered with %d", wire.MinDataSize, len(reset))
	}
}

// longNames fill what an offer may hold of names.
func longNames() (list [][]byte) {
	for range 6 {
		list = append(list, bytes.Repeat([]byte{'n'}, wire.MaxName))
	}
	return append(list, bytes.Repeat([]byte{'n'}, wire.MaxNamesSize-6*(1+wire.MaxName)-1))
}
