// SPDX-License-Identifier: Apache-2.0

package plane

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/session"
	"staex/internal/wire"
)

var movedAddr = netip.MustParseAddrPort("198.51.100.9:1024")

// sealed is one frame of the client for the relay.
func (r *rig) sealed() []byte {
	r.client.out.Reset()
	r.client.out.Outbound(r.now, datagram(request(false, 161), "x"))
	return bytes.Clone(r.client.out.Buf[:r.client.out.Runs[0].Len])
}

func TestAFrameFromAWrongAddressIsReportedOnceASecond(t *testing.T) {
	r := newRig()
	reports := 0
	for range 30 {
		r.relay.in.Reset()
		f := r.sealed()
		r.relay.in.Inbound(r.now, movedAddr, f, len(f))
		if len(r.relay.in.Transit) != 0 {
			t.Fatal("the frame was forwarded")
		}
		for _, x := range r.relay.in.Notices {
			if x.Kind != NoticeWrongSource || x.From != movedAddr ||
				x.Link.Addr() != clientAddr {
				t.Fatalf("reported %+v", x)
			}
			reports++
		}
		r.now += 100 * time.Millisecond
	}
	if reports != 3 {
		t.Errorf("%d reports in 3 s", reports)
	}
	if got := r.relay.in.C.Drops[drop.WrongSource].Load(); got != 30 {
		t.Errorf("%d frames dropped as wrong-source", got)
	}
}

func TestAFrameShorterThanANudgeIsNotReported(t *testing.T) {
	r := newRig()
	f := wire.PathHandshake{Label: 0x101, Stage: wire.StageConfirm}.Append(nil)
	r.relay.in.Inbound(r.now, movedAddr, f, len(f))
	if len(r.relay.in.Notices) != 0 {
		t.Error("a short frame would be answered by a longer one")
	}
}

func TestAnUnprovenAddressGetsThreeTimesWhatCameFromIt(t *testing.T) {
	r := newRig()
	row, _ := r.relay.tables.Row(0x404)
	row.To.Move(movedAddr, 100)
	forward := func(n int) int {
		f := append([]byte{wire.TypeData << 4, 0, 0x04, 0x04}, make([]byte, n-4)...)
		r.relay.in.Reset()
		r.relay.in.Inbound(r.now, serverAddr, f, n)
		sent := 0
		for _, x := range r.relay.in.Transit {
			sent += x.Len
		}
		return sent
	}
	if got := forward(250) + forward(60) + forward(50); got != 300 {
		t.Errorf("forwarded %d bytes, 300 were allowed", got)
	}
	if got := r.relay.in.C.Drops[drop.Unproven].Load(); got != 1 {
		t.Errorf("%d frames dropped as unproven", got)
	}
	f := r.sealed()
	r.relay.in.Inbound(r.now, movedAddr, f, len(f))
	if got := forward(3 * len(f)); got != 3*len(f) {
		t.Errorf("forwarded %d bytes after %d came", got, len(f))
	}
	row.To.Prove(movedAddr)
	if got := forward(1200); got != 1200 || !row.To.Proven() {
		t.Errorf("forwarded %d bytes to a proven address", got)
	}
}

func TestASenderHoldsBackFromAnUnprovenAddress(t *testing.T) {
	r := newRig()
	r.client.session.Path().Link.Move(movedAddr, 20)
	for range 5 {
		r.client.out.Outbound(r.now, datagram(request(false, 161), "x"))
	}
	sent := 0
	for _, x := range r.client.out.Runs {
		sent += x.Len
	}
	if sent == 0 || sent > 60 || r.client.out.C.Drops[drop.Unproven].Load() == 0 {
		t.Errorf("sent %d bytes, 60 were allowed", sent)
	}
}

func TestASecondSessionDeliversWhileItReplacesTheFirst(t *testing.T) {
	r := newRig()
	next := &Session{
		Send: session.NewSender([32]byte{7}, session.ChaCha), Peer: r.server.peer,
		Recv: session.NewReceiver([32]byte{1}, session.AESGCM, session.WindowSession),
	}
	row, _ := r.server.tables.Row(0x202)
	row.Session = next
	r.server.tables.SetRow(row)
	p := datagram(request(false, 161), "x")
	if len(r.send(t, r.client, r.server, p)) != 0 {
		t.Error("a session that does not belong to the tunnel delivered")
	}
	r.server.peer.SetOther(next)
	if len(r.send(t, r.client, r.server, p)) != 1 || next.Data() != r.now {
		t.Error("the other session did not deliver")
	}
	r.server.peer.SetOther(nil)
	if len(r.send(t, r.client, r.server, p)) != 0 {
		t.Error("the other session delivered after it was taken away")
	}
}

func TestANudgeGoesToTheSlowPathOfItsLink(t *testing.T) {
	r := newRig()
	r.client.tables.SetRow(Row{Kind: RowControl, Label: 0x505, ID: 9})
	f := wire.Nudge{To: 0x505, Number: 1}.Append(nil)
	r.client.in.Inbound(r.now, movedAddr, f, len(f))
	if c := r.client.in.Control; len(c) != 1 || c[0].Link != 9 || c[0].From != movedAddr {
		t.Errorf("the slow path got %v", c)
	}
}
