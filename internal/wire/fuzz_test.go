// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"bytes"
	"slices"
	"testing"

	"staex/internal/ident"
	"staex/internal/wire"
)

// fuzzType fuzzes the parser of a Go type. The seeds are its samples, every truncation
// and extension of them, and every byte set to the values at which parsers branch.
func fuzzType(f *testing.F, name string) {
	f.Helper()
	var frame wire.Frame
	for _, candidate := range wire.Frames() {
		if candidate.Go != name {
			continue
		}
		frame = candidate
		for _, seed := range seeds(candidate.Sample()) {
			f.Add(seed)
		}
	}
	if name == "Differ" {
		f.Add(crowded())
	}
	if frame.Recode == nil {
		f.Fatalf("no frame has the type %s", name)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		got, err := frame.Recode(b)
		switch {
		case !bytes.Equal(b, before):
			t.Error("parsing changed the input")
		case err != nil && !isSentinel(err):
			t.Errorf("unknown error %v", err)
		case err == nil && !bytes.Equal(got, b):
			t.Errorf("encodes to % x", got)
		}
	})
}

// crowded lists one key more than a Differ may, though no part lists too many.
func crowded() []byte {
	const full = wire.MaxHave / wire.MaxListed
	var d wire.Differ
	for part := range uint8(full) {
		p := wire.PartDiff{Part: part}
		for i := range byte(wire.MaxListed) {
			p.Have = append(p.Have, wire.Have{Key: ident.NodeID{part << 4, i}})
		}
		d.Parts = append(d.Parts, p)
	}
	b := d.Append(nil)
	one := wire.Differ{Parts: []wire.PartDiff{
		{Part: full, Have: []wire.Have{{Key: ident.NodeID{full << 4}}}},
	}}
	const head = 3 // an empty span and the mask of parts
	b[head-1] |= 1 << full
	return append(b, one.Append(nil)[head:]...)
}

// seeds returns the inputs made of one sample. Long samples are not varied beyond their
// first bytes, where their fields are.
func seeds(sample []byte) [][]byte {
	const varied = 64
	all := [][]byte{
		sample, append(bytes.Clone(sample), 0xff),
		append(bytes.Clone(sample), make([]byte, wire.MaxDatagram)...),
	}
	for n := range min(len(sample), varied) {
		all = append(all, sample[:n], sample[:len(sample)-1-n])
		for _, value := range []byte{0, 1, 5, 0xff} {
			changed := bytes.Clone(sample)
			changed[n] = value
			all = append(all, changed)
		}
	}
	slices.SortFunc(all, bytes.Compare)
	return slices.CompactFunc(all, bytes.Equal)
}

func FuzzDataHeader(f *testing.F)     { fuzzType(f, "DataHeader") }
func FuzzHello1(f *testing.F)         { fuzzType(f, "Hello1") }
func FuzzHello2(f *testing.F)         { fuzzType(f, "Hello2") }
func FuzzHello3(f *testing.F)         { fuzzType(f, "Hello3") }
func FuzzCookie(f *testing.F)         { fuzzType(f, "Cookie") }
func FuzzPathHandshake(f *testing.F)  { fuzzType(f, "PathHandshake") }
func FuzzKeepAlive(f *testing.F)      { fuzzType(f, "KeepAlive") }
func FuzzControlHeader(f *testing.F)  { fuzzType(f, "ControlHeader") }
func FuzzSessionMessage(f *testing.F) { fuzzType(f, "SessionMessage") }
func FuzzRecord(f *testing.F)         { fuzzType(f, "Record") }
func FuzzPath(f *testing.F)           { fuzzType(f, "Path") }
func FuzzPathOK(f *testing.F)         { fuzzType(f, "PathOK") }
func FuzzPathNo(f *testing.F)         { fuzzType(f, "PathNo") }
func FuzzUnknown(f *testing.F)        { fuzzType(f, "Unknown") }
func FuzzGone(f *testing.F)           { fuzzType(f, "Gone") }
func FuzzBye(f *testing.F)            { fuzzType(f, "Bye") }
func FuzzWant(f *testing.F)           { fuzzType(f, "Want") }
func FuzzUp(f *testing.F)             { fuzzType(f, "Up") }
func FuzzReset(f *testing.F)          { fuzzType(f, "Reset") }
func FuzzTicket(f *testing.F)         { fuzzType(f, "Ticket") }
func FuzzTicketAnswer(f *testing.F)   { fuzzType(f, "TicketAnswer") }
func FuzzGrant(f *testing.F)          { fuzzType(f, "Grant") }
func FuzzNATProbe(f *testing.F)       { fuzzType(f, "NATProbe") }
func FuzzPeriod(f *testing.F)         { fuzzType(f, "Period") }
func FuzzMoved(f *testing.F)          { fuzzType(f, "Moved") }
func FuzzConfirm(f *testing.F)        { fuzzType(f, "Confirm") }
func FuzzSlotOK(f *testing.F)         { fuzzType(f, "SlotOK") }
func FuzzFlow(f *testing.F)           { fuzzType(f, "Flow") }
func FuzzFlowUnknown(f *testing.F)    { fuzzType(f, "FlowUnknown") }
func FuzzSlotUnknown(f *testing.F)    { fuzzType(f, "SlotUnknown") }
func FuzzRefsLost(f *testing.F)       { fuzzType(f, "RefsLost") }
func FuzzLookup(f *testing.F)         { fuzzType(f, "Lookup") }
func FuzzFound(f *testing.F)          { fuzzType(f, "Found") }
func FuzzClaim(f *testing.F)          { fuzzType(f, "Claim") }
func FuzzWantList(f *testing.F)       { fuzzType(f, "WantList") }
func FuzzListPart(f *testing.F)       { fuzzType(f, "ListPart") }
func FuzzClaimOK(f *testing.F)        { fuzzType(f, "ClaimOK") }
func FuzzOffer(f *testing.F)          { fuzzType(f, "Offer") }
func FuzzAccept(f *testing.F)         { fuzzType(f, "Accept") }
func FuzzReject(f *testing.F)         { fuzzType(f, "Reject") }
func FuzzPending(f *testing.F)        { fuzzType(f, "Pending") }
func FuzzSwitch(f *testing.F)         { fuzzType(f, "Switch") }
func FuzzSwitchOK(f *testing.F)       { fuzzType(f, "SwitchOK") }
func FuzzClose(f *testing.F)          { fuzzType(f, "Close") }
func FuzzHello(f *testing.F)          { fuzzType(f, "Hello") }
func FuzzKEMKey(f *testing.F)         { fuzzType(f, "KEMKey") }
func FuzzKEMAnswer(f *testing.F)      { fuzzType(f, "KEMAnswer") }
func FuzzLinkPayload(f *testing.F)    { fuzzType(f, "LinkPayload") }
func FuzzNudge(f *testing.F)          { fuzzType(f, "Nudge") }
func FuzzResume(f *testing.F)         { fuzzType(f, "Resume") }
func FuzzXKPayload(f *testing.F)      { fuzzType(f, "XKPayload") }
func FuzzHeads(f *testing.F)          { fuzzType(f, "Heads") }
func FuzzHead(f *testing.F)           { fuzzType(f, "Head") }
func FuzzPrints(f *testing.F)         { fuzzType(f, "Prints") }
func FuzzResign(f *testing.F)         { fuzzType(f, "Resign") }
func FuzzTime(f *testing.F)           { fuzzType(f, "Time") }
func FuzzJunk(f *testing.F)           { fuzzType(f, "Junk") }
func FuzzJunkOK(f *testing.F)         { fuzzType(f, "JunkOK") }
func FuzzTooBig(f *testing.F)         { fuzzType(f, "TooBig") }
func FuzzSizeProbe(f *testing.F)      { fuzzType(f, "SizeProbe") }
func FuzzDigest(f *testing.F)         { fuzzType(f, "Digest") }
func FuzzDiffer(f *testing.F)         { fuzzType(f, "Differ") }
func FuzzFetch(f *testing.F)          { fuzzType(f, "Fetch") }
func FuzzQuarantine(f *testing.F)     { fuzzType(f, "Quarantine") }
